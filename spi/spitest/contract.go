package spitest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Contract holds what every plugin owes its host, whatever it does: it says what
// it is for, its schema agrees with itself, it can be constructed from the given
// properties more than once, several calls at once do not meet, answers are of
// those that the SPI allows, and a call whose context has ended returns. The
// plugin is called with services that deny every operation, so that it also
// meets failure. Run it with the race detector.
func Contract(t *testing.T, p spi.Plugin, given map[string]string) {
	t.Helper()
	if err := p.Check(); err != nil {
		t.Fatalf("Check() = %v, want nil", err)
	}
	if strings.TrimSpace(p.Descriptor.Description) == "" || p.Descriptor.Version == "" {
		t.Errorf("description %q and version %q, want both", p.Descriptor.Description, p.Descriptor.Version)
	}
	checkSchema(t, p.Descriptor.Props, given)
	values, problems := p.Descriptor.Props.Resolve(given)
	if len(problems) > 0 {
		t.Fatalf("Resolve(%v) has the problems %v, want none", given, problems)
	}
	calls := make([]call, 2)
	for i := range calls {
		calls[i] = construct(t, p, values)
	}
	t.Run("calls at once", func(t *testing.T) { callAtOnce(t, calls) })
	t.Run("ended context", func(t *testing.T) { callTooLate(t, calls[0]) })
	// One closed does not take the other with it.
	calls[0].close(t)
	if err := calls[1].do(t.Context()); err != nil {
		t.Errorf("a call after another plugin of the type was closed: %v", err)
	}
	calls[1].close(t)
}

// checkSchema holds that the schema takes its own examples, and asks for what it
// requires by name.
func checkSchema(t *testing.T, schema props.Schema, given map[string]string) {
	t.Helper()
	for _, p := range schema.CheckExamples() {
		t.Errorf("property %s %s", p.Property, p.Message)
	}
	for _, f := range schema {
		if !f.Required {
			continue
		}
		rest := make(map[string]string, len(given))
		for name, value := range given {
			if name != f.Name {
				rest[name] = value
			}
		}
		if _, problems := schema.Resolve(rest); len(problems) == 0 || problems[0].Property != f.Name {
			t.Errorf("without the required property %s: problems %v, want one of it", f.Name, problems)
		}
	}
}

// call is a constructed plugin.
type call struct {
	// do calls it, and checks the answer but for errors of the plugin's own.
	do     func(ctx context.Context) error
	plugin any
}

func (c call) close(t *testing.T) {
	t.Helper()
	if closer, ok := c.plugin.(spi.Closer); ok {
		if err := closer.Close(t.Context()); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	}
}

// callAtOnce calls both plugins from several goroutines.
func callAtOnce(t *testing.T, calls []call) {
	t.Helper()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			if err := calls[i%len(calls)].do(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// callTooLate calls the plugin when there is nothing left to do.
func callTooLate(t *testing.T, c call) {
	t.Helper()
	ctx, end := context.WithCancelCause(t.Context())
	end(spi.ErrStopping)
	returned := make(chan error, 1)
	go func() { returned <- c.do(ctx) }()
	select {
	case err := <-returned:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Errorf("a call whose context has ended has not returned within %s", patience)
	}
}

// construct makes a plugin that the host would call.
func construct(t *testing.T, p spi.Plugin, values props.Values) call {
	t.Helper()
	services := &Recorder{Answer: func(context.Context, string, []byte) ([]byte, error) {
		return nil, spi.NewError(spi.CodeDenied, "nothing is granted here")
	}}
	sharding := spi.ShardingContext{
		JobName: "contract", TaskID: "contract@-@0@-@READY@-@127.0.0.1@-@1", ShardingTotalCount: 2, RunID: "20260102T030405.000Z",
		FireTime: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), ExecutionSource: spi.SourceNormal, Attempt: 1, FencingToken: 1, Props: values,
	}
	var err error
	var c call
	switch p.Descriptor.Kind {
	case spi.KindJobType:
		var job spi.JobType
		job, err = p.JobType(t.Context(), values)
		c = call{plugin: job, do: func(ctx context.Context) error {
			_, err := job.Execute(ctx, spi.ExecuteRequest{Context: sharding, Services: services})
			return checkError(err)
		}}
	case spi.KindShardingStrategy:
		var strategy spi.ShardingStrategy
		strategy, err = p.ShardingStrategy(t.Context(), values)
		c = call{plugin: strategy, do: func(ctx context.Context) error {
			return askStrategy(ctx, strategy, spi.ShardRequest{JobName: "contract", Props: values, Services: services}, p.Descriptor.Has(spi.CapabilityBroadcast))
		}}
	case spi.KindErrorHandler:
		var handler spi.ErrorHandler
		handler, err = p.ErrorHandler(t.Context(), values)
		c = call{plugin: handler, do: func(ctx context.Context) error {
			response, err := handler.HandleError(ctx, spi.HandleErrorRequest{
				Context: sharding, Error: spi.NewError(spi.CodeFailed, "as told"), Props: values, Services: services,
			})
			switch response.Decision {
			case spi.DecisionContinue, spi.DecisionStop, "":
				return checkError(err)
			default:
				return fmt.Errorf("decision %q, want continue or stop", response.Decision)
			}
		}}
	default:
		t.Fatalf("no contract of kind %s", p.Descriptor.Kind)
	}
	if err != nil {
		t.Fatalf("constructing %s: %v", p.Descriptor.Type, err)
	}
	return c
}

// checkError takes errors as long as they say something that the host can show.
func checkError(err error) error {
	if err == nil {
		return nil
	}
	if e := spi.AsError(err); strings.TrimSpace(e.Message) == "" || e.Code == 0 {
		return fmt.Errorf("an error has the message %q and the code %d, want both", e.Message, e.Code)
	}
	return nil
}

// askStrategy asks for the items of fleets of several sizes, of which each item
// must have one owner.
func askStrategy(ctx context.Context, strategy spi.ShardingStrategy, req spi.ShardRequest, broadcasts bool) error {
	for _, size := range []int{1, 2, 7} {
		for _, total := range []int{1, 5, 100} {
			req.Instances, req.Items = nil, nil
			for i := range size {
				ip := fmt.Sprintf("10.0.0.%d", i+1)
				req.Instances = append(req.Instances, spi.Instance{ID: ip + "@-@1", IP: ip})
			}
			if broadcasts {
				total = size
			}
			req.ShardingTotalCount = total
			for i := range total {
				req.Items = append(req.Items, spi.Item{Item: i})
			}
			response, err := strategy.Shard(ctx, req)
			if ctx.Err() != nil && err != nil {
				return checkError(err)
			}
			if err != nil {
				return fmt.Errorf("sharding %d items on %d instances: %w", total, size, err)
			}
			if err := checkOwners(req, response.Assignment); err != nil {
				return fmt.Errorf("sharding %d items on %d instances: %w", total, size, err)
			}
			req.Previous = response.Assignment
		}
	}
	return nil
}

func checkOwners(req spi.ShardRequest, assignment map[string][]int) error {
	offered := make(map[string]bool, len(req.Instances))
	for _, i := range req.Instances {
		offered[i.ID] = true
	}
	owned := make(map[int]bool, req.ShardingTotalCount)
	for id, items := range assignment {
		if !offered[id] {
			return fmt.Errorf("instance %q was not offered", id)
		}
		for _, item := range items {
			if item < 0 || item >= req.ShardingTotalCount || owned[item] {
				return fmt.Errorf("item %d is not one of %d, or has two owners", item, req.ShardingTotalCount)
			}
			owned[item] = true
		}
	}
	if len(owned) != req.ShardingTotalCount {
		return errors.New("an item has no owner")
	}
	return nil
}
