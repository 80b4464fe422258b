// Package wechat is the error handler WECHAT: it tells a group of WeCom
// (WeChat Work) of the failure, through a robot of the group, and lets the job
// go on.
//
// It is written against spi alone and runs built in, as a process and as a
// module; its requests are those of the host's http service.
package wechat

import (
	"context"

	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/report"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/robot"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Type is the name of the handler in config.
const Type = "WECHAT"

const (
	prefix = "wechat"
	// mostText is how long WeCom accepts a text, in bytes.
	mostText = 2048
)

// Plugin returns the handler.
func Plugin() spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:         spi.KindErrorHandler,
			Type:         Type,
			Version:      "1",
			Description:  "Tells a group of WeCom of the failure through the group's robot; the job goes on.",
			Capabilities: []string{spi.CapabilityNotify},
			Props:        robot.Schema(prefix),
			Wants:        []spi.Want{{Op: spi.OpHTTPRequest, Value: "qyapi.weixin.qq.com", Why: "webhooks of WeCom are there"}},
		},
		ErrorHandler: func(_ context.Context, values props.Values) (spi.ErrorHandler, error) {
			r, err := robot.New(prefix, values)
			if err != nil {
				return nil, err
			}
			return &handler{robot: r}, nil
		},
	}
}

type handler struct{ robot *robot.Robot }

var _ spi.ErrorHandler = (*handler)(nil)

// HandleError sends one message.
func (h *handler) HandleError(ctx context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
	if err := h.robot.Send(ctx, req.Services, "", report.Text(req, mostText)); err != nil {
		return spi.HandleErrorResponse{}, report.NotSent(req, "wechat", err)
	}
	report.Sent(ctx, req, "an wechat message has been sent successful.")
	return spi.HandleErrorResponse{Decision: spi.DecisionContinue}, nil
}
