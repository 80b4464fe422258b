// Package robot sends texts through the group robots of WeCom and DingTalk,
// which differ in little. It also runs inside of modules, so it uses the host's
// http service and no network of its own.
package robot

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

// The properties of a robot, below its prefix and a dot. The time-outs have the
// names of ElasticJob's properties and, shorter, those of its manual's YAML.
const (
	propWebhook             = "webhook"
	propConnectMilliseconds = "connectTimeoutMilliseconds"
	propConnect             = "connectTimeout"
	propReadMilliseconds    = "readTimeoutMilliseconds"
	propRead                = "readTimeout"
	defaultConnect          = 3000
	defaultRead             = 5000
	longest                 = "2147483647" // what ElasticJob's integers hold
)

// Schema returns the properties that a robot reads.
func Schema(prefix string) props.Schema {
	name := func(suffix string) string { return prefix + "." + suffix }
	return props.Schema{
		{
			Name: name(propWebhook), Type: props.URL, Required: true, Secret: true, Pattern: "(?i)https?://.*",
			Description: "address that the robot's group gave it, with its key",
		},
		// The defaults are no part of the schema, which would hide whether a
		// value was given under one name, the other, or both.
		{
			Name: name(propConnectMilliseconds), Type: props.Int, Min: "1", Max: longest, Example: "3000",
			Description: "milliseconds to connect in, 3000 unless given; with those to read in they bound the request, and 10 s bound every call of a handler",
		},
		{
			Name: name(propConnect), Type: props.Int, Min: "1", Max: longest, Deprecated: "use " + name(propConnectMilliseconds),
			Description: "another name of " + name(propConnectMilliseconds),
		},
		{
			Name: name(propReadMilliseconds), Type: props.Int, Min: "1", Max: longest, Example: "5000",
			Description: "milliseconds in which to read the response, 5000 unless given",
		},
		{
			Name: name(propRead), Type: props.Int, Min: "1", Max: longest, Deprecated: "use " + name(propReadMilliseconds),
			Description: "another name of " + name(propReadMilliseconds),
		},
	}
}

// Robot is one webhook. It keeps nothing between calls and is safe for
// concurrent use.
type Robot struct {
	webhook *url.URL
	timeout time.Duration
}

// New returns the robot of properties that fit the schema. It fails with an
// [*spi.Error] of [spi.CodeInvalidProperties].
func New(prefix string, values props.Values) (*Robot, error) {
	// Its error would show the address, so nothing of it is passed on.
	webhook, err := url.Parse(values.String(prefix + "." + propWebhook))
	if err != nil || webhook.Host == "" {
		return nil, &spi.Error{Code: spi.CodeInvalidProperties, Property: prefix + "." + propWebhook, Message: "the webhook is no absolute URL"}
	}
	webhook.Fragment = ""
	connect, err := milliseconds(values, prefix+"."+propConnectMilliseconds, prefix+"."+propConnect, defaultConnect)
	if err != nil {
		return nil, err
	}
	read, err := milliseconds(values, prefix+"."+propReadMilliseconds, prefix+"."+propRead, defaultRead)
	if err != nil {
		return nil, err
	}
	return &Robot{webhook: webhook, timeout: connect + read}, nil
}

// milliseconds reads a property that has two names.
func milliseconds(values props.Values, name, other string, unless int64) (time.Duration, error) {
	a, b := values.Int(name), values.Int(other)
	switch {
	case a == 0 && b == 0:
		a = unless
	case a == 0:
		a = b
	case b != 0 && a != b:
		return 0, &spi.Error{
			Code: spi.CodeInvalidProperties, Property: other,
			Message: other + " is " + strconv.FormatInt(b, 10) + ", but " + name + ", which is the same property, is " + strconv.FormatInt(a, 10),
		}
	}
	return time.Duration(a) * time.Millisecond, nil
}

// Send sends the text, which is valid UTF-8. The query is added to that of the
// webhook unless empty. The error is an [*spi.Error] that says what the robot's
// service answered, and shows nothing of the webhook.
func (r *Robot) Send(ctx context.Context, services spi.Services, query, text string) error {
	body := appendString([]byte(`{"msgtype":"text","text":{"content":`), text)
	response, err := ops.HTTP(ctx, services, ops.HTTPRequest{
		Method:  "POST",
		URL:     r.address(query),
		Headers: map[string][]string{"Content-Type": {"application/json; charset=utf-8"}},
		Body:    append(body, "}}"...),
		Timeout: r.timeout,
	})
	if err != nil {
		e := *spi.AsError(err)
		e.Message = r.hide(e.Message, query)
		return &e
	}
	if response.Status != 200 {
		return spi.NewError(codeOfStatus(response.Status), "unexpected http response status: "+strconv.Itoa(response.Status))
	}
	answer, ok := members(response.Body)
	code := answer["errcode"]
	switch {
	case !ok || code == "":
		return spi.NewError(spi.CodeFailed, "the response is no JSON object with an errcode")
	case code != "0":
		return spi.NewError(codeOfAnswer(code), r.hide(report.Cut(answer["errmsg"], 1024)+" (errcode "+report.Cut(code, 32)+")", query))
	}
	return nil
}

// address returns the webhook with more in its query.
func (r *Robot) address(query string) string {
	address := *r.webhook
	if query != "" && address.RawQuery != "" && !strings.HasSuffix(address.RawQuery, "&") {
		address.RawQuery += "&"
	}
	address.RawQuery += query
	return address.String()
}

// hide keeps the parts of the webhook that may be its key out of a text that
// somebody else has written.
func (r *Robot) hide(text, query string) string {
	secrets := []string{r.address(query), r.webhook.String(), r.webhook.RequestURI(), r.webhook.RawQuery, r.webhook.EscapedPath(), query}
	for pair := range strings.SplitSeq(r.webhook.RawQuery, "&") {
		_, value, _ := strings.Cut(pair, "=")
		secrets = append(secrets, value)
		if plain, err := url.QueryUnescape(value); err == nil {
			secrets = append(secrets, plain)
		}
	}
	if password, given := r.webhook.User.Password(); given {
		secrets = append(secrets, password)
	}
	// The longest first: what is part of another must not leave its rest.
	slices.SortStableFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for _, secret := range secrets {
		if len(secret) >= 4 { // shorter ones are words and numbers of any text
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return text
}

func codeOfStatus(status int) spi.Code {
	switch {
	case status == 429:
		return spi.CodeRateLimited
	case status == 408, status >= 500:
		return spi.CodeUnavailable
	default:
		return spi.CodeFailed
	}
}

// codeOfAnswer knows the errcodes after which the same message may get through
// later: the service is busy, and too many calls at WeCom and at DingTalk.
func codeOfAnswer(errcode string) spi.Code {
	switch errcode {
	case "-1":
		return spi.CodeUnavailable
	case "45009", "130101":
		return spi.CodeRateLimited
	default:
		return spi.CodeFailed
	}
}
