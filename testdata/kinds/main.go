// Command kinds offers a plugin of every kind that a job names, for the tests
// that run them as a module and as a process of one node. The names of its
// types begin with what the linker sets.
package main

import (
	"context"
	"errors"
	"strconv"

	"github.com/elasticjob-go/elasticjob/sdk"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// prefix is set by the linker, so that two builds can serve one node.
var prefix = "KINDS_"

var (
	_ = sdk.Register(wanting(sdk.JobType(prefix+"ASK", "Asks a server, with a secret.", ask,
		props.Field{Name: "ask.url", Type: props.URL, Description: "Whom to ask.", Required: true},
		props.Field{Name: "ask.secret", Type: props.String, Description: "The secret to show.", Default: "token"})))
	_ = sdk.Register(sdk.Dataflow(prefix+"COUNT", "Counts to five, two at a time.", sdk.TextCodec(), fetch, process))
	_ = sdk.Register(sdk.ShardingStrategy(prefix+"LAST", "Gives everything to the last instance.", assign))
	_ = sdk.Register(sdk.ErrorHandler(prefix+"STOP", "Says what has failed, and stops the job.", handle))
	_ = sdk.Register(sdk.JobListener(prefix+"AUDIT", "Says when a run begins and ends.", before, after))
	_ = sdk.Register(onlyOnce(sdk.JobListener(prefix+"ONCE", "Is called once for the whole run.", before, after)))
)

func main() { sdk.Main() }

func wanting(plugin spi.Plugin) spi.Plugin {
	plugin.Descriptor.Version = "1.2"
	plugin.Descriptor.Wants = []spi.Want{
		{Op: spi.OpHTTPRequest, Value: "127.0.0.1", Why: "the answer"}, {Op: spi.OpHTTPRequest, Value: "backup.example.com"},
		{Op: spi.OpSecretGet, Value: "token"},
	}
	return plugin
}

func onlyOnce(plugin spi.Plugin) spi.Plugin {
	plugin.Descriptor.Capabilities = []string{spi.CapabilityDistributeOnce}
	return plugin
}

func ask(ctx context.Context, job *sdk.Job) error {
	token, err := job.Secret(ctx, job.Props.String("ask.secret"))
	if err != nil {
		return err
	}
	response, err := job.HTTP(ctx, sdk.HTTPRequest{
		Method: "GET", URL: job.Props.String("ask.url"), Headers: map[string][]string{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		return err
	}
	job.Result = strconv.Itoa(response.Status) + " " + string(response.Body)
	return nil
}

// known says whether the host tells a plugin of this kind the secret.
func known(ctx context.Context, h sdk.Host) string {
	token, err := h.Secret(ctx, "token")
	if err != nil {
		return "unknown secret: " + err.Error()
	}
	return "a secret of " + strconv.Itoa(len(token)) + " bytes"
}

func fetch(_ context.Context, _ *sdk.Job, cursor string) ([]string, string, error) {
	from, err := strconv.Atoi("0" + cursor)
	if err != nil || from >= 5 {
		return nil, "", err
	}
	var data []string
	for n := from; n < min(from+2, 5); n++ {
		data = append(data, "number "+strconv.Itoa(n))
	}
	return data, strconv.Itoa(from + 2), nil
}

func process(ctx context.Context, job *sdk.Job, data []string) error {
	job.Info(known(ctx, job.Host))
	for _, datum := range data {
		job.Info("counted " + datum)
	}
	return nil
}

func assign(ctx context.Context, s *sdk.Sharding) (map[string][]int, error) {
	assignment := make(map[string][]int)
	last := s.Instances[len(s.Instances)-1].ID
	for _, i := range s.Items {
		assignment[last] = append(assignment[last], i.Item)
	}
	s.Info("everything goes to the last of " + strconv.Itoa(len(s.Instances)) + ", with " + known(ctx, s.Host))
	return assignment, nil
}

func handle(ctx context.Context, f *sdk.Failure) (spi.Decision, error) {
	f.Warn("item " + strconv.Itoa(f.Context.ShardingItem) + " of " + f.Context.JobName + " has failed with code " + strconv.Itoa(int(f.Err.Code)) + ", with " + known(ctx, f.Host))
	return sdk.Stop, nil
}

func before(ctx context.Context, run *sdk.Run) error {
	run.Info("before " + strconv.Itoa(len(run.Items)) + " items of " + run.JobName + ", with " + known(ctx, run.Host))
	return nil
}

func after(_ context.Context, run *sdk.Run) error {
	if len(run.Items) == 0 {
		return errors.New("a run without items")
	}
	run.Info("after: item 0 ended with " + string(run.Items[0].Outcome))
	return nil
}
