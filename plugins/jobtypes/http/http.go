// Package httpjob is the job type HTTP: each item is a request, whose status says
// whether the item has succeeded. The sharding context is in a header field, and
// its values can be part of the address, of the body and of other fields.
package httpjob

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Type is the name of the job type in config.
const Type = "HTTP"

// The properties of the job type.
const (
	PropURI             = "http.uri"
	PropURL             = "http.url"
	PropMethod          = "http.method"
	PropData            = "http.data"
	PropContentType     = "http.content.type"
	PropConnectTimeout  = "http.connect.timeout.milliseconds"
	PropReadTimeout     = "http.read.timeout.milliseconds"
	PropSuccessStatus   = "http.success.status"
	PropFollowRedirects = "http.follow.redirects"
)

// prefixHeaders begins the properties that set a header field each.
const prefixHeaders = "http.headers."

// Plugin returns the job type. Its implementation keeps connections between
// calls, is safe for concurrent use and implements [spi.Closer].
func Plugin() spi.Plugin {
	const longest = "2147483647" // what ElasticJob's integers hold
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:        spi.KindJobType,
			Type:        Type,
			Version:     "1",
			Description: "Sends an HTTP request for each item; its status says whether the item has succeeded.",
			Props: props.Schema{
				{Name: PropURI, Type: props.String, Min: "1", Description: "where the request goes; required, under this name or the next", Example: "http://127.0.0.1:8080/jobs/$${shardingItem}"},
				{Name: PropURL, Type: props.String, Min: "1", Description: "another name of http.uri"},
				{Name: PropMethod, Type: props.String, Default: http.MethodGet, Pattern: "(?i)" + strings.Join(methods(), "|"), Description: "method of the request"},
				{Name: PropData, Type: props.String, Description: "body of the request, for POST, PUT, PATCH and DELETE"},
				{Name: PropContentType, Type: props.String, Description: "content type of the body, application/x-www-form-urlencoded unless given", Example: "application/json"},
				{Name: PropConnectTimeout, Type: props.Int, Default: "3000", Min: "1", Max: longest, Description: "milliseconds in which there must be a connection"},
				{Name: PropReadTimeout, Type: props.Int, Default: "5000", Min: "1", Max: longest, Description: "milliseconds in which the response must begin, and in each of which it must go on"},
				{Name: PropSuccessStatus, Type: props.List, Default: "200-399", Min: "1", Max: "100", Description: "statuses and ranges of statuses that are a success", Example: "200-299,404"},
				{Name: PropFollowRedirects, Type: props.Bool, Default: "true", Description: "follow redirects, at most 10"},
				{Name: prefixHeaders + "*", Type: props.String, Secret: true, Description: "a header field by its name and its value"},
			},
		},
		JobType: func(_ context.Context, values props.Values) (spi.JobType, error) { return newJob(values) },
	}
}

func methods() []string {
	return []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace}
}

// job is one job's request.
type job struct {
	method      string
	target      target
	data        template
	contentType string // of data, if there is some
	escape      escape // for data
	fields      []field
	connect     time.Duration
	read        time.Duration
	success     []statusRange
	client      http.Client
	transport   *http.Transport
}

var (
	_ spi.JobType = (*job)(nil)
	_ spi.Closer  = (*job)(nil)
)

func newJob(values props.Values) (*job, error) {
	j := &job{
		method:  strings.ToUpper(values.String(PropMethod)),
		connect: time.Duration(values.Int(PropConnectTimeout)) * time.Millisecond,
		read:    time.Duration(values.Int(PropReadTimeout)) * time.Millisecond,
	}
	var err error
	if j.target, err = parseTarget(values); err != nil {
		return nil, err
	}
	if err := j.parseData(values); err != nil {
		return nil, err
	}
	if j.fields, err = parseFields(values); err != nil {
		return nil, err
	}
	if j.success, err = parseStatuses(values.List(PropSuccessStatus)); err != nil {
		return nil, err
	}
	j.transport = newTransport(j.connect)
	j.client = http.Client{Transport: j.transport, CheckRedirect: checkRedirect}
	if !values.Bool(PropFollowRedirects) {
		j.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return j, nil
}

// parseData reads the body and its type.
func (j *job) parseData(values props.Values) (err error) {
	text := values.String(PropData)
	j.contentType = values.String(PropContentType)
	if !isFieldValue(j.contentType) {
		return invalid(PropContentType, "holds control characters")
	}
	if text == "" {
		return nil
	}
	if !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, j.method) {
		return invalid(PropData, "is not sent with "+j.method+": give http.method as POST, PUT, PATCH or DELETE")
	}
	if j.contentType == "" {
		j.contentType = "application/x-www-form-urlencoded"
	}
	j.escape = escapeFor(j.contentType)
	if j.data, err = parseTemplate(text); err != nil {
		return invalid(PropData, err.Error())
	}
	return nil
}

// Bounds of connections.
const (
	maxHeader      = 64 << 10 // bytes of the header of a response
	maxIdle        = 16       // connections that are kept
	idleTimeout    = 30 * time.Second
	keepAlivePings = 30 * time.Second
	// unheard is for how long a connection is still made that came too late for
	// its request, which has said why it failed.
	unheard = time.Second
)

// newTransport returns the connections of a job. They go through the proxies of
// the node's environment.
func newTransport(connect time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: connect + unheard, KeepAlive: keepAlivePings}).DialContext,
		TLSHandshakeTimeout:    connect + unheard,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
		// What is unpacked could be much larger than what is sent.
		DisableCompression: true,
	}
}

// Close ends the connections, of which none is in use.
func (j *job) Close(context.Context) error {
	j.transport.CloseIdleConnections()
	return nil
}

func invalid(property, why string) *spi.Error {
	return &spi.Error{Code: spi.CodeInvalidProperties, Property: property, Message: property + " " + why}
}
