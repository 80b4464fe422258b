package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/elasticjob-go/elasticjob/core/coordinator"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// shardingOptions are the flags of a preview.
type shardingOptions struct {
	strategy  string
	job       string
	total     int
	instances string
	props     []string
	labels    []string
	loads     []string
	previous  []string
}

func (o *shardingOptions) declare(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringVar(&o.strategy, "strategy", job.DefaultShardingStrategyType, "`type` of the sharding strategy")
	flags.StringVar(&o.job, "job", "", "`name` of the job, on which some strategies depend")
	flags.IntVar(&o.total, "total", 0, "number of sharding items, 1 to 10000; BROADCAST has its own")
	flags.StringVar(&o.instances, "instances", "", "`ids` of the live instances, separated by commas")
	flags.StringArrayVar(&o.props, "prop", nil, "property of the job, as `name=value`; may be repeated")
	flags.StringArrayVar(&o.labels, "label", nil, "label of an instance, as `id:name=value`; may be repeated")
	flags.StringArrayVar(&o.loads, "load", nil, "number of items of other jobs that an instance has, as `id=number`; may be repeated")
	flags.StringArrayVar(&o.previous, "previous", nil, "what an instance has now, as `id=items` such as 10.0.0.1=0-3,9; may be repeated")
}

// given reads the properties.
func (o *shardingOptions) given() (map[string]string, error) {
	given := make(map[string]string, len(o.props))
	for _, text := range o.props {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--prop %q is not name=value", text)
		}
		given[name] = value
	}
	return given, nil
}

// request is the question to the strategy, all but its properties.
func (o *shardingOptions) request() (spi.ShardRequest, error) {
	instances, err := parseInstances(o.instances)
	req := spi.ShardRequest{
		JobName: o.job, ShardingTotalCount: o.total, Instances: instances, Items: make([]spi.Item, o.total), Previous: make(map[string][]int),
	}
	if err != nil {
		return req, err
	}
	for i := range req.Items {
		req.Items[i].Item = i
	}
	byID := make(map[string]*spi.Instance, len(instances))
	for i := range instances {
		byID[instances[i].ID] = &instances[i]
	}
	for _, text := range o.labels {
		id, label := cutInstance(text, byID)
		name, value, ok := strings.Cut(label, "=")
		if id == nil || !ok || name == "" {
			return req, fmt.Errorf("--label %q is not id:name=value with one of the --instances", text)
		}
		id.Labels[name] = value
	}
	for _, text := range o.loads {
		id, number := cutLast(text)
		load, err := strconv.Atoi(number)
		if byID[id] == nil || err != nil || load < 0 {
			return req, fmt.Errorf("--load %q is not id=number with one of the --instances", text)
		}
		byID[id].Load = load
	}
	return req, o.readPrevious(&req)
}

func (o *shardingOptions) readPrevious(req *spi.ShardRequest) error {
	owners := make(map[int]string)
	for _, text := range o.previous {
		id, list := cutLast(text)
		items, err := registry.ParseItems(list)
		if id == "" || err != nil {
			return fmt.Errorf("--previous %q is not id=items, such as 10.0.0.1=0-3,9", text)
		}
		for item := range items.All() {
			if other, twice := owners[item]; twice {
				return fmt.Errorf("--previous gives item %d to %s and to %s", item, other, id)
			}
			owners[item] = id
		}
		req.Previous[id] = append(req.Previous[id], items.Slice()...)
	}
	return nil
}

// cutInstance splits id:rest; ids may have colons, as IPv6 addresses do.
func cutInstance(text string, byID map[string]*spi.Instance) (instance *spi.Instance, rest string) {
	for i := range len(text) {
		if one := byID[text[:i]]; one != nil && text[i] == ':' {
			instance, rest = one, text[i+1:]
		}
	}
	return instance, rest
}

// cutLast splits id=rest; ids may have equals signs, what follows has none.
func cutLast(text string) (id, rest string) {
	i := strings.LastIndexByte(text, '=')
	if i < 0 {
		return "", ""
	}
	return text[:i], text[i+1:]
}

// parseInstances reads ids separated by commas; blank text is no instance.
func parseInstances(text string) ([]spi.Instance, error) {
	var instances []spi.Instance
	if strings.TrimSpace(text) == "" {
		return instances, nil
	}
	seen := make(map[string]bool)
	for id := range strings.SplitSeq(text, ",") {
		id = strings.TrimSpace(id)
		switch {
		case id == "":
			return nil, errors.New("--instances has an empty id: write ids separated by single commas")
		case seen[id]:
			return nil, fmt.Errorf("--instances has %q twice: every instance has an id of its own", id)
		case len(instances) == maxInstances:
			return nil, fmt.Errorf("--instances has more than %d ids", maxInstances)
		}
		seen[id] = true
		instances = append(instances, coordinator.InstanceOf(id, map[string]string{}))
	}
	return instances, nil
}
