package wasm

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

func TestCommand(t *testing.T) {
	t.Parallel()
	j := newJob(t, goCommand(t))
	t.Run("output is logged and exit status 0 is success", func(t *testing.T) {
		t.Parallel()
		got := execute(t.Context(), t, j, "")
		if got.err != nil || got.message != "" {
			t.Errorf("Execute = %q, %v, want success", got.message, got.err)
		}
		if diff := cmp.Diff([]spi.LogRecord{
			{Level: spi.LevelInfo, Stream: spi.StreamStdout, Line: "item 2"},
			{Level: spi.LevelWarn, Stream: spi.StreamStderr, Line: "a warning"},
		}, got.records); diff != "" {
			t.Errorf("records (-want +got):\n%s", diff)
		}
		if got := execute(t.Context(), t, j, "exit 0"); got.err != nil {
			t.Errorf("Execute(exit 0) = %v, want success", got.err)
		}
	})
	t.Run("arguments are the file and the context", func(t *testing.T) {
		t.Parallel()
		if got := execute(t.Context(), t, j, "arguments"); !cmp.Equal(got.lines(), []string{"2 gocommand.wasm true 0"}) {
			t.Errorf("Execute(arguments) = %q, want the name, the context twice and no environment", got.lines())
		}
	})
	t.Run("files are not there", func(t *testing.T) {
		t.Parallel()
		if got := execute(t.Context(), t, j, "open"); !cmp.Equal(got.lines(), []string{"true"}) {
			t.Errorf("Execute(open) = %q, want an error in the guest", got.lines())
		}
	})
	t.Run("a long line is cut and the rest goes on", func(t *testing.T) {
		t.Parallel()
		lines := execute(t.Context(), t, j, "long line").lines()
		if len(lines) != 2 || len(lines[0]) > wire.MaxLogLine || !strings.HasSuffix(lines[0], "…") || lines[1] != "after" {
			t.Errorf("Execute(long line) = %d lines, want a cut one and the next", len(lines))
		}
	})
	t.Run("a flood is dropped and counted", func(t *testing.T) {
		t.Parallel()
		got := execute(t.Context(), t, j, "flood")
		lines := got.lines()
		if last := lines[len(lines)-1]; got.err != nil || len(lines) > 1100 || !strings.Contains(last, "bytes of output dropped") {
			t.Errorf("Execute(flood) = %v, %d lines, the last %q, want the rest dropped", got.err, len(lines), last)
		}
	})
}

func TestCommandFails(t *testing.T) {
	t.Parallel()
	j := newJob(t, goCommand(t), func(r *spi.LoadRequest) { r.Limits.Memory = 64 << 20 })
	var last []string
	for i := 10; i < 30; i++ {
		last = append(last, "line "+strconv.Itoa(i))
	}
	for parameter, want := range map[string]spi.Error{
		"fail":          {Code: spi.CodeFailed, Message: strings.Join(last, "\n")},
		"fail silently": {Code: spi.CodeFailed, Message: "exit status 9"},
		"panic":         {Code: spi.CodeFailed, Message: "panic: the command panics"},
		"bomb":          {Code: spi.CodeLimit, Message: "the memory limit of 64 MiB was reached"},
	} {
		t.Run(parameter, func(t *testing.T) {
			t.Parallel()
			got := execute(t.Context(), t, j, parameter)
			if got.code() != want.Code || !strings.HasPrefix(got.err.Message, want.Message) {
				t.Errorf("Execute(%s) = %v %v, want %v %q", parameter, got.code(), got.err, want.Code, want.Message)
			}
		})
	}
	if got := execute(t.Context(), t, j, "fail at length"); got.code() != spi.CodeFailed || len(got.err.Message) > 4<<10 || !strings.HasPrefix(got.err.Message, "…") {
		t.Errorf("Execute(fail at length) = %d bytes, want at most 4 KiB with a mark", len(got.err.Message))
	}
}

func TestCommandWithLongContext(t *testing.T) {
	t.Parallel()
	j := newJob(t, goCommand(t))
	response, err := j.Execute(t.Context(), spi.ExecuteRequest{Services: &recorder{}, Context: spi.ShardingContext{
		JobName: "orders", JobParameter: "exit 0", ShardingParameter: strings.Repeat("p", wire.MaxArguments),
	}})
	if err != nil || response.Message != "" {
		t.Errorf("Execute = %v, want success from standard input alone", err)
	}
	r := &recorder{}
	if _, err := j.Execute(t.Context(), spi.ExecuteRequest{Services: r, Context: spi.ShardingContext{
		JobParameter: "arguments", ShardingParameter: strings.Repeat("p", wire.MaxArguments),
	}}); err != nil {
		t.Fatal(err)
	}
	if len(r.records) != 1 || r.records[0].Line != "1 gocommand.wasm false 0" {
		t.Errorf("arguments = %v, want the name only", r.records)
	}
}
