// Package email is the error handler EMAIL: it mails the failure and lets the
// job go on. Every mail has a session of its own, so the settings of one job
// never count for another.
//
// It speaks SMTP itself and so runs built in and as a process, not as a module.
package email

import (
	"context"
	"html"
	"net/mail"
	"strings"

	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/report"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Type is the name of the handler in config.
const Type = "EMAIL"

// The properties of the handler. PropStartTLS is none of ElasticJob's.
const (
	PropHost     = "email.host"
	PropPort     = "email.port"
	PropUsername = "email.username"
	PropPassword = "email.password"
	PropUseSSL   = "email.useSsl"
	PropSSLTrust = "email.ssl.trust"
	PropStartTLS = "email.startTls"
	PropSubject  = "email.subject"
	PropFrom     = "email.from"
	PropTo       = "email.to"
	PropCc       = "email.cc"
	PropBcc      = "email.bcc"
	PropDebug    = "email.debug"
)

// The values of PropStartTLS.
const (
	StartTLSAuto     = "auto"
	StartTLSRequired = "required"
	StartTLSNever    = "never"
)

// mostText bounds the text of a mail, in bytes before it is escaped.
const mostText = 256 << 10

// Plugin returns the handler.
func Plugin() spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:         spi.KindErrorHandler,
			Type:         Type,
			Version:      "1",
			Description:  "Mails the failure over SMTP; the job goes on.",
			Capabilities: []string{spi.CapabilityNotify},
			Props: props.Schema{
				{Name: PropHost, Type: props.String, Required: true, Description: "name or address of the SMTP server", Example: "smtp.example.com"},
				{Name: PropPort, Type: props.Int, Required: true, Min: "1", Max: "65535", Description: "port of the SMTP server", Example: "465"},
				{Name: PropUsername, Type: props.String, Description: "account to log in with; without one there is no login"},
				{Name: PropPassword, Type: props.String, Secret: true, Description: "password of the account; it is sent over an encrypted connection only, or to localhost"},
				{Name: PropUseSSL, Type: props.Bool, Default: "true", Description: "speak TLS from the first byte, as servers expect it on port 465; there is no other attempt without"},
				{Name: PropSSLTrust, Type: props.String, Description: "names of servers, separated by spaces or commas, whose certificates are not checked, or * for all", Example: "mail.internal"},
				{Name: PropStartTLS, Type: props.String, Default: StartTLSAuto, Enum: []string{StartTLSAuto, StartTLSRequired, StartTLSNever}, Description: "where useSsl is false: go over to TLS if the server offers it, require that it does, or never"},
				{Name: PropSubject, Type: props.String, Default: "ElasticJob error message", Max: "900", Description: "subject of the mail"},
				{Name: PropFrom, Type: props.String, Required: true, Description: "address of the sender", Example: "ElasticJob <jobs@example.com>"},
				{Name: PropTo, Type: props.List, Required: true, Min: "1", Max: "100", Description: "addresses of the recipients", Example: "ann@example.com, bob@example.com"},
				{Name: PropCc, Type: props.List, Max: "100", Description: "addresses that get a copy"},
				{Name: PropBcc, Type: props.List, Max: "100", Description: "addresses that get a copy which the others do not see"},
				{Name: PropDebug, Type: props.Bool, Default: "false", Description: "log the dialogue with the server at debug level, without the login"},
			},
		},
		ErrorHandler: func(_ context.Context, values props.Values) (spi.ErrorHandler, error) { return newHandler(values) },
	}
}

type handler struct {
	server  server
	subject string
	from    *mail.Address
	// to, cc and bcc hold what newHandler could read.
	to, cc, bcc []*mail.Address
}

var _ spi.ErrorHandler = (*handler)(nil)

func newHandler(values props.Values) (*handler, error) {
	h := &handler{server: newServer(values), subject: strings.Join(strings.Fields(values.String(PropSubject)), " ")}
	from, err := addresses(PropFrom, []string{values.String(PropFrom)})
	if err != nil {
		return nil, err
	}
	for _, list := range []struct {
		name string
		into *[]*mail.Address
	}{{PropTo, &h.to}, {PropCc, &h.cc}, {PropBcc, &h.bcc}} {
		if *list.into, err = addresses(list.name, values.List(list.name)); err != nil {
			return nil, err
		}
	}
	if len(from) == 0 {
		return nil, refused(PropFrom, "holds no address")
	}
	if len(h.to) == 0 {
		return nil, refused(PropTo, "holds no address")
	}
	if h.server.username == "" && h.server.password != "" {
		return nil, refused(PropUsername, "is missing, although there is a password")
	}
	h.from = from[0]
	return h, nil
}

// addresses reads mail addresses; empty ones, such as behind a comma at the end
// of a list, are left out.
func addresses(name string, written []string) ([]*mail.Address, error) {
	var list []*mail.Address
	for _, text := range written {
		if text == "" {
			continue
		}
		address, err := mail.ParseAddress(text)
		if err != nil {
			return nil, refused(name, "holds "+report.Cut(text, 100)+", which is no mail address")
		}
		list = append(list, address)
	}
	return list, nil
}

func refused(property, why string) error {
	return &spi.Error{Code: spi.CodeInvalidProperties, Property: property, Message: property + " " + why}
}

// HandleError sends one mail.
func (h *handler) HandleError(ctx context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
	if err := h.server.send(ctx, req.Services, h.message(report.Text(req, mostText))); err != nil {
		return spi.HandleErrorResponse{}, report.NotSent(req, "email", err)
	}
	report.Sent(ctx, req, "an email has been sent successfully.")
	return spi.HandleErrorResponse{Decision: spi.DecisionContinue}, nil
}

// page returns the text as HTML that shows it as it is: what a job puts into
// its error is not markup.
func page(text string) string {
	return "<!DOCTYPE html>\n<html><body><pre>" + html.EscapeString(text) + "</pre></body></html>\n"
}
