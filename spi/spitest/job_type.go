package spitest

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/spitest/subject"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// JobType calls the job type.
func JobType(t *testing.T, h Host) {
	t.Helper()
	p := h.plugin(t, spi.KindJobType, subject.Type)
	execute := func(ctx context.Context, c spi.ShardingContext, services spi.Services) (result string, failed *spi.Error) {
		failed = use(ctx, h, p.JobType, c.Props, func(job spi.JobType) error {
			response, err := job.Execute(ctx, spi.ExecuteRequest{Context: c, Services: services})
			result = text(response.Message, wire.MaxText)
			return err
		})
		return result, failed
	}
	performAll(t, h, common(), func(ctx context.Context, values props.Values, services spi.Services) *spi.Error {
		c := sampleContext()
		c.Props = values
		_, failed := execute(ctx, c, services)
		return failed
	})

	results := []struct{ name, do, text, times, want string }{
		{"no result", subject.DoSay, "", "1", ""},
		{"result of any characters", subject.DoSay, "a=\"b\"\n\\ \u2028 広州 🚀 \x00", "1", "a=\"b\"\n\\ \u2028 広州 🚀 \x00"},
		{"result of 4 KiB", subject.DoSay, "x", "4096", strings.Repeat("x", 4096)},
		{"result of more", subject.DoSay, "長い", "1000", shortened(strings.Repeat("長い", 1000))},
		{"result that is no text", subject.DoSayBytes, "", "1", "a\uFFFDb\uFFFD\uFFFD"},
	}
	for _, r := range results {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			c := sampleContext()
			c.Props = do(r.do, subject.PropText, r.text, subject.PropTimes, r.times)
			got, failed := execute(t.Context(), c, &Recorder{})
			if failed != nil || got != r.want {
				t.Errorf("Execute() = %q, error %s, want %q", got, subject.ErrorText(failed), r.want)
			}
		})
	}

	for name, c := range contexts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder := &Recorder{}
			got, failed := execute(t.Context(), c, recorder)
			if failed != nil {
				t.Fatalf("Execute() fails with %s, want success", subject.ErrorText(failed))
			}
			want := subject.ContextText(c)
			if diff := cmp.Diff([]string{want}, recorder.Lines()); diff != "" {
				t.Errorf("context (-want +got):\n%s", diff)
			}
			if got != shortened(want) {
				t.Errorf("Execute() = %q, want %q", got, shortened(want))
			}
		})
	}
	t.Run("deadline", func(t *testing.T) {
		t.Parallel()
		deadline := time.Now().UTC().Truncate(time.Millisecond).Add(patience)
		ctx, cancel := context.WithDeadlineCause(t.Context(), deadline, spi.ErrTimeout)
		defer cancel()
		c := sampleContext()
		c.Deadline = deadline
		c.Props = do(subject.DoEcho)
		if got, failed := execute(ctx, c, &Recorder{}); failed != nil || got != subject.ContextText(c) {
			t.Errorf("Execute() = %q, error %s, want %q", got, subject.ErrorText(failed), subject.ContextText(c))
		}
		c.Props = do(subject.DoDeadline)
		if got, failed := execute(ctx, c, &Recorder{}); failed != nil || got != "true" {
			t.Errorf("Execute() with a deadline = %q, error %s, want true", got, subject.ErrorText(failed))
		}
		c.Deadline = time.Time{}
		if got, failed := execute(t.Context(), c, &Recorder{}); failed != nil || got != "false" {
			t.Errorf("Execute() without a deadline = %q, error %s, want false", got, subject.ErrorText(failed))
		}
	})
	t.Run("many at once", func(t *testing.T) {
		t.Parallel()
		results := make(chan string, 32)
		for i := range cap(results) {
			go func() {
				c := sampleContext()
				c.ShardingItem = i
				c.Props = do(subject.DoEcho)
				got, failed := execute(t.Context(), c, &Recorder{})
				if want := subject.ContextText(c); failed != nil || got != want {
					results <- "item got " + got + ", error " + subject.ErrorText(failed) + ", want " + want
					return
				}
				results <- ""
			}()
		}
		for range cap(results) {
			if problem := <-results; problem != "" {
				t.Error(problem)
			}
		}
	})
}

// contexts are sharding contexts, by what is special about them.
func contexts() map[string]spi.ShardingContext {
	with := func(change func(*spi.ShardingContext)) spi.ShardingContext {
		c := sampleContext()
		c.Props = do(subject.DoEcho)
		change(&c)
		return c
	}
	all := map[string]spi.ShardingContext{
		"whole context":      with(func(*spi.ShardingContext) {}),
		"no checkpoint":      with(func(c *spi.ShardingContext) { c.Checkpoint = nil }),
		"empty checkpoint":   with(func(c *spi.ShardingContext) { c.Checkpoint = []byte{} }),
		"largest checkpoint": with(func(c *spi.ShardingContext) { c.Checkpoint = make([]byte, 12<<10) }),
		"largest numbers": with(func(c *spi.ShardingContext) {
			c.FencingToken, c.Attempt, c.ShardingItem, c.ShardingTotalCount = 1<<63-1, 1<<31-1, 9999, 10_000
		}),
		"smallest context": {FireTime: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), Props: do(subject.DoEcho)},
		"long parameter":   with(func(c *spi.ShardingContext) { c.JobParameter = strings.Repeat("長い", 5000) }),
		"last milliseconds": with(func(c *spi.ShardingContext) {
			c.FireTime = time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)
		}),
		"any properties": with(func(c *spi.ShardingContext) {
			maps.Copy(c.Props, props.Values{"label.区": "\"一\"\n", "empty": "", "A.b-c": "1,2"})
		}),
	}
	for _, source := range []spi.Source{spi.SourceNormal, spi.SourceMisfire, spi.SourceOneOff, spi.SourceRetry} {
		all["source "+string(source)] = with(func(c *spi.ShardingContext) { c.ExecutionSource = source })
	}
	return all
}
