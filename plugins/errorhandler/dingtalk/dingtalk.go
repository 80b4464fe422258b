// Package dingtalk is the error handler DINGTALK: it tells a group of DingTalk
// of the failure, through a robot of the group, and lets the job go on.
//
// It is written against spi alone and runs built in, as a process and as a
// module; its requests are those of the host's http service.
package dingtalk

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"
	"time"

	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/report"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/robot"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Type is the name of the handler in config.
const Type = "DINGTALK"

// The properties that the handler has beside those of every robot.
const (
	PropKeyword = "dingtalk.keyword"
	PropSecret  = "dingtalk.secret"
)

const (
	prefix = "dingtalk"
	// mostText is how long DingTalk accepts a message, in bytes.
	mostText = 20_000
)

// Plugin returns the handler.
func Plugin() spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:         spi.KindErrorHandler,
			Type:         Type,
			Version:      "1",
			Description:  "Tells a group of DingTalk of the failure through the group's robot; the job goes on.",
			Capabilities: []string{spi.CapabilityNotify},
			Props: append(
				robot.Schema(prefix),
				props.Field{Name: PropKeyword, Type: props.String, Max: "1000", Description: "text before the message, for a robot that asks for a keyword", Example: "elasticjob"},
				props.Field{Name: PropSecret, Type: props.String, Secret: true, Description: "key of the signature, for a robot that asks for one"},
			),
			Wants: []spi.Want{{Op: spi.OpHTTPRequest, Value: "oapi.dingtalk.com", Why: "webhooks of DingTalk are there"}},
		},
		ErrorHandler: func(_ context.Context, values props.Values) (spi.ErrorHandler, error) {
			r, err := robot.New(prefix, values)
			if err != nil {
				return nil, err
			}
			return &handler{robot: r, keyword: values.String(PropKeyword), secret: values.String(PropSecret)}, nil
		},
	}
}

type handler struct {
	robot           *robot.Robot
	keyword, secret string
}

var _ spi.ErrorHandler = (*handler)(nil)

// HandleError sends one message.
func (h *handler) HandleError(ctx context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
	query := ""
	if h.secret != "" {
		query = signature(time.Now(), h.secret)
	}
	text := report.Cut(h.keyword, mostText/2)
	if err := h.robot.Send(ctx, req.Services, query, text+report.Text(req, mostText-len(text))); err != nil {
		return spi.HandleErrorResponse{}, report.NotSent(req, "dingtalk", err)
	}
	report.Sent(ctx, req, "an dingtalk message been sent successful.")
	return spi.HandleErrorResponse{Decision: spi.DecisionContinue}, nil
}

// signature returns the part of a query that shows DingTalk who knows the
// secret: the base64 of the HMAC with SHA-256, under the secret, of the
// timestamp in milliseconds and the secret on two lines. DingTalk's page on the
// security of custom robots describes it.
func signature(now time.Time, secret string) string {
	timestamp := strconv.FormatInt(now.UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "\n" + secret))
	return "timestamp=" + timestamp + "&sign=" + url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
