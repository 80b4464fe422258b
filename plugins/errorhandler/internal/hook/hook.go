// Package hook sends requests to webhooks: addresses that are secrets, as who
// knows them may send. It also runs inside of modules, so it uses the host's http
// service and no network of its own.
package hook

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/report"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/ops"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// The time-outs that every webhook has, below its prefix and a dot, with the
// names and defaults of ElasticJob. The short names are those of its manual's
// YAML; handlers that ElasticJob does not have do without.
const (
	propConnectMilliseconds = "connectTimeoutMilliseconds"
	propConnect             = "connectTimeout"
	propReadMilliseconds    = "readTimeoutMilliseconds"
	propRead                = "readTimeout"
	defaultConnect          = 3000
	defaultRead             = 5000
	longest                 = "2147483647" // what ElasticJob's integers hold
)

// Field returns the property that holds the address.
func Field(name, description string) props.Field {
	return props.Field{Name: name, Type: props.URL, Required: true, Secret: true, Pattern: "(?i)https?://.*", Description: description}
}

// Timeouts returns the properties of the time-outs below a prefix, with their
// short names if these are wanted.
func Timeouts(prefix string, withShort bool) props.Schema {
	// The defaults are no part of the schema, which would hide whether a value was
	// given under one name, the other, or both.
	one := func(name, example, description string) props.Field {
		return props.Field{Name: prefix + "." + name, Type: props.Int, Min: "1", Max: longest, Example: example, Description: description}
	}
	schema := props.Schema{
		one(propConnectMilliseconds, "3000", "milliseconds to connect in, 3000 unless given"),
		one(propReadMilliseconds, "5000", "milliseconds in which to read the response once connected, 5000 unless given; 10 s bound every call of a handler"),
	}
	if !withShort {
		return schema
	}
	for _, names := range [][2]string{{propConnect, propConnectMilliseconds}, {propRead, propReadMilliseconds}} {
		short := one(names[0], "", "another name of "+prefix+"."+names[1])
		short.Deprecated = "use " + prefix + "." + names[1]
		schema = append(schema, short)
	}
	return schema
}

// Hook is one webhook. It keeps nothing between calls and is safe for concurrent
// use.
type Hook struct {
	address       *url.URL
	connect, read time.Duration
	secrets       []string
}

// New returns the webhook whose address is the property of that name and whose
// time-outs are below the prefix, of properties that fit the schema. More secrets
// are hidden as the address is. It fails with an [*spi.Error] of
// [spi.CodeInvalidProperties].
func New(name, prefix string, values props.Values, secrets ...string) (*Hook, error) {
	// Its error would show the address, so nothing of it is passed on.
	address, err := url.Parse(values.String(name))
	if err != nil || address.Host == "" {
		return nil, Refused(name, "the webhook is no absolute URL")
	}
	address.Fragment = ""
	h := &Hook{address: address, secrets: secrets}
	if h.connect, err = milliseconds(values, prefix+"."+propConnectMilliseconds, prefix+"."+propConnect, defaultConnect); err != nil {
		return nil, err
	}
	if h.read, err = milliseconds(values, prefix+"."+propReadMilliseconds, prefix+"."+propRead, defaultRead); err != nil {
		return nil, err
	}
	return h, nil
}

// Refused is the error of a property that its plugin refuses.
func Refused(property, message string) error {
	return &spi.Error{Code: spi.CodeInvalidProperties, Property: property, Message: message}
}

// milliseconds reads a property that may have two names.
func milliseconds(values props.Values, name, other string, unless int64) (time.Duration, error) {
	a, b := values.Int(name), values.Int(other)
	switch {
	case a == 0 && b == 0:
		a = unless
	case a == 0:
		a = b
	case b != 0 && a != b:
		return 0, Refused(other, other+" is "+strconv.FormatInt(b, 10)+", but "+name+", which is the same property, is "+strconv.FormatInt(a, 10))
	}
	return time.Duration(a) * time.Millisecond, nil
}

// Request is one request to a webhook.
type Request struct {
	// Method is POST when empty.
	Method string
	// Query is added to that of the address unless empty.
	Query   string
	Headers map[string][]string
	Body    []byte
	// NoRedirects is for services whose answer does not show that the message
	// arrived: it gets lost on the way to another address.
	NoRedirects bool
}

// Send sends a request and returns the response, of whatever status. The error is
// an [*spi.Error] and shows nothing of the address.
func (h *Hook) Send(ctx context.Context, services spi.Services, request Request) (ops.HTTPResponse, error) {
	if request.Method == "" {
		request.Method = "POST"
	}
	response, err := ops.HTTP(ctx, services, ops.HTTPRequest{
		Method: request.Method, URL: h.withQuery(request.Query), Headers: request.Headers, Body: request.Body,
		Timeout: h.connect + h.read, ConnectTimeout: h.connect, ReadTimeout: h.read, NoRedirects: request.NoRedirects,
	})
	if err != nil {
		e := *spi.AsError(err)
		e.Message = h.Hide(e.Message, request.Query)
		return ops.HTTPResponse{}, &e
	}
	return response, nil
}

// withQuery returns the address with more in its query.
func (h *Hook) withQuery(query string) string {
	address := *h.address
	if query != "" && address.RawQuery != "" && !strings.HasSuffix(address.RawQuery, "&") {
		address.RawQuery += "&"
	}
	address.RawQuery += query
	return address.String()
}

// leastToken is how long a part of a path is at least that may be a key, and not
// a word that a server uses in its messages too.
const leastToken = 16

// Hide keeps the parts of the address that may be its key, and other secrets, out
// of a text that somebody else has written.
func (h *Hook) Hide(text, query string) string {
	for _, secret := range h.hidden(query) {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}

// hidden are the texts that no message shows, the longest first: what is part of
// another must not leave its rest.
func (h *Hook) hidden(query string) []string {
	secrets := append([]string{
		h.withQuery(query), h.address.String(), h.address.RequestURI(), h.address.RawQuery, h.address.EscapedPath(), query,
	}, h.secrets...)
	for _, secret := range h.secrets {
		// Of "Bearer KEY", a server may name the key alone.
		if _, key, found := strings.Cut(secret, " "); found {
			secrets = append(secrets, key)
		}
	}
	for pair := range strings.SplitSeq(h.address.RawQuery, "&") {
		_, value, _ := strings.Cut(pair, "=")
		secrets = append(secrets, value)
		if plain, err := url.QueryUnescape(value); err == nil {
			secrets = append(secrets, plain)
		}
	}
	for segment := range strings.SplitSeq(h.address.EscapedPath(), "/") {
		if len(segment) >= leastToken {
			secrets = append(secrets, segment)
		}
	}
	if password, given := h.address.User.Password(); given {
		secrets = append(secrets, password)
	}
	const shortest = 4 // shorter ones are words and numbers of any text
	secrets = slices.DeleteFunc(secrets, func(secret string) bool { return len(secret) < shortest })
	slices.SortStableFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	return secrets
}

// quote returns the beginning of a text that a server has written, without
// secrets, also where it was cut.
func (h *Hook) quote(text string) string {
	const read, shown = 1024, 256
	if len(text) > read {
		text = text[:read]
		end := read
		for _, secret := range h.hidden("") {
			for n := min(len(secret)-1, read); n > 0; n-- {
				if strings.HasSuffix(text, secret[:n]) {
					end = min(end, read-n)
					break
				}
			}
		}
		text = text[:end] + "…"
	}
	return report.Cut(h.Hide(strings.ToValidUTF8(text, "\uFFFD"), ""), shown)
}

// StatusError is the error of a response whose status is not that of success,
// with the time that its server asks to wait. Why is what the server says, cut
// and without secrets; it may be empty.
func (h *Hook) StatusError(response ops.HTTPResponse, why string, now time.Time) *spi.Error {
	e := spi.NewError(codeOf(response.Status), "unexpected http response status: "+strconv.Itoa(response.Status))
	if why = strings.TrimSpace(why); why != "" {
		e.Message += ": " + h.quote(why)
	}
	if e.Retryable {
		e.RetryAfter = retryAfter(response.Headers["Retry-After"], now)
	}
	return e
}

func codeOf(status int) spi.Code {
	switch {
	case status == 429:
		return spi.CodeRateLimited
	case status == 408, status >= 500:
		return spi.CodeUnavailable
	default:
		return spi.CodeFailed
	}
}

// longestWait bounds what a server may ask to wait.
const longestWait = 24 * time.Hour

// retryAfter reads the header Retry-After of RFC 9110, section 10.2.3: seconds,
// or a date.
func retryAfter(values []string, now time.Time) time.Duration {
	if len(values) == 0 {
		return 0
	}
	if seconds, err := strconv.ParseUint(values[0], 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, longestWait)
	}
	// The one form of a date that servers may send.
	at, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", values[0])
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), longestWait)
}
