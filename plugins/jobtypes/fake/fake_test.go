package fake_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/fake"
	"github.com/elasticjob-go/elasticjob/spi"
)

type services struct {
	mu    sync.Mutex
	lines []string
}

func (s *services) Log(_ context.Context, record spi.LogRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, record.Line)
}

func (*services) Call(context.Context, string, []byte) ([]byte, error) {
	return nil, spi.NewError(spi.CodeUnsupported, "none")
}

func newFake(t *testing.T, given map[string]string) spi.JobType {
	t.Helper()
	plugin := fake.Plugin()
	values, problems := plugin.Descriptor.Props.Resolve(given)
	if len(problems) > 0 {
		t.Fatalf("Resolve(%v) = %v, want no problem", given, problems)
	}
	job, err := plugin.JobType(t.Context(), values)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func TestDefaultsSucceedAtOnce(t *testing.T) {
	t.Parallel()
	if _, err := newFake(t, nil).Execute(t.Context(), spi.ExecuteRequest{Services: &services{}}); err != nil {
		t.Errorf("Execute() = %v, want nil", err)
	}
}

func TestOutputIsLoggedAndReturned(t *testing.T) {
	t.Parallel()
	var s services
	got, err := newFake(t, map[string]string{fake.PropOutput: "hello", fake.PropOutputLines: "3"}).Execute(t.Context(), spi.ExecuteRequest{Services: &s})
	if err != nil || got.Message != "hello" || len(s.lines) != 3 || s.lines[2] != "hello" {
		t.Errorf("Execute() = %v, %v with lines %q, want hello and three lines of it", got, err, s.lines)
	}
}

func TestFailureRateOfOneAlwaysFails(t *testing.T) {
	t.Parallel()
	job := newFake(t, map[string]string{fake.PropFailureRate: "1"})
	for range 20 {
		if _, err := job.Execute(t.Context(), spi.ExecuteRequest{Services: &services{}}); spi.AsError(err).Code != spi.CodeFailed {
			t.Fatalf("Execute() = %v, want a failure", err)
		}
	}
}

func TestPanicPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("Execute() returned, want a panic")
		}
	}()
	_, _ = newFake(t, map[string]string{fake.PropPanic: "true"}).Execute(t.Context(), spi.ExecuteRequest{Services: &services{}})
}

func TestDurationAndHangEndWithTheContext(t *testing.T) {
	t.Parallel()
	for _, given := range []map[string]string{{fake.PropDuration: "1h"}, {fake.PropHang: fake.HangCancellable}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, spi.ErrTimeout)
			defer cancel()
			if _, err := newFake(t, given).Execute(ctx, spi.ExecuteRequest{Services: &services{}}); !errors.Is(err, spi.ErrTimeout) {
				t.Errorf("Execute() of %v = %v, want %v", given, err, spi.ErrTimeout)
			}
		})
	}
}

func TestPropertiesAreChecked(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{fake.PropDuration: "-1s", fake.PropFailureRate: "2", fake.PropHang: "maybe", fake.PropPanic: "yes"} {
		if _, problems := fake.Plugin().Descriptor.Props.Resolve(map[string]string{name: value}); len(problems) != 1 {
			t.Errorf("Resolve(%s=%s) = %v, want one problem", name, value, problems)
		}
	}
}
