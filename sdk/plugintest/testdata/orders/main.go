// A plugin of an author, for the tests of package plugintest.
package main

import (
	"context"
	"strconv"

	"github.com/elasticjob-go/elasticjob/sdk"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

var (
	_ = sdk.Register(sdk.JobType("ORDERS", "Counts the orders of a region.", orders,
		props.Field{Name: "batch.size", Type: props.Int, Description: "orders per request", Default: "100", Min: "1", Example: "500"}))
	_ = sdk.Register(sdk.ErrorHandler("STOP_AT_1001", "Stops a job that fails with its code 1001.", decide))
)

func main() { sdk.Main() }

func orders(ctx context.Context, job *sdk.Job) error {
	token, err := job.Secret(ctx, "api-token")
	if err != nil {
		return err
	}
	response, err := job.HTTP(ctx, sdk.HTTPRequest{
		URL:     "https://api.example.com/orders?region=" + job.ShardingParameter + "&most=" + job.Props.String("batch.size"),
		Headers: map[string][]string{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		return err
	}
	if response.Status != 200 {
		return &spi.Error{Code: 1001, Message: "the orders answer with status " + strconv.Itoa(response.Status), Retryable: true}
	}
	if err := job.SaveCheckpoint(ctx, response.Body); err != nil {
		return err
	}
	if err := job.ReportProgress(ctx, sdk.Progress{Done: 1, Total: 1}); err != nil {
		return err
	}
	job.Info("counted", "region", job.ShardingParameter)
	job.Result = string(response.Body)
	return nil
}

func decide(_ context.Context, f *sdk.Failure) (spi.Decision, error) {
	if f.Err.Code == 1001 {
		return sdk.Stop, nil
	}
	return sdk.Continue, nil
}
