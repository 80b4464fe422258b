package httpjob

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

// recorder keeps what a job logs.
type recorder struct {
	mu      sync.Mutex
	records []spi.LogRecord
}

func (r *recorder) Log(_ context.Context, record spi.LogRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, record)
}

func (*recorder) Call(context.Context, string, []byte) ([]byte, error) {
	return nil, spi.NewError(spi.CodeUnsupported, "none")
}

// sent is a request as a server got it.
type sent struct {
	method, host, uri, body string
	header                  http.Header
}

// server is an HTTP server that keeps the requests which it got.
type server struct {
	*httptest.Server

	mu   sync.Mutex
	sent []sent
}

func (s *server) last() sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sent) == 0 {
		return sent{}
	}
	return s.sent[len(s.sent)-1]
}

// serve starts a server that answers with the handler.
func serve(t *testing.T, answer http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(s.keep(answer))
	t.Cleanup(s.Close)
	return s
}

func (s *server) keep(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.sent = append(s.sent, sent{method: r.Method, host: r.Host, uri: r.RequestURI, body: string(body), header: r.Header})
		s.mu.Unlock()
		answer(w, r)
	}
}

// answer answers with a status and a body.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// listen accepts connections on a port of the loopback, hands each to handle, and
// closes them at the end of the test.
func listen(t *testing.T, handle func(net.Conn)) (address string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var open []net.Conn
	var handlers sync.WaitGroup
	handlers.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			handlers.Go(func() { handle(c) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		handlers.Wait()
	})
	return "http://" + listener.Addr().String()
}

// context3 is the context of an item.
func context3() spi.ShardingContext {
	return spi.ShardingContext{
		JobName: "orders", TaskID: "t1", ShardingTotalCount: 3, ShardingItem: 1, ShardingParameter: "<北京> & 'x'/?", JobParameter: "jp", Attempt: 1,
		RunID: "r1", FencingToken: 9, ExecutionSource: spi.SourceNormal, FireTime: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC),
	}
}

// newJobOf makes a job of these properties, as a host does.
func newJobOf(ctx context.Context, t *testing.T, given map[string]string) *job {
	t.Helper()
	plugin := Plugin()
	values, problems := plugin.Descriptor.Props.Resolve(given)
	if len(problems) > 0 {
		t.Fatalf("Resolve(%v) = %v, want no problem", given, problems)
	}
	made, err := plugin.JobType(ctx, values)
	if err != nil {
		t.Fatalf("JobType(%v) = %v, want nil", given, err)
	}
	j := made.(*job)
	t.Cleanup(func() { _ = j.Close(context.WithoutCancel(ctx)) })
	return j
}

// properties are those of a request to the address, and more by name and value.
func properties(address string, more ...string) map[string]string {
	given := map[string]string{PropURI: address}
	for i := 0; i < len(more); i += 2 {
		given[more[i]] = more[i+1]
	}
	return given
}

// execute runs an item of such a job.
func execute(ctx context.Context, t *testing.T, given map[string]string) (spi.ExecuteResponse, error) {
	t.Helper()
	c := context3()
	c.Props = maps.Clone(given)
	return newJobOf(ctx, t, given).Execute(ctx, spi.ExecuteRequest{Context: c, Services: &recorder{}})
}
