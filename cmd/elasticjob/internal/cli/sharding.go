package cli

import (
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

func (a *app) shardingPreviewCommand() *cobra.Command {
	var o shardingOptions
	cmd := &cobra.Command{
		Use:   "preview --job NAME --total N --instances ID,ID,…",
		Short: "Show which instance would own which items",
		Long: `Show which of the instances would own which items of a job.

The instances may be given in any order: they are sorted as the engine sorts
them, by the IP in front of "@-@" and then by id. With -o json the result is
{"ID":[items],…} with every instance.

Some strategies look at more: --prop gives properties, --label labels of an
instance, --load its items of other jobs, and --previous what it has now.`,
		Example: "  elasticjob sharding preview --strategy AVG_ALLOCATION --job orders --total 10 --instances 10.0.0.1,10.0.0.2,10.0.0.3 -o json",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.strategy == job.BroadcastStrategyType && !cmd.Flags().Changed("total") {
				if err := cmd.Flags().Set("total", "1"); err != nil { // it does not count, as in a job
					return usagef(cmd, "%s", err)
				}
			}
			for _, name := range []string{"job", "total", "instances"} {
				if !cmd.Flags().Changed(name) {
					return usagef(cmd, "--%s is missing", name)
				}
			}
			return a.shardingPreview(cmd, o)
		},
	}
	o.declare(cmd.Flags())
	return cmd
}

func (a *app) shardingPreview(cmd *cobra.Command, o shardingOptions) error {
	if o.total < 1 || o.total > job.MaxItems {
		return usagef(cmd, "--total %d is out of range: write 1 to %d", o.total, job.MaxItems)
	}
	req, err := o.request()
	if err != nil {
		return usagef(cmd, "%s", err)
	}
	given, err := o.given()
	if err != nil {
		return usagef(cmd, "%s", err)
	}
	strategy, values, broadcasts, err := a.strategy(cmd, o.strategy, given)
	if err != nil {
		return err
	}
	req.Props = values
	req.Services = hostcall.Services{Logger: a.logger.With("job", o.job, "plugin", o.strategy)}
	if broadcasts {
		req = coordinator.Broadcast(req)
	}
	assignment, err := coordinator.Shard(cmd.Context(), strategy, req)
	if err != nil {
		return fmt.Errorf("sharding with %s: %w", o.strategy, err)
	}
	return a.printAssignment(req.Instances, assignment)
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

// strategy makes the strategy of a type of the given properties, which it returns
// with the defaults, and says whether it broadcasts.
func (a *app) strategy(cmd *cobra.Command, name string, given map[string]string) (strategy spi.ShardingStrategy, values props.Values, broadcasts bool, err error) {
	c := catalog.New()
	if err := c.Add(catalog.Source{Provenance: spi.Provenance{Host: "built-in"}}, builtin.All()...); err != nil {
		return nil, nil, false, err
	}
	found, ok := catalog.Lookup(c, catalog.ShardingStrategies(), name)
	if !ok {
		return nil, nil, false, usagef(cmd, "there is no sharding strategy %q; there is %s", name, strings.Join(c.Types(spi.KindShardingStrategy), ", "))
	}
	values, problems := found.Descriptor.Props.Resolve(given)
	if len(problems) > 0 {
		return nil, nil, false, usagef(cmd, "property %s of strategy %s %s: give it with --prop name=value", problems[0].Property, name, problems[0].Message)
	}
	if strategy, err = found.New(cmd.Context(), values); err != nil {
		return nil, nil, false, usagef(cmd, "making sharding strategy %s: %s", name, err)
	}
	return strategy, values, found.Descriptor.Has(spi.CapabilityBroadcast), nil
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
