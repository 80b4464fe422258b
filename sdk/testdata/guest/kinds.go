package main

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/elasticjob-go/elasticjob/sdk"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

var (
	_ = sdk.Register(sdk.Dataflow("FLOW", "counts up to its job parameter", sdk.TextCodec(), fetch, process))
	_ = sdk.Register(sdk.ShardingStrategy("REVERSE", "gives each instance one item, the last first", reverse,
		props.Field{Name: "most", Type: props.Int, Description: "items of one instance", Default: "1"}))
	_ = sdk.Register(sdk.ErrorHandler("PAGER", "stops after a code of its own", page))
	_ = sdk.Register(sdk.JobListener("WATCH", "logs before a run and fails after it", before, after))
	_ = sdk.Register(sdk.TracingSink("KEEP", "logs what it is to keep", keep))
	_ = sdk.Register(sdk.JobType("OPERATES", "uses every operation of the host", operates))
)

func fetch(_ context.Context, job *sdk.Job, cursor string) ([]string, string, error) {
	most, err := strconv.Atoi(job.JobParameter)
	if err != nil {
		return nil, "", err
	}
	at, _ := strconv.Atoi(cursor)
	if at >= most {
		return nil, "", nil
	}
	return []string{"datum " + strconv.Itoa(at), "é"}, strconv.Itoa(at + 1), nil
}

func process(_ context.Context, job *sdk.Job, data []string) error {
	job.Info("processing", "first", data[0], "second", data[1], "item", job.ShardingItem)
	if data[0] == "datum 1" {
		panic("on purpose")
	}
	return nil
}

func reverse(_ context.Context, s *sdk.Sharding) (map[string][]int, error) {
	assignment := map[string][]int{}
	items := slices.Clone(s.Items)
	slices.Reverse(items)
	for i, item := range items {
		owner := s.Instances[i%len(s.Instances)]
		if int64(len(assignment[owner.ID])) == s.Props.Int("most") {
			return nil, &spi.Error{Code: 1002, Message: "too few instances for " + s.JobName}
		}
		assignment[owner.ID] = append(assignment[owner.ID], item.Item)
	}
	s.Info("sharded", "zone", s.Instances[0].Labels["zone"], "previous", len(s.Previous["gone"]))
	return assignment, nil
}

func page(ctx context.Context, f *sdk.Failure) (spi.Decision, error) {
	if ctx.Err() != nil {
		return "", errors.New("the handler has the deadline of the item")
	}
	f.Warn("paging", "job", f.Context.JobName, "item", f.Context.ShardingItem, "error", f.Err)
	if f.Err.Code >= spi.FirstAuthorCode {
		return sdk.Stop, nil
	}
	return sdk.Continue, nil
}

func before(_ context.Context, run *sdk.Run) error {
	run.Info("before", "job", run.JobName, "items", len(run.Items), "once", run.Once)
	return nil
}

func after(_ context.Context, run *sdk.Run) error {
	item := run.Items[len(run.Items)-1]
	return errors.New(strconv.Itoa(item.Item) + " " + string(item.Outcome) + ": " + item.Error.Message)
}

func keep(_ context.Context, trace *sdk.Trace) error {
	for _, e := range trace.Events {
		trace.Info(string(e.Kind), "id", e.ID, "instance", e.Instance.ID, "items", len(e.Items), "took", e.End.Sub(e.Start))
	}
	return nil
}

func operates(ctx context.Context, job *sdk.Job) error {
	token, err := job.Secret(ctx, "token")
	if err != nil {
		return err
	}
	response, err := job.HTTP(ctx, sdk.HTTPRequest{
		Method: "POST", URL: "https://example.com/", Headers: map[string][]string{"Authorization": {token}}, Body: []byte("héllo"),
	})
	if err != nil {
		return err
	}
	if err := job.SaveCheckpoint(ctx, response.Body); err != nil {
		return err
	}
	if err := job.ReportProgress(ctx, sdk.Progress{Done: 1, Total: 2, Message: "half"}); err != nil {
		return err
	}
	job.Result = strconv.Itoa(response.Status)
	return nil
}
