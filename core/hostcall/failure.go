package hostcall

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// errNoResponse is the cause with which the time of a request ends.
var errNoResponse = errors.New("no whole response in time")

// failed is an error about the hop.
func (at *hop) failed(code spi.Code, why string) *spi.Error {
	return spi.NewError(code, wire.Cut("http.request to "+at.target.String()+at.origin()+": "+why, wire.MaxText))
}

// failure turns what went wrong on the way into the error for the plugin. The
// end of the call comes first: it is why connections break.
func (at *hop) failure(ctx context.Context, timeout time.Duration, err error) *spi.Error {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, errNoResponse) {
			return at.failed(spi.CodeTimeout, "no whole response within "+timeout.String())
		}
		ended := spi.AsError(cause)
		return at.failed(ended.Code, ended.Message)
	}
	if known, ok := errors.AsType[*spi.Error](err); ok {
		return known
	}
	return at.failed(spi.CodeUnavailable, reason(err))
}

// reason says why a server did not answer. It repeats neither addresses of
// this machine and its name servers nor what the server has sent.
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
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the server does not speak TLS"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the server closed the connection"
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return "connecting took too long"
	}
	return fmt.Sprintf("the response is broken, or its header has more than %d bytes", maxHeader)
}
