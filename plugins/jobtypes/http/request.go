package httpjob

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"

	"github.com/elasticjob-go/elasticjob/spi"
)

// Bounds of responses, in bytes.
const (
	maxBody  = 16 << 20 // that is read; a server may answer while it works
	maxShown = 2 << 10  // that a failure quotes
	maxURL   = 1 << 10  // of an address in a message
)

const maxRedirects = 10

// Execute sends the request for one item.
func (j *job) Execute(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	if ctx.Err() != nil {
		return spi.ExecuteResponse{}, context.Cause(ctx)
	}
	values := valuesOf(req.Context)
	address, err := j.target.address(values)
	if err != nil {
		return spi.ExecuteResponse{}, err
	}
	user := address.User
	address.User = nil
	header, host, err := j.header(req.Context, values, user)
	if err != nil {
		return spi.ExecuteResponse{}, err
	}
	within, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := newPatience(cancel, j.connect, j.read)
	defer patience.end()
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(within, patience.trace()), j.method, address.String(), strings.NewReader(j.data.expand(values, j.escape)))
	if err != nil {
		return spi.ExecuteResponse{}, spi.NewError(spi.CodeFailed, "the request of this item is not one of http")
	}
	request.Header, request.Host = header, host
	response, err := j.client.Do(request)
	if err != nil {
		return spi.ExecuteResponse{}, j.failed(ctx, within, address, err)
	}
	// All was read, or nothing more is wanted.
	defer func() { _ = response.Body.Close() }()
	body, err := patience.read(response.Body)
	what := j.method + " " + clip(shown(response.Request.URL), maxURL) + " answered " + statusText(response.StatusCode)
	if text := quote(body, j.secrets(address, header)); text != "" {
		what += ": " + text
	}
	switch {
	case !j.isSuccess(response.StatusCode):
		return spi.ExecuteResponse{}, spi.NewError(codeOf(response.StatusCode), what)
	case err != nil:
		return spi.ExecuteResponse{}, j.failed(ctx, within, response.Request.URL, err)
	}
	if req.Services != nil {
		req.Services.Log(ctx, spi.LogRecord{Level: spi.LevelDebug, Line: what})
	}
	return spi.ExecuteResponse{Message: statusText(response.StatusCode)}, nil
}

// checkRedirect decides about a redirect. What tells of the job, or could be a
// credential, goes to the job's own origin only: not to another, and not back
// from there.
func checkRedirect(request *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return spi.NewError(spi.CodeFailed, "more than 10 redirects")
	}
	last := via[len(via)-1].URL
	switch request.URL.Scheme {
	case "https":
	case "http":
		if last.Scheme == "https" {
			return spi.NewError(spi.CodeFailed, "a redirect from https to http is not followed")
		}
	default:
		return spi.NewError(spi.CodeFailed, "a redirect to something else than http is not followed")
	}
	request.URL.User = nil
	request.Header.Del("Referer") // it would show the query
	abroad := !sameOrigin(request.URL, via[0].URL)
	for _, v := range via {
		abroad = abroad || !sameOrigin(v.URL, via[0].URL)
	}
	if abroad {
		request.Host = ""
		for name := range request.Header {
			if !isHarmless(name) {
				delete(request.Header, name)
			}
		}
	}
	return nil
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

// failed says why there is no response. The end of the call comes first: it is
// why connections break.
func (j *job) failed(ctx, within context.Context, address *url.URL, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // the rest shows the address
	}
	code, why := spi.CodeUnavailable, reason(err)
	if cause := context.Cause(within); cause != nil {
		why = cause.Error()
	} else if e, ok := errors.AsType[*spi.Error](err); ok {
		code, why = e.Code, e.Message
	} else if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		code = spi.CodeFailed
	}
	return spi.NewError(code, j.method+" "+clip(shown(address), maxURL)+": "+clip(why, maxShown))
}

// reason says why a server did not answer. It repeats nothing that the server has
// sent.
func reason(err error) string {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return "resolving the name: " + e.Err
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Err != nil {
		return e.Op + ": " + e.Err.Error()
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return "the server does not speak TLS"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the server closed the connection"
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return "connecting took too long"
	}
	return "the connection broke, or what came was no response of http with a header of at most 64 KiB"
}
