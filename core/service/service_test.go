package service_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/service"
	"github.com/elasticjob-go/elasticjob/core/service/servicetest"
)

func TestBackgroundKeepsTheContract(t *testing.T) {
	t.Parallel()
	servicetest.Stress(t, func(*testing.T) service.Service {
		return service.NewBackground(func(ctx context.Context) { <-ctx.Done() })
	})
}

func TestGroupKeepsTheContract(t *testing.T) {
	t.Parallel()
	servicetest.Stress(t, func(*testing.T) service.Service {
		wait := func(ctx context.Context) { <-ctx.Done() }
		return service.NewGroup(service.NewBackground(wait), service.NewBackground(wait))
	})
}

func TestBackgroundStopEndsWithItsContext(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := service.NewBackground(func(context.Context) { <-release })
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Stop(cancelled) = %v, want %v", err, context.Canceled)
	}
	close(release)
	if err := b.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
}

type recorded struct {
	name string
	log  *[]string
	fail error
}

func (r recorded) Start(context.Context) error {
	*r.log = append(*r.log, "start "+r.name)
	return r.fail
}

func (r recorded) Stop(context.Context) error {
	*r.log = append(*r.log, "stop "+r.name)
	return nil
}

func TestGroupOrder(t *testing.T) {
	t.Parallel()
	errBroken := errors.New("broken")
	tests := []struct {
		name string
		fail error
		want []string
	}{
		{name: "all start", want: []string{"start a", "start b", "start c", "stop c", "stop b", "stop a"}},
		{name: "the last one fails", fail: errBroken, want: []string{"start a", "start b", "start c", "stop b", "stop a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log []string
			g := service.NewGroup(recorded{"a", &log, nil}, recorded{"b", &log, nil}, recorded{"c", &log, tt.fail})
			if err := g.Start(t.Context()); !errors.Is(err, tt.fail) {
				t.Errorf("Start() = %v, want %v", err, tt.fail)
			}
			if err := g.Stop(t.Context()); err != nil {
				t.Errorf("Stop() = %v, want nil", err)
			}
			if !slices.Equal(log, tt.want) {
				t.Errorf("calls = %v, want %v", log, tt.want)
			}
		})
	}
}
