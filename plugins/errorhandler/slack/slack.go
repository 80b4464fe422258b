// Package slack is the error handler SLACK: it tells a channel of Slack of the
// failure, through an incoming webhook, and lets the job go on. What speaks
// Slack's webhooks as well, such as Mattermost, works too.
//
// It is written against spi alone and runs built in, as a process and as a
// module; its requests are those of the host's http service.
package slack

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/hook"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/jsontext"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/report"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Type is the name of the handler in config.
const Type = "SLACK"

// The properties of the handler, besides its time-outs.
const (
	PropWebhook  = "slack.webhook"
	PropChannel  = "slack.channel"
	PropUsername = "slack.username"
)

const (
	prefix = "slack"
	// mostText is how long Slack takes a text, in characters. Bytes are never
	// fewer.
	mostText = 40_000
)

// Plugin returns the handler.
func Plugin() spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:         spi.KindErrorHandler,
			Type:         Type,
			Version:      "1",
			Description:  "Tells a channel of Slack of the failure through an incoming webhook; the job goes on.",
			Capabilities: []string{spi.CapabilityNotify},
			Props: append(props.Schema{
				hook.Field(PropWebhook, "address that Slack gave the incoming webhook"),
				{Name: PropChannel, Type: props.String, Max: "100", Description: "channel instead of the webhook's own; only older webhooks heed it", Example: "#jobs"},
				{Name: PropUsername, Type: props.String, Max: "100", Description: "name that the message is from; only older webhooks heed it", Example: "elasticjob"},
			}, hook.Timeouts(prefix, false)...),
			Wants: []spi.Want{{Op: spi.OpHTTPRequest, Value: "hooks.slack.com", Why: "webhooks of Slack are there"}},
		},
		ErrorHandler: func(_ context.Context, values props.Values) (spi.ErrorHandler, error) {
			h, err := hook.New(PropWebhook, prefix, values)
			if err != nil {
				return nil, err
			}
			return &handler{hook: h, channel: values.String(PropChannel), username: values.String(PropUsername)}, nil
		},
	}
}

type handler struct {
	hook              *hook.Hook
	channel, username string
}

var _ spi.ErrorHandler = (*handler)(nil)

// HandleError sends one message.
func (h *handler) HandleError(ctx context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
	response, err := h.hook.Send(ctx, req.Services, hook.Request{
		Headers: map[string][]string{"Content-Type": {"application/json; charset=utf-8"}}, Body: h.body(req), NoRedirects: true,
	})
	if err == nil && response.Status != 200 {
		// The body is a word, such as invalid_payload or channel_is_archived.
		err = h.hook.StatusError(response, string(response.Body), time.Now())
	}
	if err != nil {
		return spi.HandleErrorResponse{}, report.NotSent(req, "slack", err)
	}
	report.Sent(ctx, req, "a slack message has been sent successfully.")
	return spi.HandleErrorResponse{Decision: spi.DecisionContinue}, nil
}

// body is the message. Its text is no markup.
func (h *handler) body(req spi.HandleErrorRequest) []byte {
	b := jsontext.AppendString([]byte(`{"text":`), escape(report.Text(req, mostText), mostText))
	for _, given := range [][2]string{{"channel", h.channel}, {"username", h.username}} {
		if given[1] != "" {
			b = jsontext.AppendString(append(b, `,"`+given[0]+`":`...), report.Cut(given[1], 100))
		}
	}
	return append(b, `,"mrkdwn":false}`...)
}

// escape writes a text as Slack wants it: with three characters that begin
// references to people, channels and links replaced (its page on formatting text
// for app surfaces). What is longer than most bytes is cut and marked.
func escape(text string, most int) string {
	const mark = "…"
	b := make([]byte, 0, min(most, len(text)+len(text)/8))
	end := 0 // where the text can be cut
	for _, r := range text {
		var one [utf8.UTFMax]byte
		next := one[:utf8.EncodeRune(one[:], r)]
		switch r {
		case '&':
			next = []byte("&amp;")
		case '<':
			next = []byte("&lt;")
		case '>':
			next = []byte("&gt;")
		}
		if len(b)+len(next) > most {
			return string(b[:end]) + mark
		}
		b = append(b, next...)
		if len(b) <= most-len(mark) {
			end = len(b)
		}
	}
	return string(b)
}
