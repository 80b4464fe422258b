package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/coordinator"
	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// maxInstances bounds the instances of a preview.
const maxInstances = 10_000

func (a *app) shardingCommand() *cobra.Command {
	cmd := a.group(&cobra.Command{
		Use:     "sharding",
		Short:   "Try out sharding strategies",
		Example: "  elasticjob sharding preview --job orders --total 3 --instances 10.0.0.1,10.0.0.2",
	})
	cmd.AddCommand(a.shardingPreviewCommand())
	return cmd
}

type shardingOptions struct {
	strategy  string
	job       string
	total     int
	instances string
}

func (a *app) shardingPreviewCommand() *cobra.Command {
	var o shardingOptions
	cmd := &cobra.Command{
		Use:   "preview --job NAME --total N --instances ID,ID,…",
		Short: "Show which instance would own which items",
		Long: `Show which of the instances would own which items of a job.

The instances may be given in any order: they are sorted as the engine sorts
them, by the IP in front of "@-@" and then by id. With -o json the result is
{"ID":[items],…} with every instance.`,
		Example: "  elasticjob sharding preview --strategy AVG_ALLOCATION --job orders --total 10 --instances 10.0.0.1,10.0.0.2,10.0.0.3 -o json",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range []string{"job", "total", "instances"} {
				if !cmd.Flags().Changed(name) {
					return usagef(cmd, "--%s is missing", name)
				}
			}
			return a.shardingPreview(cmd, o)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.strategy, "strategy", job.DefaultShardingStrategyType, "`type` of the sharding strategy")
	flags.StringVar(&o.job, "job", "", "`name` of the job, on which some strategies depend")
	flags.IntVar(&o.total, "total", 0, "number of sharding items, 1 to 10000")
	flags.StringVar(&o.instances, "instances", "", "`ids` of the live instances, separated by commas")
	return cmd
}

func (a *app) shardingPreview(cmd *cobra.Command, o shardingOptions) error {
	if o.total < 1 || o.total > job.MaxItems {
		return usagef(cmd, "--total %d is out of range: write 1 to %d", o.total, job.MaxItems)
	}
	instances, err := parseInstances(o.instances)
	if err != nil {
		return usagef(cmd, "%s", err)
	}
	strategy, broadcasts, err := a.strategy(cmd, o.strategy)
	if err != nil {
		return err
	}
	req := spi.ShardRequest{
		JobName: o.job, ShardingTotalCount: o.total, Instances: instances,
		Props: props.Values{}, Services: hostcall.Services{Logger: a.logger.With("job", o.job, "plugin", o.strategy)},
	}
	for i := range o.total {
		req.Items = append(req.Items, spi.Item{Item: i})
	}
	if broadcasts {
		req = coordinator.Broadcast(req)
	}
	assignment, err := coordinator.Shard(cmd.Context(), strategy, req)
	if err != nil {
		return fmt.Errorf("sharding with %s: %w", o.strategy, err)
	}
	return a.printAssignment(instances, assignment)
}

// printAssignment writes which of the instances owns which items.
func (a *app) printAssignment(instances []spi.Instance, assignment map[string][]int) error {
	result := make(map[string][]int, len(instances))
	for _, i := range instances {
		result[i.ID] = append([]int{}, assignment[i.ID]...)
	}
	coordinator.SortInstances(instances)
	return a.print(result, func(w io.Writer) {
		t := newTable(w)
		t.row("INSTANCE", "COUNT", "ITEMS")
		for _, i := range instances {
			items := result[i.ID]
			t.row(i.ID, strconv.Itoa(len(items)), ranges(items))
		}
		t.flush()
	})
}

// strategy makes the strategy of a type, and says whether it broadcasts.
func (a *app) strategy(cmd *cobra.Command, name string) (strategy spi.ShardingStrategy, broadcasts bool, err error) {
	c := catalog.New()
	if err := c.Add(catalog.Source{Provenance: spi.Provenance{Host: "built-in"}}, builtin.All()...); err != nil {
		return nil, false, err
	}
	found, ok := catalog.Lookup(c, catalog.ShardingStrategies(), name)
	if !ok {
		return nil, false, usagef(cmd, "there is no sharding strategy %q; there is %s", name, strings.Join(c.Types(spi.KindShardingStrategy), ", "))
	}
	values, problems := found.Descriptor.Props.Resolve(nil)
	if len(problems) > 0 {
		return nil, false, usagef(cmd, "strategy %s needs properties, which a preview does not have: %s %s", name, problems[0].Property, problems[0].Message)
	}
	strategy, err = found.New(cmd.Context(), values)
	if err != nil {
		return nil, false, fmt.Errorf("making sharding strategy %s: %w", name, err)
	}
	return strategy, found.Descriptor.Has(spi.CapabilityBroadcast), nil
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

// ranges writes ascending items as "0-3,9".
func ranges(items []int) string {
	var parts []string
	for i := 0; i < len(items); {
		last := i
		for last+1 < len(items) && items[last+1] == items[last]+1 {
			last++
		}
		part := strconv.Itoa(items[i])
		if last > i {
			part += "-" + strconv.Itoa(items[last])
		}
		parts = append(parts, part)
		i = last + 1
	}
	return strings.Join(parts, ",")
}
