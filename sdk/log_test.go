package sdk

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
)

func TestLine(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		message    string
		attributes []any
		want       string
	}{
		{"message alone", "as it is = \"fine\"", nil, "as it is = \"fine\""},
		{"one attribute", "read", []any{"records", 12}, "read records=12"},
		{"no message", "", []any{"records", 12}, "records=12"},
		{"name without value", "read", []any{"records", 12, "rest"}, "read records=12 rest"},
		{"quoted", "read", []any{"a", "two words", "b", "", "c", "x=y", "d", "\"", "e", "\n"}, `read a="two words" b="" c="x=y" d="\"" e="\n"`},
		{"texts", "", []any{"a", errors.New("broken"), "b", 1500 * time.Millisecond, "c", []byte("raw"), "d", nil}, "a=broken b=1.5s c=raw d=nil"},
		{"numbers", "", []any{
			"a", int8(-1), "b", int16(-2), "c", int32(-3), "d", int64(-4), "e", uint(5), "f", uint8(6), "g", uint16(7), "h", uint32(8), "i", uint64(9),
			"j", float32(0.1), "k", 1e21,
		}, "a=-1 b=-2 c=-3 d=-4 e=5 f=6 g=7 h=8 i=9 j=0.1 k=1e+21"},
		{"boolean and time", "", []any{"a", true, "b", time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)}, "a=true b=2026-01-02T03:04:05.006Z"},
		{"unknown type", "", []any{"a", struct{}{}}, "a=?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := line(tt.message, tt.attributes); got != tt.want {
				t.Errorf("line(%q, %v) = %s, want %s", tt.message, tt.attributes, got, tt.want)
			}
		})
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	host := &recorder{}
	_, failure := execute(t, host, JobType("A", "", func(_ context.Context, job *Job) error {
		job.Debug("d")
		job.Info("i")
		job.Warn("w")
		job.Error("e")
		return nil
	}))
	if failure != nil {
		t.Fatal(failure)
	}
	var want []spi.LogRecord
	for i, level := range []spi.Level{spi.LevelDebug, spi.LevelInfo, spi.LevelWarn, spi.LevelError} {
		want = append(want, spi.LogRecord{Level: level, Stream: spi.StreamLog, Line: "diwe"[i : i+1]})
	}
	if diff := cmp.Diff(want, host.records); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestAJobOfATestDropsItsLog(t *testing.T) {
	t.Parallel()
	(&Job{}).Info("nobody hears this")
}
