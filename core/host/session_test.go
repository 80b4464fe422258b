package host_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/host"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// TestALostSessionCancelsItemsAndComesBack moves the registry's clock past the
// lease, as a suspend of the machine does.
// In ElasticJob jobs stay down for ever: #1857, #2383, #543, #582 and #1807.
func TestALostSessionCancelsItemsAndComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var causes []error
		hang := spi.Plugin{
			Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "HANG", Description: "runs until it is cancelled"},
			JobType: func(context.Context, props.Values) (spi.JobType, error) {
				return spi.JobTypeFunc(func(ctx context.Context, _ spi.ExecuteRequest) (spi.ExecuteResponse, error) {
					<-ctx.Done()
					mu.Lock()
					defer mu.Unlock()
					causes = append(causes, context.Cause(ctx))
					return spi.ExecuteResponse{}, ctx.Err()
				}), nil
			},
		}
		plugins := catalog.New()
		if err := plugins.Add(catalog.Source{Provenance: spi.Provenance{Host: "built-in"}}, append(builtin.All(), hang)...); err != nil {
			t.Fatal(err)
		}
		hanging, quick := job.Defaults("hanging"), job.Defaults("quick")
		hanging.Type, hanging.Every, hanging.ShardingTotalCount = "HANG", time.Hour, 1
		hanging.Every = 2 * time.Second
		quick.Type, quick.Every, quick.ShardingTotalCount = "FAKE", time.Second, 1
		c := config.Defaults()
		c.Jobs = []job.Config{hanging, quick}
		c.ShutdownGrace = time.Second
		h, problems := host.New(t.Context(), host.Config{
			Node: c, Catalog: plugins, Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
			LocalZone: func() (string, error) { return "UTC", nil },
		})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		h.UseSteadyClock()
		quickRuns, hangingRuns := 0, 0
		verdicts := make(map[time.Time]int)
		h.Events().Started.Subscribe(func(e execution.ItemStarted) {
			mu.Lock()
			defer mu.Unlock()
			if e.Job == "quick" {
				quickRuns++
				at, err := registry.ParseRunID(e.Run)
				if err != nil {
					t.Error(err)
				}
				verdicts[at]++
			} else {
				hangingRuns++
			}
		})
		h.Events().Misfired.Subscribe(func(e execution.ItemMisfired) {
			mu.Lock()
			defer mu.Unlock()
			for at := e.From; e.Job == "quick" && !at.After(e.To); at = at.Add(time.Second) {
				verdicts[at]++
			}
		})
		begin := time.Now().Add(time.Second).UTC()
		if err := h.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		h.Server().SetTime(time.Now().Add(time.Minute))
		time.Sleep(20 * time.Second)
		mu.Lock()
		if len(causes) == 0 || !errors.Is(causes[0], spi.ErrLeaseLost) {
			t.Errorf("causes = %v, want the running item cancelled with %v", causes, spi.ErrLeaseLost)
		}
		if hangingRuns < 2 {
			t.Errorf("the hanging item ran %d times, want it to run again under the new session", hangingRuns)
		}
		before := quickRuns
		mu.Unlock()
		h.Server().SetTime(time.Time{})
		time.Sleep(80 * time.Second)
		mu.Lock()
		if quickRuns < before+10 {
			t.Errorf("quick ran %d times in 80 s after the session came back, want it to fire again", quickRuns-before)
		}
		mu.Unlock()
		end := time.Now().UTC()
		if err := h.Stop(t.Context()); err != nil {
			t.Errorf("Stop() = %v, want nil", err)
		}
		for at := begin; !at.After(end.Add(-time.Second)); at = at.Add(time.Second) {
			if verdicts[at] != 1 {
				t.Errorf("quick has %d verdicts for %s, want 1", verdicts[at], at)
			}
		}
	})
}
