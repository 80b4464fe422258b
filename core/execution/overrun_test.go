package execution

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
)

// TestTheLogSaysWhatIgnoresItsEnd lets code run on after its context has ended:
// long enough is said once, and less not at all.
func TestTheLogSaysWhatIgnoresItsEnd(t *testing.T) {
	t.Parallel()
	limited := job.Config{Timeout: time.Second}
	for _, tt := range []struct {
		name   string
		config job.Config
		fires  int
		after  time.Duration // of the end of the context
		want   string        // cause; "" for no record
	}{
		{"a timeout that is ignored for ever", limited, 1, time.Hour, `"timeout of 1s exceeded"`},
		{"a timeout that is heeded late", limited, 1, overrunAfter - time.Millisecond, ""},
		{"a next fire that is ignored", superseding(), 3, time.Hour, `"its next fire has come"`},
		{"a next fire that is heeded late", superseding(), 3, overrunAfter - time.Millisecond, ""},
		{"no end", job.Config{}, 3, time.Hour, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				r := newRig(t, slog.New(slog.NewTextHandler(&log, nil)))
				if err := r.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				runs := 0
				j := r.host("orders", 1, &Spec{Config: tt.config, JobType: code(func(ctx context.Context, _ spi.ExecuteRequest) error {
					if runs++; runs > 1 { // what was held meanwhile
						return nil
					}
					if tt.config.Timeout > 0 || tt.config.CancelsRunning() {
						<-ctx.Done()
					}
					time.Sleep(tt.after)
					return ctx.Err()
				})})
				for range tt.fires {
					r.fire(j)
					time.Sleep(time.Second)
				}
				time.Sleep(59 * time.Minute)
				synctest.Wait()
				const message = "item ignores its cancellation and runs on"
				if got := strings.Count(log.String(), message); got > 1 || (got == 1) != (tt.want != "") {
					t.Errorf("records = %d, want one for the cause %s:\n%s", got, tt.want, log.String())
				}
				want := `level=ERROR msg="` + message + `" job=orders item=0 run=20000101T000000.000Z attempt=1 cause=` + tt.want
				if tt.want != "" && !strings.Contains(log.String(), want) {
					t.Errorf("log = %s\nwant %s", log.String(), want)
				}
				time.Sleep(time.Hour) // until all code has returned
				r.stop(t)
			})
		})
	}
}
