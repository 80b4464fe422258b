package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/elasticjob-go/elasticjob/sdk"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// A job type is a name, what it does in words, a function for one item, and
// the properties that jobs of this type can set. In a plugin the result goes
// to sdk.Register.
func ExampleJobType() {
	reconcile := func(ctx context.Context, job *sdk.Job) error {
		if job.ShardingParameter == "" {
			return errors.New("which city? set shardingItemParameters")
		}
		for batch := range job.Props.Int("batches") {
			if err := ctx.Err(); err != nil {
				return err
			}
			job.Debug("reconciling", "city", job.ShardingParameter, "batch", batch)
		}
		job.Result = "reconciled " + job.ShardingParameter
		return nil
	}
	plugin := sdk.JobType("ORDERS", "reconciles the orders of one city", reconcile,
		props.Field{Name: "batches", Type: props.Int, Description: "how many batches to read", Default: "10", Min: "1"})
	plugin.Descriptor.Version = "1.2.0"

	// The function is an ordinary one, and so are its tests.
	job := &sdk.Job{ShardingContext: spi.ShardingContext{ShardingParameter: "Beijing", Props: props.Values{"batches": "3"}}}
	err := reconcile(context.Background(), job)
	fmt.Println(job.Result, err)
	// Output: reconciled Beijing <nil>
}

// A dataflow fetches and processes in turn. What was fetched crosses as JSON
// values, here as strings; the cursor says where the next fetch goes on.
func ExampleDataflow() {
	pages := [][]string{{"order 1", "order 2"}, {"order 3"}}
	fetch := func(_ context.Context, _ *sdk.Job, cursor string) ([]string, string, error) {
		page, err := strconv.Atoi("0" + cursor)
		if err != nil || page == len(pages) {
			return nil, "", err
		}
		return pages[page], strconv.Itoa(page + 1), nil
	}
	process := func(_ context.Context, job *sdk.Job, orders []string) error {
		job.Info("processing", "orders", len(orders))
		return nil
	}
	plugin := sdk.Dataflow("ORDER_PAGES", "reconciles orders page by page", sdk.TextCodec(), fetch, process)
	fmt.Println(plugin.Check(), plugin.Descriptor.Capabilities)
	// Output: <nil> [dataflow]
}

// A sharding strategy gives every item an owner: here the instances in the
// zone that the job asks for, in turn.
func ExampleShardingStrategy() {
	local := func(_ context.Context, s *sdk.Sharding) (map[string][]int, error) {
		near := slices.DeleteFunc(slices.Clone(s.Instances), func(i spi.Instance) bool {
			return i.Labels["zone"] != s.Props.String("zone")
		})
		if len(near) == 0 {
			near = s.Instances
		}
		owners := make(map[string][]int)
		for n, item := range s.Items {
			owner := near[n%len(near)].ID
			owners[owner] = append(owners[owner], item.Item)
		}
		return owners, nil
	}
	plugin := sdk.ShardingStrategy("LOCAL", "prefers the instances of one zone", local,
		props.Field{Name: "zone", Type: props.String, Description: "the zone to prefer", Required: true})

	owners, err := local(context.Background(), &sdk.Sharding{
		Instances: []spi.Instance{{ID: "a"}, {ID: "b", Labels: map[string]string{"zone": "north"}}},
		Items:     []spi.Item{{Item: 0}, {Item: 1}},
		Props:     props.Values{"zone": "north"},
	})
	fmt.Println(plugin.Check(), owners, err)
	// Output: <nil> map[b:[0 1]] <nil>
}

// An error handler is told of items that have failed. This one sends what has
// happened to a web hook; its descriptor says which grant it would like.
func ExampleErrorHandler() {
	page := func(ctx context.Context, f *sdk.Failure) (spi.Decision, error) {
		response, err := f.HTTP(ctx, sdk.HTTPRequest{
			Method: "POST", URL: f.Props.String("pager.url"), Body: []byte(f.Context.JobName + ": " + f.Err.Message),
		})
		if err != nil {
			return "", err
		}
		f.Info("paged", "status", response.Status)
		return sdk.Continue, nil
	}
	plugin := sdk.ErrorHandler("PAGER", "sends failures to a web hook", page,
		props.Field{Name: "pager.url", Type: props.URL, Description: "the address of the web hook", Required: true})
	plugin.Descriptor.Wants = []spi.Want{{Op: spi.OpHTTPRequest, Value: "pager.example.com", Why: "to send failures"}}
	fmt.Println(plugin.Check())
	// Output: <nil>
}

// A job listener is called around a run, here once for all instances.
func ExampleJobListener() {
	after := func(_ context.Context, run *sdk.Run) error {
		failed := 0
		for _, item := range run.Items {
			if item.Outcome != spi.OutcomeSuccess {
				failed++
			}
		}
		run.Info("run ended", "items", len(run.Items), "failed", failed)
		return nil
	}
	plugin := sdk.JobListener("REPORT", "says how a run has ended", nil, after)
	plugin.Descriptor.Capabilities = []string{spi.CapabilityDistributeOnce}
	fmt.Println(plugin.Check())
	// Output: <nil>
}

// A tracing sink keeps the history somewhere.
func ExampleTracingSink() {
	keep := func(_ context.Context, trace *sdk.Trace) error {
		for _, event := range trace.Events {
			trace.Debug("event", "kind", string(event.Kind), "job", event.JobName)
		}
		return nil
	}
	fmt.Println(sdk.TracingSink("DEBUG_LOG", "writes the history into the log", keep).Check())
	// Output: <nil>
}
