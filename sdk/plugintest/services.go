package plugintest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/ops"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// Services stand in for the node during calls. They keep what the plugin logs
// and leaves with the node, and answer its questions from the fields, which a
// test sets before the first call. What no field answers is denied. Services are
// safe for concurrent use.
type Services struct {
	// HTTP answers http.request, whatever host is asked for; nil denies it.
	HTTP http.Handler
	// Secrets answer secret.get. A name that is not in it is denied.
	Secrets map[string]string
	// Stop is the reason with which should_stop answers, such as "stopping"; ""
	// is not to stop.
	Stop string
	// Answer answers an operation before all other fields, unless it returns
	// false; nil answers none.
	Answer func(ctx context.Context, op string, request []byte) (response []byte, err error, answered bool)

	output io.Writer

	mu          sync.Mutex
	records     []spi.LogRecord
	progress    []ops.Progress
	checkpoints [][]byte
	requests    []string
}

var _ spi.Services = (*Services)(nil)

// Log keeps a line.
func (s *Services) Log(_ context.Context, record spi.LogRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, record)
	if s.output != nil {
		_, _ = fmt.Fprintf(s.output, "%+d %s: %s\n", record.Level, record.Stream, record.Line)
	}
}

// Call answers a host operation.
func (s *Services) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	if op != spi.OpShouldStop {
		// A plugin asks that as often as it has the time for.
		s.mu.Lock()
		s.requests = append(s.requests, op+" "+string(request))
		s.mu.Unlock()
	}
	if s.Answer != nil {
		if response, err, answered := s.Answer(ctx, op, request); answered {
			return response, err
		}
	}
	switch op {
	case spi.OpHTTPRequest:
		return s.http(ctx, request)
	case spi.OpSecretGet:
		name, err := wire.DecodeSecretGetRequest(request)
		if err != nil {
			return nil, err
		}
		value, granted := s.Secrets[name]
		if !granted {
			return nil, spi.NewError(spi.CodeDenied, fmt.Sprintf("secret.get of %q is not granted: it is not in the Secrets of this test", name))
		}
		return wire.AppendSecretGetResponse(nil, value), nil
	case spi.OpCheckpointSave:
		checkpoint, err := wire.DecodeCheckpointSaveRequest(request)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.checkpoints = append(s.checkpoints, checkpoint)
		return wire.AppendNothing(nil), nil
	case spi.OpProgressReport:
		progress, err := wire.DecodeProgressReportRequest(request)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.progress = append(s.progress, progress)
		return wire.AppendNothing(nil), nil
	case spi.OpShouldStop:
		return wire.AppendShouldStopResponse(nil, s.Stop != "", s.Stop), nil
	default:
		return nil, spi.NewError(spi.CodeUnsupported, fmt.Sprintf("there is no operation %q", op))
	}
}

// http has the handler of the test answer a request.
func (s *Services) http(ctx context.Context, request []byte) ([]byte, error) {
	asked, err := wire.DecodeHTTPRequest(request)
	if err != nil {
		return nil, err
	}
	to, err := url.Parse(asked.URL)
	if err != nil || to.Host == "" {
		return nil, spi.NewError(spi.CodeFailed, fmt.Sprintf("the URL %q cannot be asked", asked.URL))
	}
	if s.HTTP == nil {
		return nil, spi.NewError(spi.CodeDenied, fmt.Sprintf("http.request to %q is not granted: this test has no HTTP handler", to.Host))
	}
	r, err := http.NewRequestWithContext(ctx, asked.Method, asked.URL, bytes.NewReader(asked.Body))
	if err != nil {
		return nil, spi.NewError(spi.CodeFailed, err.Error())
	}
	for name, values := range asked.Headers {
		r.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	answer := httptest.NewRecorder()
	s.HTTP.ServeHTTP(answer, r)
	got := answer.Result()
	defer func() { _ = got.Body.Close() }() // it is in memory
	body, err := io.ReadAll(got.Body)
	if err != nil {
		return nil, spi.NewError(spi.CodeInternal, err.Error())
	}
	return wire.AppendHTTPResponse(nil, ops.HTTPResponse{Status: got.StatusCode, Headers: got.Header, Body: body}), nil
}

// Records returns what was logged so far.
func (s *Services) Records() []spi.LogRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.records)
}

// Lines returns the lines that were logged so far.
func (s *Services) Lines() []string {
	var lines []string
	for _, record := range s.Records() {
		lines = append(lines, record.Line)
	}
	return lines
}

// Progress returns all reports of progress so far.
func (s *Services) Progress() []ops.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.progress)
}

// Checkpoint returns the checkpoint that was saved last, nil if there is none.
func (s *Services) Checkpoint() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.checkpoints) == 0 {
		return nil
	}
	return bytes.Clone(s.checkpoints[len(s.checkpoints)-1])
}

// Requests returns all host operations so far but should_stop, each as its name
// and its request in JSON.
func (s *Services) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}
