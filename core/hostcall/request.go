package hostcall

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// MaxBody bounds the body of a response, in bytes after it is unpacked. With
// it and the largest header a response is a message of at most 16 MiB.
const MaxBody = 12<<20 - 256<<10

const (
	defaultTimeout = 30 * time.Second
	maxRedirects   = 10
	userAgent      = "elasticjob"
)

// hop is one request of those that redirects lead through.
type hop struct {
	target target
	url    *url.URL
	header http.Header
	body   []byte
	// connect and read bound the two parts of the exchange; 0 is no bound.
	connect, read time.Duration
	// stays has a redirect returned as it is.
	stays bool
	// from is the host that has sent the request here; empty for the first hop.
	from string
}

func (d *Door) httpRequest(ctx context.Context, request []byte) ([]byte, error) {
	asked, err := wire.DecodeHTTPRequest(request)
	if err != nil {
		return nil, err
	}
	at, err := firstHop(asked)
	if err != nil {
		return nil, err
	}
	timeout := defaultTimeout
	if asked.Timeout > 0 {
		timeout = asked.Timeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errNoResponse)
	defer cancel()
	for range maxRedirects + 1 {
		response, next, err := d.exchange(ctx, at)
		switch {
		case err != nil:
			return nil, at.failure(ctx, timeout, err)
		case next == nil:
			return response, nil
		}
		at = next
	}
	return nil, at.failed(spi.CodeUnavailable, fmt.Sprintf("more than %d redirects", maxRedirects))
}

// firstHop checks what a plugin asks for.
func firstHop(asked wire.HTTPRequest) (*hop, error) {
	method, ok := normalMethod(asked.Method)
	if !ok {
		return nil, spi.NewError(spi.CodeFailed, fmt.Sprintf("http.request: the method %q cannot be sent", wire.Cut(asked.Method, 64)))
	}
	if len(asked.URL) > maxURL {
		return nil, spi.NewError(spi.CodeTooLarge, fmt.Sprintf("http.request: the URL has more than %d bytes", maxURL))
	}
	address, err := url.Parse(asked.URL)
	if err != nil {
		return nil, spi.NewError(spi.CodeFailed, "http.request: "+errURL.Error())
	}
	t, err := locate(method, address)
	if err != nil {
		return nil, spi.NewError(spi.CodeFailed, "http.request: "+err.Error())
	}
	header, err := checkHeader(asked.Headers)
	if err != nil {
		return nil, err
	}
	return &hop{target: t, url: address, header: header, body: asked.Body, connect: asked.ConnectTimeout, read: asked.ReadTimeout, stays: asked.NoRedirects}, nil
}

// exchange sends one request and returns the response to it as a message, or
// the hop to which it leads.
func (d *Door) exchange(ctx context.Context, at *hop) (response []byte, next *hop, err error) {
	var r reach
	if !d.trusted {
		if err := d.allow(at); err != nil {
			return nil, nil, err
		}
		r = reachOf(d.http, at.target.method, at.target.scheme)
	}
	c, release, err := d.host.acquire(ctx, d.plugin, d.trusted, r)
	if err != nil {
		return nil, nil, err
	}
	defer release()
	ctx, parts := at.inParts(ctx)
	defer parts.end()
	request, err := http.NewRequestWithContext(ctx, at.target.method, at.url.String(), bytes.NewReader(at.body))
	if err != nil {
		return nil, nil, at.failed(spi.CodeFailed, errURL.Error())
	}
	request.Header = at.header
	answer, err := c.transport.RoundTrip(request)
	if err != nil {
		return nil, nil, parts.failure(at, err)
	}
	// What was not read closes the connection: nobody waits for the rest.
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusSwitchingProtocols {
		// Its body is the bare connection, which does not end with ctx.
		return nil, nil, at.failed(spi.CodeUnavailable, "the server switched protocols")
	}
	if next, err = at.follow(answer); next != nil || err != nil {
		return nil, next, err
	}
	response, err = at.message(answer)
	if ended := ctx.Err(); ended != nil {
		// A server that sees its client give up may still have answered.
		err = ended
	}
	if err != nil {
		return nil, nil, parts.failure(at, err)
	}
	return response, nil, nil
}

func (d *Door) allow(at *hop) error {
	if slices.ContainsFunc(d.http, func(g httpGrant) bool { return g.allows(at.target) }) {
		return nil
	}
	grant := at.target.missing(d.http)
	return spi.NewError(spi.CodeDenied, fmt.Sprintf("http.request to %s is not granted%s: add it %s", grant, at.origin(), d.host.config.HowToGrant("http", d.plugin)))
}

// origin says in messages how the hop came about.
func (at *hop) origin() string {
	if at.from == "" {
		return ""
	}
	return ", to which " + at.from + " redirects"
}

// follow returns the hop to which an answer redirects, nil if it does not or is
// not followed.
// As browsers and net/http do, other methods than GET and HEAD become GET and
// lose their body, except with the statuses 307 and 308.
func (at *hop) follow(answer *http.Response) (*hop, error) {
	location := answer.Header.Get("Location")
	keepsBody := answer.StatusCode == http.StatusTemporaryRedirect || answer.StatusCode == http.StatusPermanentRedirect
	if at.stays {
		return nil, nil
	}
	switch answer.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		if location == "" {
			return nil, nil
		}
	default:
		return nil, nil
	}
	if len(location) > maxURL {
		return nil, at.failed(spi.CodeUnavailable, "it redirects to a URL that is too long")
	}
	address, err := at.url.Parse(location)
	if err != nil {
		return nil, at.failed(spi.CodeUnavailable, "it redirects to what is no URL")
	}
	method, body := at.target.method, at.body
	if !keepsBody {
		body = nil
		if method != http.MethodHead {
			method = http.MethodGet
		}
	}
	t, err := locate(method, address)
	if err != nil {
		return nil, at.failed(spi.CodeUnavailable, "it redirects to a URL that cannot be followed: "+err.Error())
	}
	next := &hop{target: t, url: address, header: at.header.Clone(), body: body, connect: at.connect, read: at.read, from: at.target.String()}
	if !keepsBody {
		maps.DeleteFunc(next.header, func(name string, _ []string) bool { return strings.HasPrefix(name, "Content-") })
	}
	if !sameOrigin(at.target, t) {
		maps.DeleteFunc(next.header, func(name string, _ []string) bool { return !isHarmless(name) })
	}
	return next, nil
}

// sameOrigin says whether header fields for one target may go to the other.
func sameOrigin(from, to target) bool {
	if from.name != to.name || from.address != to.address {
		return false
	}
	upgraded := from.scheme == "http" && to.scheme == "https" && from.port == defaultPort("http") && to.port == defaultPort("https")
	return upgraded || from.scheme == to.scheme && from.port == to.port
}

// message makes the message of a response.
func (at *hop) message(answer *http.Response) ([]byte, error) {
	fields := 0
	for _, values := range answer.Header {
		fields += len(values)
	}
	if fields > wire.MaxHeaders {
		return nil, at.failed(spi.CodeTooLarge, fmt.Sprintf("the response has more than %d header fields", wire.MaxHeaders))
	}
	var body []byte
	isTooLarge := answer.ContentLength > MaxBody && at.target.method != http.MethodHead
	if !isTooLarge {
		var err error
		if body, err = io.ReadAll(io.LimitReader(answer.Body, MaxBody+1)); err != nil {
			return nil, err
		}
		isTooLarge = len(body) > MaxBody
	}
	if isTooLarge {
		return nil, at.failed(spi.CodeTooLarge, fmt.Sprintf("the response has more than %d bytes", MaxBody))
	}
	const spare = 4 << 10
	message := make([]byte, 0, (len(body)+2)/3*4+spare)
	return wire.AppendHTTPResponse(message, wire.HTTPResponse{Status: answer.StatusCode, Headers: answer.Header, Body: body}), nil
}
