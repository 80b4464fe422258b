// The module departures brings the job type DEPARTURES: each sharding item
// sums up the flights that leave from its part of the airports. It is a
// reactor made with the sdk, the way to write a job in Go.
package main

import (
	"context"
	"strconv"

	"github.com/elasticjob-go/elasticjob/examples/quickstart/routes"
	"github.com/elasticjob-go/elasticjob/sdk"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

var _ = sdk.Register(sdk.JobType("DEPARTURES", "sums up the flights of 2008 by airport of origin", sum,
	props.Field{
		Name: "flights.least", Type: props.Int, Description: "routes with fewer flights are left out",
		Default: "1", Min: "1",
	}))

func main() { sdk.Main() }

func sum(_ context.Context, job *sdk.Job) error {
	part := job.ShardingParameter
	total, err := routes.Departures(part, int(job.Props.Int("flights.least")))
	if err != nil {
		return err
	}
	job.Info("departures", "part", part, "routes", total.Routes, "flights", total.Flights)
	job.Result = strconv.Itoa(total.Flights) + " departures"
	return nil
}
