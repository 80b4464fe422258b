// Package webhook is the error handler WEBHOOK: it sends the facts of the failure
// to an address, as JSON or in a form of the user's own, signed if wanted, and
// lets the job go on.
//
// It is written against spi alone and runs built in, as a process and as a
// module; its requests are those of the host's http service.
package webhook

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/hook"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/report"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Type is the name of the handler in config.
const Type = "WEBHOOK"

// The properties of the handler, besides its time-outs.
const (
	PropURL         = "webhook.url"
	PropMethod      = "webhook.method"
	PropContentType = "webhook.content.type"
	PropTemplate    = "webhook.template"
	PropSecret      = "webhook.secret"
	PropSignature   = "webhook.signature"

	prefix        = "webhook"
	prefixHeaders = "webhook.headers."
)

// The values of PropSignature.
const (
	SignatureStandard = "standard"
	SignatureGitHub   = "github"
)

// defaultContentType is the form of the body without a template.
const defaultContentType = "application/json"

// Plugin returns the handler.
func Plugin() spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:         spi.KindErrorHandler,
			Type:         Type,
			Version:      "1",
			Description:  "Sends the facts of the failure to an address; the job goes on.",
			Capabilities: []string{spi.CapabilityNotify},
			Props: append(props.Schema{
				hook.Field(PropURL, "address that the request goes to"),
				{Name: PropMethod, Type: props.String, Default: "POST", Enum: []string{"POST", "PUT", "PATCH"}, Description: "method of the request"},
				{Name: prefixHeaders + "*", Type: props.String, Secret: true, Description: "a header field by its name and its value"},
				{Name: PropContentType, Type: props.String, Default: defaultContentType, Min: "1", Max: "200", Description: "content type of the body, which says how the template's variables are escaped"},
				{Name: PropTemplate, Type: props.String, Max: "65536", Description: "body of the request with variables; without one it is JSON with all facts", Example: `{"msg": "$${text}"}`},
				{Name: PropSecret, Type: props.String, Secret: true, Description: "key of the signature; without one there is none"},
				{Name: PropSignature, Type: props.String, Default: SignatureStandard, Enum: []string{SignatureStandard, SignatureGitHub}, Description: "whose form the signature has: Standard Webhooks, or GitHub"},
			}, hook.Timeouts(prefix, false)...),
		},
		ErrorHandler: func(_ context.Context, values props.Values) (spi.ErrorHandler, error) { return newHandler(values) },
	}
}

type handler struct {
	hook        *hook.Hook
	method      string
	headers     map[string][]string
	contentType string
	template    template // nil for JSON with all facts
	signer      signer
}

var _ spi.ErrorHandler = (*handler)(nil)

func newHandler(values props.Values) (*handler, error) {
	h := &handler{method: values.String(PropMethod), headers: make(map[string][]string), contentType: values.String(PropContentType)}
	var secrets []string
	given := make(map[string]bool) // by names in lower case
	for _, name := range slices.Sorted(maps.Keys(values)) {
		field, isHeader := strings.CutPrefix(name, prefixHeaders)
		if !isHeader {
			continue
		}
		value, lower := values[name], strings.ToLower(field)
		if why := refuseHeader(field, value); why != "" {
			return nil, hook.Refused(name, name+" "+why)
		}
		if given[lower] {
			return nil, hook.Refused(name, name+" is a header field that is given twice")
		}
		given[lower] = true
		h.headers[field] = []string{value}
		secrets = append(secrets, value)
	}
	if refuseValue(h.contentType) {
		return nil, hook.Refused(PropContentType, PropContentType+" has control characters")
	}
	h.headers["Content-Type"] = []string{h.contentType}
	var err error
	if h.signer, err = newSigner(values.String(PropSignature), values.String(PropSecret)); err != nil {
		return nil, err
	}
	if text := values.String(PropTemplate); text != "" {
		if h.template, err = parseTemplate(text, escapeOf(h.contentType)); err != nil {
			return nil, hook.Refused(PropTemplate, PropTemplate+" "+err.Error())
		}
	} else if mediaType(h.contentType) != defaultContentType {
		return nil, hook.Refused(PropContentType, PropContentType+" needs a "+PropTemplate+": without one the body is JSON")
	}
	h.hook, err = hook.New(PropURL, prefix, values, append(secrets, values.String(PropSecret))...)
	return h, err
}

// HandleError sends one request. Any status from 200 to 299 is success.
func (h *handler) HandleError(ctx context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
	id := messageID(req)
	body := h.template.expand(req)
	if h.template == nil {
		body = facts(req, id)
	}
	headers := make(map[string][]string, len(h.headers)+3)
	maps.Copy(headers, h.headers)
	h.signer.sign(headers, id, time.Now(), body)
	response, err := h.hook.Send(ctx, req.Services, hook.Request{Method: h.method, Headers: headers, Body: body, NoRedirects: true})
	if err == nil && (response.Status < 200 || response.Status > 299) {
		err = h.hook.StatusError(response, string(response.Body), time.Now())
	}
	if err != nil {
		return spi.HandleErrorResponse{}, report.NotSent(req, "webhook", err)
	}
	report.Sent(ctx, req, "a webhook has been called successfully.")
	return spi.HandleErrorResponse{Decision: spi.DecisionContinue}, nil
}

// refuseHeader says what is wrong with a header field, "" if nothing is.
func refuseHeader(name, value string) string {
	const marks = "!#$%&'*+-.^_`|~"
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(marks, c) < 0 {
			return "is not the name of a header field"
		}
	}
	switch strings.ToLower(name) {
	case "":
		return "is not the name of a header field"
	case "content-type":
		return "is the property " + PropContentType
	case "host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length", "expect":
		return "is a field that the node sets"
	case headerID, headerTimestamp, headerSignature, headerGitHub:
		return "is a field of the signature"
	}
	if refuseValue(value) {
		return "has control characters"
	}
	return ""
}

func refuseValue(value string) bool {
	return strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// mediaType is a content type without its parameters, in lower case.
func mediaType(contentType string) string {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// escapeOf returns how the values of a body of that type are escaped.
func escapeOf(contentType string) func(string) string {
	switch kind := mediaType(contentType); {
	case kind == defaultContentType, strings.HasSuffix(kind, "+json"):
		return escapeJSON
	case kind == "application/x-www-form-urlencoded":
		return url.QueryEscape
	case kind == "text/html", kind == "text/xml", kind == "application/xml", strings.HasSuffix(kind, "+xml"):
		return escapeXML
	default:
		return func(text string) string { return text }
	}
}
