// Package robot sends texts through the group robots of WeCom and DingTalk,
// which differ in little.
package robot

import (
	"context"
	"time"

	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/hook"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/jsontext"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/report"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// propWebhook is the property of the address, below the prefix and a dot.
const propWebhook = "webhook"

// Schema returns the properties that a robot reads.
func Schema(prefix string) props.Schema {
	address := hook.Field(prefix+"."+propWebhook, "address that the robot's group gave it, with its key")
	return append(props.Schema{address}, hook.Timeouts(prefix, true)...)
}

// Robot is one robot. It keeps nothing between calls and is safe for concurrent
// use.
type Robot struct{ hook *hook.Hook }

// New returns the robot of properties that fit the schema. It fails with an
// [*spi.Error] of [spi.CodeInvalidProperties].
func New(prefix string, values props.Values) (*Robot, error) {
	h, err := hook.New(prefix+"."+propWebhook, prefix, values)
	if err != nil {
		return nil, err
	}
	return &Robot{h}, nil
}

// Send sends the text, which is valid UTF-8. The query is added to that of the
// webhook unless empty. The error is an [*spi.Error] that says what the robot's
// service answered, and shows nothing of the webhook.
func (r *Robot) Send(ctx context.Context, services spi.Services, query, text string) error {
	body := jsontext.AppendString([]byte(`{"msgtype":"text","text":{"content":`), text)
	response, err := r.hook.Send(ctx, services, hook.Request{
		Query: query, Headers: map[string][]string{"Content-Type": {"application/json; charset=utf-8"}}, Body: append(body, "}}"...),
	})
	if err != nil {
		return err
	}
	if response.Status != 200 {
		return r.hook.StatusError(response, "", time.Now())
	}
	answer, ok := jsontext.Members(response.Body)
	code := answer["errcode"]
	switch {
	case !ok || code == "":
		return spi.NewError(spi.CodeFailed, "the response is no JSON object with an errcode")
	case code != "0":
		return spi.NewError(codeOfAnswer(code), report.Cut(r.hook.Hide(answer["errmsg"], query), 1024)+" (errcode "+report.Cut(r.hook.Hide(code, query), 32)+")")
	}
	return nil
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
