package ops_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/ops"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// host answers every call alike and keeps the last one.
type host struct {
	response string
	err      error

	op, request string
}

var _ spi.Services = (*host)(nil)

func (*host) Log(context.Context, spi.LogRecord) {}

func (h *host) Call(_ context.Context, op string, request []byte) ([]byte, error) {
	h.op, h.request = op, string(request)
	return []byte(h.response), h.err
}

// stop is the answer of ShouldStop.
type stop struct {
	Reason string
	Stop   bool
}

// operation is one function of the package with a fixed request.
type operation func(ctx context.Context, s spi.Services) (any, error)

func operations() map[string]operation {
	return map[string]operation{
		spi.OpHTTPRequest: func(ctx context.Context, s spi.Services) (any, error) {
			return ops.HTTP(ctx, s, ops.HTTPRequest{Method: "PUT", URL: "https://example.com", Body: []byte("a"), Timeout: time.Second})
		},
		spi.OpSecretGet: func(ctx context.Context, s spi.Services) (any, error) {
			return ops.Secret(ctx, s, "token")
		},
		spi.OpCheckpointSave: func(ctx context.Context, s spi.Services) (any, error) {
			return nil, ops.SaveCheckpoint(ctx, s, []byte("page 7"))
		},
		spi.OpProgressReport: func(ctx context.Context, s spi.Services) (any, error) {
			return nil, ops.ReportProgress(ctx, s, ops.Progress{Done: 1, Total: 2, Message: "half"})
		},
		spi.OpShouldStop: func(ctx context.Context, s spi.Services) (any, error) {
			reason, isStop, err := ops.ShouldStop(ctx, s)
			return stop{reason, isStop}, err
		},
	}
}

func TestOperationsAskAndRead(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		request, response string
		want              any
	}{
		spi.OpHTTPRequest: {
			`{"method":"PUT","url":"https://example.com","body":"YQ==","timeoutMs":1000}`,
			`{"status":201,"headers":{"A":["b"]},"body":"Yg=="}`,
			ops.HTTPResponse{Status: 201, Headers: map[string][]string{"A": {"b"}}, Body: []byte("b")},
		},
		spi.OpSecretGet:      {`{"name":"token"}`, `{"value":"s3cret"}`, "s3cret"},
		spi.OpCheckpointSave: {`{"data":"cGFnZSA3"}`, `{}`, nil},
		spi.OpProgressReport: {`{"done":1,"total":2,"message":"half"}`, `{}`, nil},
		spi.OpShouldStop:     {`{}`, `{"stop":true,"reason":"reshard"}`, stop{"reshard", true}},
	}
	for op, call := range operations() {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			h := &host{response: tests[op].response}
			got, err := call(t.Context(), h)
			if err != nil {
				t.Fatalf("%s: %v", op, err)
			}
			if h.op != op || h.request != tests[op].request {
				t.Errorf("the host was asked %s %s, want %s %s", h.op, h.request, op, tests[op].request)
			}
			if diff := cmp.Diff(tests[op].want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", op, diff)
			}
		})
	}
}

func TestOperationsReturnTheErrorOfTheHost(t *testing.T) {
	t.Parallel()
	refusal := spi.NewError(spi.CodeDenied, "not granted")
	for op, call := range operations() {
		if _, err := call(t.Context(), &host{err: refusal}); !errors.Is(err, refusal) {
			t.Errorf("%s on a host that refuses: %v, want %v", op, err, refusal)
		}
		_, err := call(t.Context(), nil)
		if e := spi.AsError(err); e == nil || e.Code != spi.CodeUnsupported || e.Message != "there is no host for "+op {
			t.Errorf("%s without a host: %v, want UNSUPPORTED", op, err)
		}
	}
}

func TestOperationsRefuseAWrongResponse(t *testing.T) {
	t.Parallel()
	for op, call := range operations() {
		if op == spi.OpCheckpointSave || op == spi.OpProgressReport {
			continue // their response says nothing
		}
		_, err := call(t.Context(), &host{response: "[]"})
		if e := spi.AsError(err); e == nil || e.Code != spi.CodeProtocol {
			t.Errorf("%s with the response []: %v, want PROTOCOL", op, err)
		}
	}
}

func TestLargeRequestsDoNotReachTheHost(t *testing.T) {
	t.Parallel()
	h := &host{}
	checkpoint := ops.SaveCheckpoint(t.Context(), h, make([]byte, wire.MaxCheckpoint+1))
	_, request := ops.HTTP(t.Context(), h, ops.HTTPRequest{Body: make([]byte, wire.MaxMessage)})
	for _, err := range []error{checkpoint, request} {
		if e := spi.AsError(err); e == nil || e.Code != spi.CodeTooLarge {
			t.Errorf("a large request: %v, want TOO_LARGE", err)
		}
	}
	if h.op != "" {
		t.Errorf("the host was asked %s, want nothing", h.op)
	}
}

func TestContextJSON(t *testing.T) {
	t.Parallel()
	got := string(ops.ContextJSON(spi.ShardingContext{JobName: "orders", ShardingTotalCount: 2, ShardingItem: 1, ShardingParameter: "<北京> & 'x'", Attempt: 1, FencingToken: 7}))
	want := `{"jobName":"orders","taskId":"","shardingTotalCount":2,"jobParameter":"","shardingItem":1,"shardingParameter":"<北京> & 'x'","runId":"",` +
		`"fireTime":"0001-01-01T00:00:00.000Z","executionSource":"","attempt":1,"fencingToken":"7","props":{}}`
	if got != want {
		t.Errorf("ContextJSON() = %s, want %s", got, want)
	}
}
