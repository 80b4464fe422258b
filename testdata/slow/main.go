// Command slow offers a job type that takes its time, for tests of reloads.
package main

import (
	"context"
	"time"

	"github.com/elasticjob-go/elasticjob/sdk"
)

var _ = sdk.Register(sdk.JobType("SLOW", "Takes twelve seconds.", run))

func main() { sdk.Main() }

func run(ctx context.Context, _ *sdk.Job) error {
	select {
	case <-time.After(12 * time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
