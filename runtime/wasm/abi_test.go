package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// TestABI holds the host to the ABI page with the guest in C, which was
// written from that page alone.
func TestABI(t *testing.T) {
	t.Parallel()
	for name, path := range cGuests(t, "guest.wasm") {
		for _, isolation := range []spi.Isolation{spi.IsolationFresh, spi.IsolationPooled} {
			t.Run(name+" "+string(isolation), func(t *testing.T) {
				t.Parallel()
				j := newJob(t, path, func(r *spi.LoadRequest) {
					r.Isolation = isolation
					r.Limits.Memory = 64 << 20
				})
				for _, c := range abiCases() {
					t.Run(c.name, func(t *testing.T) {
						t.Parallel()
						c.check(t, j)
					})
				}
			})
		}
	}
}

type abiCase struct {
	name, parameter string
	message         string
	code            spi.Code
	errorText       string // in the error's message
}

func (c abiCase) check(t *testing.T, j spi.JobType) {
	t.Helper()
	got := execute(t.Context(), t, j, c.parameter)
	if got.message != c.message || got.code() != c.code {
		t.Errorf("Execute(%q) = %q, %v, want %q, %v", c.parameter, got.message, got.err, c.message, c.code)
	}
	if got.err != nil && !strings.Contains(got.err.Message, c.errorText) {
		t.Errorf("Execute(%q) = error %q, want it to contain %q", c.parameter, got.err.Message, c.errorText)
	}
	// Whatever happened, the next call gets an instance that works.
	if next := execute(t.Context(), t, j, "say:next"); next.message != "next" || next.err != nil {
		t.Errorf("Execute after %q = %q, %v, want next", c.parameter, next.message, next.err)
	}
}

func abiCases() []abiCase {
	cases := []abiCase{
		{name: "no output is an empty object", parameter: ""},
		{name: "a message is the result", parameter: "say:hello", message: "hello"},
		{name: "the plugin is WASM", parameter: "plugin", message: "WASM"},
		{name: "without a time limit there is no deadline", parameter: "deadline", message: ""},
		{name: "input_read copies all or nothing and may be repeated", parameter: "input", message: "1 1 1 1"},
		{name: "output_write replaces the output", parameter: "output twice", message: "second"},
		{name: "unknown members of the response are ignored", parameter: "raw:{'message':'m','more':[1,{}]}", message: "m"},
		{name: "the last of duplicate members wins", parameter: "raw:{'message':'a','message':'b'}", message: "b"},
		{name: "an output that is no JSON", parameter: "raw:hello", code: spi.CodeProtocol, errorText: "elasticjob_execute"},
		{name: "an output of two values", parameter: "raw:{} {}", code: spi.CodeProtocol},
		{name: "an output of another type", parameter: "raw:[]", code: spi.CodeProtocol},
		{name: "a member of another type", parameter: "raw:{'message':1}", code: spi.CodeProtocol, errorText: "message"},
		{name: "the largest output", parameter: "large output"},
		{name: "an output that is too large", parameter: "huge output", code: spi.CodeLimit, errorText: "16 MiB"},
		{name: "an error that is no JSON", parameter: "bad error", code: spi.CodeProtocol},
		{name: "result 2", parameter: "return:2", code: spi.CodeProtocol, errorText: "returned 2"},
		{name: "result -1", parameter: "return:-1", code: spi.CodeProtocol},
		{name: "a trap", parameter: "trap", code: spi.CodeTrap, errorText: "unreachable"},
		{name: "abort", parameter: "abort", code: spi.CodeTrap},
		{name: "proc_exit of 0", parameter: "exit:0", code: spi.CodeTrap, errorText: "exited with status 0"},
		{name: "proc_exit of 3", parameter: "exit:3", code: spi.CodeTrap, errorText: "exited with status 3"},
		{name: "proc_exit with the status of an interruption", parameter: "exit:-1", code: spi.CodeTrap, errorText: "exited"},
		{name: "endless recursion", parameter: "dive", code: spi.CodeTrap},
		{name: "a memory bomb", parameter: "bomb", code: spi.CodeLimit, errorText: "64 MiB"},
		{name: "a refused allocation alone is no error", parameter: "careful", message: "out of memory, and fine"},
		{name: "clocks are real", parameter: "nap", message: "1 1"},
		{name: "empty ranges are nowhere outside", parameter: "empty ranges"},
		{name: "host_read before any host_call", parameter: "host_read before", message: "0"},
	}
	for code := -1; code <= 17; code++ {
		cases = append(cases, errorCase(code))
	}
	cases = append(cases, errorCase(999), errorCase(1000), errorCase(1<<31-1))
	for _, pointer := range []string{"input_read", "output_write", "log", "host_call.op", "host_call.request", "host_read", "input_read.huge"} {
		name, _, _ := strings.Cut(pointer, ".")
		cases = append(cases, abiCase{name: "a bad pointer in " + pointer, parameter: "pointer:" + pointer, code: spi.CodeProtocol, errorText: name})
	}
	return cases
}

// errorCase is an error object with that code. The page lists who may send
// which; the list is repeated here instead of asking the code under test.
func errorCase(code int) abiCase {
	want := spi.Code(code)
	switch {
	case code == 0:
		want = spi.CodeFailed
	case code >= 1 && code <= 5, code >= 13 && code <= 15, code >= 1000:
	default:
		want = 11
	}
	return abiCase{name: "error code " + strconv.Itoa(code), parameter: "error:" + strconv.Itoa(code), code: want, errorText: "code " + strconv.Itoa(code)}
}

func TestErrorCodeZeroIsNoBreach(t *testing.T) {
	t.Parallel()
	got := execute(t.Context(), t, newJob(t, prebuilt), "error:0")
	if got.code() != spi.CodeFailed || strings.Contains(got.err.Message, "may not send") {
		t.Errorf("Execute(error:0) = %v %v, want %v without blame", got.code(), got.err, spi.CodeFailed)
	}
}

func TestErrorsKeepTheStack(t *testing.T) {
	t.Parallel()
	j := newJob(t, prebuilt)
	got := execute(t.Context(), t, j, "abort")
	if got.err == nil || !strings.Contains(got.err.Stack, "abort") || !strings.Contains(got.err.Stack, "about to abort") {
		t.Errorf("Execute(abort) = %+v, want a stack with the function and the last lines of stderr", got.err)
	}
	if got.err != nil && strings.Contains(got.err.Message, "\n") {
		t.Errorf("Execute(abort) = message %q, want one line", got.err.Message)
	}
}

func TestHostCall(t *testing.T) {
	t.Parallel()
	j := newJob(t, prebuilt)
	long := spi.NewError(spi.CodeTooLarge, "too much")
	for _, c := range []struct {
		name, op, want string
		answer         func(ctx context.Context, op string, request []byte) ([]byte, error)
	}{
		{"an answer", "should_stop", `0 22 {"stop":true,"n":"\"}`, nil},
		{"an unknown operation", "no.such", `-3 `, func(context.Context, string, []byte) ([]byte, error) {
			return nil, spi.NewError(spi.CodeUnsupported, "no")
		}},
		{"an error of the author", "x", `-1234 `, func(context.Context, string, []byte) ([]byte, error) {
			return nil, spi.NewError(1234, "no")
		}},
		{"a plain error", "x", `-1 `, func(context.Context, string, []byte) ([]byte, error) { return nil, errors.New("no") }},
		{"an error without code", "x", `-16 `, func(context.Context, string, []byte) ([]byte, error) { return nil, &spi.Error{Message: "no"} }},
		{"an error", "x", `-14 ` + strconv.Itoa(len(wire.AppendError(nil, long))) + ` ` + string(wire.AppendError(nil, long)), func(context.Context, string, []byte) ([]byte, error) {
			return nil, long
		}},
		{"an empty answer", "x", `0 0 `, func(context.Context, string, []byte) ([]byte, error) { return nil, nil }},
		{"an answer that is too large", "x", `-14 `, func(context.Context, string, []byte) ([]byte, error) { return make([]byte, wire.MaxMessage+1), nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			answer := c.answer
			if answer == nil {
				answer = func(context.Context, string, []byte) ([]byte, error) { return []byte(`{"stop":true}`), nil }
				c.want = `13 13 {"stop":true}`
			}
			var gotOp, gotRequest string
			got := execute(t.Context(), t, j, "host:"+c.op, &recorder{call: func(ctx context.Context, op string, request []byte) ([]byte, error) {
				gotOp, gotRequest = op, string(request)
				return answer(ctx, op, request)
			}})
			if !strings.HasPrefix(got.message, c.want) || got.err != nil {
				t.Errorf("host_call(%s) = %q, %v, want %q", c.op, got.message, got.err, c.want)
			}
			if gotOp != c.op || gotRequest != "{}" {
				t.Errorf("Call got %q, %q, want %q, {}", gotOp, gotRequest, c.op)
			}
		})
	}
}

// TestLargeExchanges has requests and responses at their bound, as those of
// HTTP may be.
func TestLargeExchanges(t *testing.T) {
	t.Parallel()
	j := newJob(t, prebuilt)
	for _, c := range []struct {
		request, response int
		want              string
	}{
		{wire.MaxMessage, wire.MaxMessage, strconv.Itoa(wire.MaxMessage) + " 1 1 rr"},
		{wire.MaxMessage + 1, 1, "-14 1 1 {}"},
		{1, wire.MaxMessage + 1, "-14 1 1 {}"},
	} {
		asked := 0
		got := execute(t.Context(), t, j, "exchange:"+strconv.Itoa(c.request), &recorder{call: func(_ context.Context, _ string, request []byte) ([]byte, error) {
			asked = len(request)
			return bytes.Repeat([]byte("r"), c.response), nil
		}})
		if got.message != c.want || got.err != nil {
			t.Errorf("exchange of %d and %d bytes = %q, %v, want %q", c.request, c.response, got.message, got.err, c.want)
		}
		if want := c.request; want <= wire.MaxMessage && asked != want {
			t.Errorf("Call got %d bytes, want %d", asked, want)
		}
	}
}

func TestHostCallPanics(t *testing.T) {
	t.Parallel()
	got := execute(t.Context(), t, newJob(t, prebuilt), "host:x", &recorder{call: func(context.Context, string, []byte) ([]byte, error) { panic("a bug") }})
	if got.code() != spi.CodeInternal || !strings.Contains(got.err.Message, "a bug") {
		t.Errorf("Execute = %v, want %v with the reason", got.err, spi.CodeInternal)
	}
}

func TestShouldStopEndsALoop(t *testing.T) {
	t.Parallel()
	asked := 0
	got := execute(t.Context(), t, newJob(t, prebuilt), "until stop", &recorder{call: func(context.Context, string, []byte) ([]byte, error) {
		asked++
		return wire.AppendShouldStopResponse(nil, asked == 3, "stopping"), nil
	}})
	if got.code() != spi.CodeFailed || got.err.Message != "stopping as asked" || asked != 3 {
		t.Errorf("Execute = %v after %d questions, want the guest's own error after 3", got.err, asked)
	}
}

func TestGuestErrorAfterTheEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	got := execute(ctx, t, newJob(t, prebuilt), "until stop", &recorder{call: func(context.Context, string, []byte) ([]byte, error) {
		cancel(spi.ErrStopping)
		return wire.AppendShouldStopResponse(nil, true, "stopping"), nil
	}})
	if got.code() != spi.CodeCancelled {
		t.Errorf("Execute = %v, want %v", got.err, spi.CodeCancelled)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	j := newJob(t, prebuilt)
	t.Run("levels are rounded down", func(t *testing.T) {
		t.Parallel()
		var want []spi.LogRecord
		for level := -9; level <= 12; level++ {
			rounded := spi.LevelDebug
			switch {
			case level >= 8:
				rounded = spi.LevelError
			case level >= 4:
				rounded = spi.LevelWarn
			case level >= 0:
				rounded = spi.LevelInfo
			}
			want = append(want, spi.LogRecord{Level: rounded, Stream: spi.StreamLog, Line: "level " + strconv.Itoa(level)})
		}
		want = append(want, spi.LogRecord{Stream: spi.StreamLog, Line: "\uFFFDbad"}, spi.LogRecord{Stream: spi.StreamLog, Line: "two\nlines"})
		if diff := cmp.Diff(want, execute(t.Context(), t, j, "log").records); diff != "" {
			t.Errorf("records (-want +got):\n%s", diff)
		}
	})
	t.Run("streams become lines, the last one without an end too", func(t *testing.T) {
		t.Parallel()
		want := []spi.LogRecord{
			{Level: spi.LevelInfo, Stream: spi.StreamStdout, Line: "out 1"},
			{Level: spi.LevelWarn, Stream: spi.StreamStderr, Line: "err 1"},
			{Level: spi.LevelInfo, Stream: spi.StreamStdout, Line: "out 2"},
			{Level: spi.LevelWarn, Stream: spi.StreamStderr, Line: "err 2"},
		}
		if diff := cmp.Diff(want, execute(t.Context(), t, j, "streams").records); diff != "" {
			t.Errorf("records (-want +got):\n%s", diff)
		}
	})
	t.Run("a long line is cut and marked", func(t *testing.T) {
		t.Parallel()
		lines := execute(t.Context(), t, j, "long line").lines()
		if len(lines) != 1 || len(lines[0]) > wire.MaxLogLine || !strings.HasSuffix(lines[0], "a…") {
			t.Errorf("got %d lines, want one of at most 64 KiB that ends with a mark", len(lines))
		}
	})
	t.Run("a flood is dropped and counted, and the call goes on", func(t *testing.T) {
		t.Parallel()
		got := execute(t.Context(), t, j, "flood")
		lines := got.lines()
		kept := wire.MaxCallLog / 1001
		if got.message != "done" || len(lines) != kept+1 {
			t.Fatalf("got %q and %d lines, want done and %d", got.message, len(lines), kept+1)
		}
		if want := strconv.Itoa((5000-kept)*1000) + " bytes of output dropped"; !strings.HasPrefix(lines[kept], want) {
			t.Errorf("last line = %q, want %q", lines[kept], want)
		}
	})
}

func TestContextReachesTheGuest(t *testing.T) {
	t.Parallel()
	const rounding = time.Millisecond // messages have milliseconds, rounded up
	j := newJob(t, prebuilt, func(r *spi.LoadRequest) { r.Limits.Timeout = time.Hour })
	before := time.Now()
	got := execute(t.Context(), t, j, "deadline")
	deadline, err := time.Parse(time.RFC3339, got.message)
	if err != nil || deadline.Before(before.Add(59*time.Minute)) || deadline.After(time.Now().Add(time.Hour+rounding)) {
		t.Errorf("deadline = %q, want one hour from now: the lower of job and plugin", got.message)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got = execute(ctx, t, j, "deadline")
	if deadline, err = time.Parse(time.RFC3339, got.message); err != nil || deadline.After(time.Now().Add(time.Minute+rounding)) {
		t.Errorf("deadline = %q, want the one of the context", got.message)
	}
	for _, c := range []struct{ given, want time.Duration }{{30 * time.Minute, 30 * time.Minute}, {2 * time.Hour, time.Hour}} {
		given := time.Now().Add(c.given)
		response, err := j.Execute(t.Context(), spi.ExecuteRequest{Context: spi.ShardingContext{JobParameter: "deadline", Deadline: given}})
		if err != nil {
			t.Fatal(err)
		}
		if deadline, err = time.Parse(time.RFC3339, response.Message); err != nil || time.Until(deadline) > c.want+rounding || time.Until(deadline) < c.want-time.Minute {
			t.Errorf("deadline = %q, want it %v from now", response.Message, c.want)
		}
	}
}

func TestRandomIsReal(t *testing.T) {
	t.Parallel()
	j := newJob(t, prebuilt)
	if a, b := execute(t.Context(), t, j, "random"), execute(t.Context(), t, j, "random"); a.message == b.message || len(a.message) != 16 {
		t.Errorf("random = %q and %q, want two different numbers", a.message, b.message)
	}
}

func TestGoReactor(t *testing.T) {
	t.Parallel()
	bundle, err := shared.host.Load(t.Context(), spi.LoadRequest{Path: goReactor(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bundle.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if len(bundle.Plugins) != 1 || bundle.Plugins[0].Check() != nil || bundle.Plugins[0].Descriptor.Type != "GO_PLAIN" {
		t.Fatalf("Load = %+v, want the job type GO_PLAIN", bundle.Plugins)
	}
	values, problems := bundle.Plugins[0].Descriptor.Props.Resolve(nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	j, err := bundle.Plugins[0].JobType(t.Context(), values)
	if err != nil {
		t.Fatal(err)
	}
	got := execute(t.Context(), t, j, "")
	if want := "1 execute GO_PLAIN item 2 token 1152921504606846976 batch 100"; got.message != want {
		t.Errorf("Execute = %q, %v, want %q", got.message, got.err, want)
	}
	if diff := cmp.Diff([]spi.LogRecord{
		{Level: spi.LevelWarn, Stream: spi.StreamLog, Line: "xxx"},
		{Level: spi.LevelInfo, Stream: spi.StreamStdout, Line: "on stdout"},
	}, got.records); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if got := execute(t.Context(), t, j, "host", &recorder{call: func(context.Context, string, []byte) ([]byte, error) {
		return json.Marshal(map[string]any{"stop": false, "reason": ""})
	}}); got.message != `27 {"reason":"","stop":false}` && got.message != `26 {"reason":"","stop":false}` {
		t.Errorf("Execute(host) = %q, %v, want the answer", got.message, got.err)
	}
	for parameter, want := range map[string]spi.Code{"panic": spi.CodeTrap, "exit": spi.CodeTrap, "bomb": spi.CodeLimit} {
		got := execute(t.Context(), t, j, parameter)
		if got.code() != want {
			t.Errorf("Execute(%s) = %v, want %v", parameter, got.err, want)
		}
		if parameter == "panic" && !strings.Contains(got.err.Stack, "the guest panics") {
			t.Errorf("Execute(panic) = stack %q, want the reason in it", got.err.Stack)
		}
		if next := execute(t.Context(), t, j, "count"); next.message != "1" {
			t.Errorf("Execute after %s = %q, %v, want a new instance", parameter, next.message, next.err)
		}
	}
}
