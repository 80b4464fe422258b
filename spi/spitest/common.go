package spitest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/spitest/subject"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// common is what every method of every kind does in the same way. Job types do
// all of it.
func common() []deed {
	var all []deed
	for _, deeds := range [][]deed{errorDeeds(), panicDeeds(), logDeeds(), operationDeeds(), contextDeeds()} {
		all = append(all, deeds...)
	}
	return all
}

// some is a part of common that touches everything a method could do in a way
// of its own.
func some() []deed {
	names := map[string]bool{
		"plain error": true, "all of an error": true, "error code 6 of nobody but the host": true, "error code 11 of nobody but the host": true,
		"error code 1000, may succeed later": true, "error whose text panics": true, "refused property": true, "failure to close": true,
		"panic": true, "end of the goroutine": true, "log of several lines": true, "level 7": true, "http": true, "secret": true,
		"progress": true, "operation fails with DENIED, later true": true, "wait until the lease is lost": true, "finish when the node stops": true,
		"called after the job is disabled": true, "asked to stop: stopping": true, "wait until the deadline": true, "deadline of the call": true, "goroutines and sleep": true,
	}
	return slices.DeleteFunc(common(), func(d deed) bool { return !names[d.name] })
}

func errorDeeds() []deed {
	coded := func(code spi.Code, pairs ...string) deed {
		return deed{
			name:   "error code " + strconv.Itoa(int(code)),
			values: do(subject.DoFail, append([]string{subject.PropCode, strconv.Itoa(int(code)), subject.PropMessage, "as told"}, pairs...)...),
			err:    &spi.Error{Code: code, Message: "as told"},
		}
	}
	long := strings.Repeat("長い", 2000)
	deeds := []deed{
		{name: "plain error", values: do(subject.DoFail, subject.PropMessage, "no \"luck\" 🚀"), err: errorf(spi.CodeFailed, "no \"luck\" 🚀")},
		{name: "error that is no text", values: do(subject.DoFailBytes), err: errorf(spi.CodeFailed, "a\uFFFDb\uFFFD\uFFFD")},
		{name: "error without text", values: do(subject.DoFail), err: errorf(spi.CodeFailed, "FAILED")},
		{
			name: "long error", values: do(subject.DoFail, subject.PropMessage, "長い", subject.PropTimes, "2000"),
			err: errorf(spi.CodeFailed, "%s", shortened(long)),
		},
		{
			name:   "all of an error",
			values: do(subject.DoFail, subject.PropCode, "1001", subject.PropMessage, "m", subject.PropRetryable, "true", subject.PropStack, "main.go:7", subject.PropProperty, "名.x"),
			err:    &spi.Error{Code: 1001, Message: "m", Retryable: true, Property: "名.x"}, stack: true,
		},
		{
			name:   "wrapped error",
			values: do(subject.DoFail, subject.PropCode, "13", subject.PropMessage, "away", subject.PropRetryable, "true", subject.PropPrefix, "fetching page 7"),
			err:    &spi.Error{Code: spi.CodeUnavailable, Message: "fetching page 7: away", Retryable: true},
		},
		{name: "coded error without text", values: do(subject.DoFail, subject.PropCode, "1000"), err: errorf(1000, "1000")},
		{name: "error that holds nil", values: do(subject.DoFailWithoutErr), err: errorf(spi.CodeFailed, "an error without content")},
		{
			name: "error whose text panics", values: do(subject.DoFailBroken),
			err: errorf(spi.CodeFailed, "panic: this error has no text"), stack: true,
		},
		{name: "error of a context of its own", values: do(subject.DoFailEnded), err: errorf(spi.CodeFailed, "context canceled")},
		{
			name: "error of a time limit of its own", values: do(subject.DoFailLate),
			err: &spi.Error{Code: spi.CodeFailed, Message: "context deadline exceeded", Retryable: true},
		},
		{
			name:   "refused property",
			values: do(subject.DoRefuse, subject.PropCode, "2", subject.PropMessage, "not this one", subject.PropProperty, subject.PropDo),
			err:    &spi.Error{Code: spi.CodeInvalidProperties, Message: "not this one", Property: subject.PropDo},
		},
		{name: "refused for no reason", values: do(subject.DoRefuse, subject.PropMessage, "no"), err: errorf(spi.CodeFailed, "no")},
		{name: "constructor that panics", values: do(subject.DoRefuseByPanic, subject.PropMessage, "on purpose"), err: errorf(spi.CodeFailed, "panic: on purpose"), stack: true},
		{name: "failure to close", values: do(subject.DoFailToClose, subject.PropText, "done"), lines: []string{"done", "closing the plugin failed: closing failed"}, levels: []spi.Level{spi.LevelInfo, spi.LevelWarn}},
	}
	for _, code := range []spi.Code{
		spi.CodeFailed, spi.CodeInvalidProperties, spi.CodeUnsupported, spi.CodeDenied, spi.CodeNotFound, spi.CodeUnavailable,
		spi.CodeTooLarge, spi.CodeRateLimited, spi.FirstAuthorCode, 1<<31 - 1,
	} {
		deeds = append(deeds, coded(code))
		again := coded(code, subject.PropRetryable, "true")
		again.name += ", may succeed later"
		again.err.Retryable = true
		deeds = append(deeds, again)
	}
	// What only the host may say, and what nobody may.
	for _, code := range []spi.Code{
		0, -1, spi.CodeTimeout, spi.CodeCancelled, spi.CodeLeaseLost, spi.CodeLimit, spi.CodeTrap, spi.CodeProtocol, spi.CodePluginGone, spi.CodeInternal, 17, 999,
	} {
		not := coded(code)
		not.name = "error code " + strconv.Itoa(int(code)) + " of nobody but the host"
		not.err.Code = spi.CodeFailed
		deeds = append(deeds, not)
	}
	return deeds
}

func panicDeeds() []deed {
	panicked := func(name, message string, pairs ...string) deed {
		return deed{name: name, values: do(pairs[0], pairs[1:]...), err: errorf(spi.CodeFailed, "panic: %s", message), stack: true}
	}
	return []deed{
		panicked("panic", "on purpose, 故意", subject.DoPanic, subject.PropText, "on purpose, 故意"),
		panicked("panic with a long text", strings.TrimPrefix(shortened("panic: "+strings.Repeat("長い", 2000)), "panic: "),
			subject.DoPanic, subject.PropText, "長い", subject.PropTimes, "2000"),
		panicked("panic with an error", "as told", subject.DoPanicError, subject.PropMessage, "as told"),
		panicked("panic with a coded error", "as told", subject.DoPanicError, subject.PropCode, "1001", subject.PropMessage, "as told"),
		panicked("use of nil", "runtime error: invalid memory address or nil pointer dereference", subject.DoPanicNil),
		{name: "panic with what has no text", values: do(subject.DoPanicBroken), check: func(t *testing.T, o outcome) {
			t.Helper()
			if o.err == nil || o.err.Code != spi.CodeFailed || !strings.HasPrefix(o.err.Message, "panic: ") {
				t.Errorf("error = %v, want a panic of code %s", o.err, spi.CodeFailed)
			}
		}},
		{name: "end of the goroutine", values: do(subject.DoGoexit), err: errorf(spi.CodeFailed, "the code ended its goroutine")},
	}
}

func logDeeds() []deed {
	deeds := []deed{
		{name: "log of several lines", values: do(subject.DoLog, subject.PropText, "one\r\ntwo\n\nthree\n"), lines: []string{"one", "two", "", "three"}},
		{name: "empty log", values: do(subject.DoLog, subject.PropText, ""), lines: []string{""}},
		{name: "log of any characters", values: do(subject.DoLog, subject.PropText, "\t\"広州\" 🚀 \\"), lines: []string{"\t\"広州\" 🚀 \\"}},
		{
			name: "log that is no text", values: do(subject.DoSayBytes),
			lines: []string{"a\uFFFDb\uFFFD\uFFFD"},
		},
		{
			name: "long line", values: do(subject.DoSay, subject.PropText, "長い", subject.PropTimes, "12000"),
			lines: []string{wire.Cut(strings.Repeat("長い", 12000), wire.MaxLogLine)},
		},
		{
			name: "log without an end", values: do(subject.DoLog, subject.PropText, strings.Repeat("x", 1023), subject.PropTimes, "1100"),
			check: func(t *testing.T, o outcome) {
				t.Helper()
				last := spi.LogRecord{Level: spi.LevelWarn, Stream: spi.StreamLog, Line: "77748 bytes of output dropped: a call logs at most 1024 KiB"}
				if n := len(o.records); o.err != nil || n != 1025 || o.records[n-1] != last {
					t.Errorf("error %v after %d records, want 1025 with the last %v", o.err, n, last)
				}
			},
		},
	}
	for given, want := range map[spi.Level]spi.Level{-100: -4, -4: -4, -1: -4, 0: 0, 3: 0, 4: 4, 7: 4, 8: 8, 100: 8} {
		level := strconv.Itoa(int(given))
		deeds = append(deeds, deed{
			name:   "level " + level,
			values: do(subject.DoLog, subject.PropText, "line", subject.PropLevel, level), lines: []string{"line"}, levels: []spi.Level{want},
		})
	}
	return deeds
}

func operationDeeds() []deed {
	answer := func(text string) func(op, request string) (string, error) {
		return func(string, string) (string, error) { return text, nil }
	}
	refuse := func(e *spi.Error) func(op, request string) (string, error) {
		return func(string, string) (string, error) { return "", e }
	}
	called := func(op, request string) []HostCall { return []HostCall{{op, request}} }
	long := strings.Repeat("x", 1<<20)
	deeds := []deed{
		{
			name: "unknown operation", values: do(subject.DoCall, subject.PropOp, "no.such", subject.PropRequest, "{}"), calls: called("no.such", "{}"),
			lines: []string{subject.ErrorText(errorf(spi.CodeUnsupported, "operation no.such is not offered"))},
		},
		{
			name:   "operation whose request and response are anything",
			values: do(subject.DoCall, subject.PropOp, "any 操作", subject.PropRequest, "{\"a\":\"名\"}"), calls: called("any 操作", "{\"a\":\"名\"}"),
			answer: answer("[1,\"名\"]"), lines: []string{"[1,\"名\"]"},
		},
		{name: "operation without a response", values: do(subject.DoCall, subject.PropOp, "any", subject.PropText, ""), calls: called("any", ""), answer: answer("")},
		{
			name: "large operation", values: do(subject.DoCall, subject.PropOp, "any", subject.PropRequest, "0123456789abcdef", subject.PropTimes, "65536"),
			calls: called("any", strings.Repeat("0123456789abcdef", 65536)), answer: answer(long), lines: []string{"1048576 bytes"},
		},
		{
			name: "operation with a request that is too large", values: do(subject.DoCall, subject.PropOp, "any", subject.PropRequest, "0123456789abcdefg", subject.PropTimes, "1000000"),
			lines: []string{subject.ErrorText(errorf(spi.CodeTooLarge, "the request of any is larger than 16 MiB"))}, answer: answer("{}"),
		},
		{
			name: "operation with a response that is too large", values: do(subject.DoCall, subject.PropOp, "any"), calls: called("any", ""),
			lines:  []string{subject.ErrorText(errorf(spi.CodeTooLarge, "the response of any is larger than 16 MiB"))},
			answer: func(string, string) (string, error) { return strings.Repeat("x", 16<<20+1), nil },
		},
		{
			name: "operation that fails without a code", values: do(subject.DoCall, subject.PropOp, "any"), calls: called("any", ""),
			answer: func(string, string) (string, error) { return "", errors.New("no luck") },
			lines:  []string{subject.ErrorText(errorf(spi.CodeFailed, "no luck"))},
		},
		{
			name: "operation that fails with all of an error", values: do(subject.DoCall, subject.PropOp, "any"), calls: called("any", ""),
			answer: refuse(&spi.Error{Code: spi.CodeUnavailable, Message: "名\n", Stack: "there", Retryable: false, Property: "p"}),
			lines:  []string{subject.ErrorText(&spi.Error{Code: spi.CodeUnavailable, Message: "名\n", Stack: "there", Property: "p"})},
		},
		{
			name: "http", values: do(subject.DoHTTP, subject.PropText, "body\x00"),
			calls:  called(spi.OpHTTPRequest, `{"method":"POST","url":"https://api.example.com/查?a=%20","headers":{"Accept":["a/b","c"],"X-Empty":[]},"body":"Ym9keQD/","timeoutMs":1500}`),
			answer: answer(`{"status":404,"headers":{"Content-Type":["text/plain"],"X":["1","2"]},"body":"aGkA/w=="}`),
			lines:  []string{`status=404 header[Content-Type]="text/plain" header[X]="1|2" body="hi\x00\xff"`},
		},
		{
			name: "http whose response is no response", values: do(subject.DoHTTP),
			calls:  called(spi.OpHTTPRequest, `{"method":"POST","url":"https://api.example.com/查?a=%20","headers":{"Accept":["a/b","c"],"X-Empty":[]},"timeoutMs":1500}`),
			answer: answer(`{"status":"404"}`), lines: []string{subject.ErrorText(noStatus())},
		},
		{
			name: "secret", values: do(subject.DoSecret, subject.PropText, "db-密码"), calls: called(spi.OpSecretGet, `{"name":"db-密码"}`),
			answer: answer(`{"value":"\u0000\"好"}`), lines: []string{strconv.Quote("\x00\"好")},
		},
		{
			name: "checkpoint", values: do(subject.DoCheckpoint, subject.PropRequest, "p\x007"), calls: called(spi.OpCheckpointSave, `{"data":"cAA3/w=="}`),
			answer: answer(`{}`), lines: []string{"saved"},
		},
		{name: "empty checkpoint", values: do(subject.DoCheckpoint), calls: called(spi.OpCheckpointSave, `{"data":""}`), answer: answer(`{}`), lines: []string{"saved"}},
		{
			name: "too large checkpoint", values: do(subject.DoCheckpoint, subject.PropRequest, "x", subject.PropTimes, "65536"),
			lines: []string{subject.ErrorText(errorf(spi.CodeTooLarge, "a checkpoint has at most 65536 bytes, not 65537"))},
		},
		{
			name: "progress", values: do(subject.DoProgress, subject.PropRequest, "半分", "total", "9007199254740993"),
			calls:  called(spi.OpProgressReport, `{"done":1099511627776,"total":9007199254740991,"message":"半分"}`),
			answer: answer(`{}`), lines: []string{"reported"},
		},
		{
			name: "operations at once", values: do(subject.DoCallTogether, subject.PropOp, "echo"), check: func(t *testing.T, o outcome) {
				t.Helper()
				if o.err != nil || len(o.records) != 1 || o.records[0].Line != "<0>,<1>,<2>,<3>,<4>,<5>,<6>,<7>" {
					t.Errorf("error %v, log %v, want the answers in order", o.err, o.records)
				}
			},
			answer: func(_, request string) (string, error) { return "<" + request + ">", nil },
		},
	}
	// A host may say every code, and what it says of a later attempt counts.
	for code := spi.CodeFailed; code <= spi.CodeInternal+1; code++ {
		if code > spi.CodeInternal {
			code = 1234
		}
		for _, retryable := range []bool{false, true} {
			e := &spi.Error{Code: code, Message: "denied: grants.http", Retryable: retryable}
			deeds = append(deeds, deed{
				name:   "operation fails with " + code.String() + ", later " + strconv.FormatBool(retryable),
				values: do(subject.DoSecret, subject.PropText, "n"), calls: called(spi.OpSecretGet, `{"name":"n"}`),
				answer: refuse(e), lines: []string{subject.ErrorText(e)},
			})
		}
	}
	return deeds
}

// noStatus is how package wire refuses a status that is no number.
func noStatus() *spi.Error {
	_, err := wire.DecodeHTTPResponse([]byte(`{"status":"404"}`))
	return spi.AsError(err)
}

func contextDeeds() []deed {
	causes := []struct {
		name  string
		cause error
	}{
		{"the node stops", spi.ErrStopping},
		{"the job is disabled", spi.ErrDisabled},
		{"the lease is lost", spi.ErrLeaseLost},
		{"time is over", spi.ErrTimeout},
		{"somebody cancels", context.Canceled},
	}
	var deeds []deed
	for _, c := range causes {
		for _, how := range []string{subject.DoWait, subject.DoCompute} {
			deeds = append(deeds, deed{
				name: how + " until " + c.name, values: do(how), end: c.cause, answer: neverStop, lines: []string{subject.Waiting}, check: endedWith(c.cause),
			})
		}
		deeds = append(deeds, deed{
			name: "finish when " + c.name, values: do(subject.DoFinish), end: c.cause, answer: neverStop,
			lines: []string{subject.Waiting, "ended: " + c.cause.Error()}, calls: []HostCall{{spi.OpCheckpointSave, `{"data":"bGFzdA=="}`}},
		}, deed{
			name: "called after " + c.name, values: do(subject.DoWait), check: endedWith(c.cause), begin: func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancelCause(ctx)
				cancel(c.cause)
				return ctx, func() { cancel(nil) }
			},
		})
	}
	for _, reason := range []string{"stopping", "timeout", "lease-lost", "disabled", "reshard", "later reasons"} {
		asked := func(string, string) (string, error) { return `{"stop":true,"reason":"` + reason + `"}`, nil }
		deeds = append(deeds, deed{name: "asked to stop: " + reason, values: do(subject.DoAsk), answer: asked, lines: []string{subject.Waiting, reason}})
	}
	soon := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeoutCause(ctx, 50*time.Millisecond, spi.ErrTimeout)
	}
	deeds = append(deeds,
		deed{name: "wait until the deadline", values: do(subject.DoWait), begin: soon, answer: neverStop, check: endedWith(spi.ErrTimeout)},
		deed{name: "compute until the deadline", values: do(subject.DoCompute), begin: soon, answer: neverStop, check: endedWith(spi.ErrTimeout)},
		deed{
			name: "wait until a deadline without a cause", values: do(subject.DoWait), answer: neverStop, check: endedWith(context.DeadlineExceeded),
			begin: func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 50*time.Millisecond)
			},
		},
		deed{name: "deadline of the call", values: do(subject.DoDeadline), lines: []string{"true"}},
		deed{name: "goroutines and sleep", values: do(subject.DoSleep), lines: []string{"012"}},
	)
	return deeds
}

// endedWith holds that a call has failed because its context has ended.
func endedWith(cause error) func(*testing.T, outcome) {
	code := spi.AsError(cause).Code
	return func(t *testing.T, o outcome) {
		t.Helper()
		if o.err == nil || o.err.Code != code || o.err.Retryable != code.Retryable() || !strings.Contains(o.err.Message, cause.Error()) {
			t.Errorf("error = %s, want code %s and %q in the message", subject.ErrorText(o.err), code, cause)
		}
	}
}

// neverStop answers should_stop.
func neverStop(string, string) (string, error) { return `{"stop":false,"reason":""}`, nil }
