package process

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	b := h.load(t)
	want := []spi.Descriptor{
		{
			Kind: spi.KindJobType, Type: "TEST", Version: "1.2", Description: "Does as it is told.",
			Props: props.Schema{{Name: "size", Type: props.Int, Description: "A number.", Default: "5", Enum: []string{"5", "6"}}},
			Wants: []spi.Want{{Op: spi.OpSecretGet, Value: "db", Why: "to see"}},
		},
		{Kind: spi.KindShardingStrategy, Type: "TEST_SHARD", Description: "Gives everything to the last."},
		{Kind: spi.KindErrorHandler, Type: "TEST_HANDLER", Description: "Does what the message says."},
		{Kind: spi.KindJobType, Type: "TEST_FLOW", Capabilities: []string{spi.CapabilityDataflow}},
		{Kind: spi.KindJobListener, Type: "TEST_LISTENER", Capabilities: []string{spi.CapabilityPerInstance, spi.CapabilityDistributeOnce}},
		{Kind: spi.KindTracingSink, Type: "TEST_SINK"},
		{Kind: spi.KindErrorHandler, Type: "TEST_FLOW"},
		{Kind: spi.KindJobType, Type: "TEST_LIAR", Capabilities: []string{spi.CapabilityDataflow}},
	}
	var got []spi.Descriptor
	for _, p := range b.Plugins {
		if err := p.Check(); err != nil {
			t.Errorf("Check(%s) = %v", p.Descriptor.Type, err)
		}
		got = append(got, p.Descriptor)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("descriptors differ (-want +got):\n%s", diff)
	}
	if b.Provenance.Host != "process" || len(b.Provenance.SHA256) != 64 || b.Provenance.Path != pluginPath {
		t.Errorf("Provenance = %+v", b.Provenance)
	}
	if got := h.log.records("plugin started"); len(got) != 1 {
		t.Errorf("%d records of a start, want 1", len(got))
	}
}

func TestExecute(t *testing.T) {
	t.Parallel()
	j := jobOf(t, newHost(t, nil).load(t))
	const wantContext = `{"jobName":"orders","taskId":"orders@-@1","shardingTotalCount":4,"jobParameter":"context","shardingItem":2,"shardingParameter":"two",` +
		`"runId":"run-1","fireTime":"2026-11-21T10:00:00.001Z","executionSource":"NORMAL_TRIGGER","attempt":1,"fencingToken":"1152921504606846976","checkpoint":"","props":{"size":"6"}}`
	tests := []struct {
		parameter, message string
		code               spi.Code
		errorText          string
	}{
		{parameter: "say:hello", message: "hello"},
		{parameter: "say:\xff", message: "\uFFFD"},
		{parameter: "context", message: wantContext},
		{parameter: "huge:5000", message: strings.Repeat("x", 4093) + "…"},
		{parameter: "fail:1", code: spi.CodeFailed, errorText: "as told"},
		{parameter: "fail:4711", code: 4711, errorText: "as told"},
		{parameter: "fail:12", code: spi.CodeFailed, errorText: "as told"},
		{parameter: "panic", code: spi.CodeFailed, errorText: "panic: as told"},
		{parameter: "call:secret.get", code: spi.CodeUnsupported, errorText: "secret.get is not offered"},
		{parameter: "fail:11", code: spi.CodeFailed, errorText: "as told"},
		{parameter: "goexit", code: spi.CodeFailed, errorText: "ended its goroutine"},
		{parameter: "bad error", code: spi.CodeFailed, errorText: "panic: no text"},
		{parameter: "say:" + strings.Repeat("x", 16<<20), code: spi.CodeTooLarge, errorText: "16 MiB"},
	}
	for _, test := range tests {
		t.Run(test.parameter[:min(len(test.parameter), 20)], func(t *testing.T) {
			t.Parallel()
			message, err := execute(t.Context(), t, j, test.parameter)
			if err == nil {
				err = &spi.Error{}
			}
			if message != test.message || err.Code != test.code || !strings.Contains(err.Message, test.errorText) {
				t.Errorf("Execute = %q, %d %q, want %q, %d with %q", message, err.Code, err.Message, test.message, test.code, test.errorText)
			}
		})
	}
}

func TestErrorsKeepTheirMembers(t *testing.T) {
	t.Parallel()
	_, got := execute(t.Context(), t, jobOf(t, newHost(t, nil).load(t)), "fail:4711")
	want := &spi.Error{Code: 4711, Message: "as told", Stack: "here", Retryable: true, Property: "size"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the error differs (-want +got):\n%s", diff)
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	j := jobOf(t, newHost(t, nil).load(t))
	r := &recorder{call: func(_ context.Context, op string, request []byte) ([]byte, error) {
		return []byte(op + string(request)), nil
	}}
	message, err := execute(t.Context(), t, j, "call:"+spi.OpSecretGet, r)
	if want := `secret.get{"name":"db"}`; err != nil || message != want {
		t.Errorf("Execute = %q, %v, want %q", message, err, want)
	}
	if _, err := execute(t.Context(), t, j, "log:hello", r); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]spi.LogRecord{{Level: spi.LevelWarn, Stream: spi.StreamLog, Line: "hello"}}, r.records); diff != "" {
		t.Errorf("records differ (-want +got):\n%s", diff)
	}
	flood := &recorder{}
	if _, err := execute(t.Context(), t, j, "log flood", flood); err != nil {
		t.Error(err)
	}
	if last := flood.records[len(flood.records)-1]; len(flood.records) != 18 || !strings.Contains(last.Line, "1413120 bytes of output dropped") {
		t.Errorf("%d records, the last one %q", len(flood.records), last.Line)
	}
	broken := &recorder{call: func(context.Context, string, []byte) ([]byte, error) { panic("broken") }}
	if _, err := execute(t.Context(), t, j, "call:x", broken); err == nil || !strings.Contains(err.Message, "panicked") {
		t.Errorf("Execute with services that panic = %v", err)
	}
}

// TestServicesEndWithTheirCall has a plugin that leaves a host operation behind.
func TestServicesEndWithTheirCall(t *testing.T) {
	t.Parallel()
	j := jobOf(t, newHost(t, nil).load(t))
	runs := make(chan struct{})
	var over atomic.Bool
	r := &recorder{call: func(ctx context.Context, op string, _ []byte) ([]byte, error) {
		if op != "slow" {
			<-runs
			return nil, nil
		}
		close(runs)
		<-ctx.Done()
		time.Sleep(20 * time.Millisecond)
		over.Store(true)
		return nil, context.Cause(ctx)
	}}
	if _, err := execute(t.Context(), t, j, "leave", r); err != nil {
		t.Fatal(err)
	}
	if !over.Load() {
		t.Error("a host operation outlives its call")
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil, func(c *Config) { c.Grace = time.Minute })
	j := jobOf(t, h.load(t))
	for cause, code := range map[error]spi.Code{
		spi.ErrStopping: spi.CodeCancelled, spi.ErrLeaseLost: spi.CodeLeaseLost, spi.ErrDisabled: spi.CodeCancelled, spi.ErrTimeout: spi.CodeTimeout,
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan *spi.Error)
		r := &recorder{logged: make(chan struct{})}
		go func() {
			_, err := execute(ctx, t, j, "wait", r)
			done <- err
		}()
		<-r.logged
		cancel(cause)
		// What the plugin says at its end is the cause as it has seen it.
		want := "the plugin was stopped: " + cause.Error() + ": " + cause.Error()
		if err := <-done; err == nil || err.Code != code || err.Message != want {
			t.Errorf("a call cancelled by %v = %v, want %v", cause, err, code)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := execute(ctx, t, j, "wait"); err == nil || err.Code != spi.CodeTimeout {
		t.Errorf("a call with a deadline = %v, want %v", err, spi.CodeTimeout)
	}
	limited := jobOf(t, h.load(t, func(r *spi.LoadRequest) { r.Limits.Timeout = 50 * time.Millisecond }))
	if _, err := execute(t.Context(), t, limited, "wait"); err == nil || err.Code != spi.CodeTimeout {
		t.Errorf("a call with a limit = %v, want %v", err, spi.CodeTimeout)
	}
	if got := h.log.records("plugin ended"); len(got) != 0 {
		t.Errorf("processes were ended: %v", got)
	}
}

func TestManyCalls(t *testing.T) {
	t.Parallel()
	j := jobOf(t, newHost(t, nil).load(t))
	r := &recorder{call: func(_ context.Context, op string, _ []byte) ([]byte, error) { return []byte(op), nil }}
	var group sync.WaitGroup
	for i := range 1000 {
		group.Go(func() {
			want := "op" + strconv.Itoa(i)
			if got, err := execute(t.Context(), t, j, "call:"+want, r); err != nil || got != want {
				t.Errorf("Execute = %q, %v, want %q", got, err, want)
			}
		})
	}
	group.Wait()
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{"MODE": "", "MARKER": "here", "SECRET": "x"})
	got, err := execute(t.Context(), t, jobOf(t, h.load(t)), "env")
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{"MODE=", "MARKER=here", "ELASTICJOB_PLUGIN=", "ELASTICJOB_PLUGIN_PATH=" + pluginPath, "PLUGIN_"}
	inCertificate := false
	for line := range strings.SplitSeq(got, "\n") {
		if strings.HasPrefix(line, "PLUGIN_CLIENT_CERT=") {
			inCertificate = true
		}
		known := inCertificate || line == ""
		for _, prefix := range allowed {
			known = known || strings.HasPrefix(line, prefix)
		}
		if strings.HasPrefix(line, "-----END") {
			inCertificate = false
		}
		if !known {
			t.Errorf("the program has %q in its environment", line)
		}
	}
	if !strings.Contains(got, "MARKER=here") {
		t.Errorf("the granted variable is not in the environment:\n%s", got)
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	t.Parallel()
	j := jobOf(t, newHost(t, nil).load(t, func(r *spi.LoadRequest) { r.Limits.Concurrency = 2 }))
	held, release := make(chan struct{}, 10), make(chan struct{})
	var running, most atomic.Int64
	r := &recorder{call: func(context.Context, string, []byte) ([]byte, error) {
		most.Store(max(most.Load(), running.Add(1))) // at most two at once, if it holds
		held <- struct{}{}
		<-release
		running.Add(-1)
		return nil, nil
	}}
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if _, err := execute(t.Context(), t, j, "call:x", r); err != nil {
				t.Errorf("Execute = %v", err)
			}
		})
	}
	<-held
	<-held
	// Both slots are taken: one that waits gives up with its context.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := execute(ctx, t, j, "say:x", r); codeOf(err) != spi.CodeTimeout {
		t.Errorf("Execute while all slots are taken = %v, want %v", err, spi.CodeTimeout)
	}
	close(release)
	group.Wait()
	if most.Load() != 2 {
		t.Errorf("%d calls ran at once, want 2", most.Load())
	}
}
