package sdk_test

import (
	"context"
	"errors"
	"fmt"

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
