// An empty job: its module is the least that the sdk weighs.
package main

import (
	"context"

	"github.com/elasticjob-go/elasticjob/sdk"
)

var _ = sdk.Register(sdk.JobType("EMPTY", "does nothing", func(context.Context, *sdk.Job) error { return nil }))

func main() { sdk.Main() }
