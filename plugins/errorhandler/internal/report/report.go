// Package report words what error handlers tell people. The sentences are
// those of Apache ElasticJob, so that filters and alarms written for them go
// on working.
package report

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/elasticjob-go/elasticjob/spi"
)

// cutMark stands at the end of a text that was cut.
const cutMark = "…"

// Text tells of the failed item in at most most bytes of valid UTF-8: the job,
// what went wrong, and the stack if there is one. What does not fit is cut at
// its end and marked.
func Text(req spi.HandleErrorRequest, most int) string {
	text := "Job '" + req.Context.JobName + "' exception occur in job processing, caused by " + req.Error.Error()
	if req.Error.Stack != "" {
		text += "\n" + req.Error.Stack
	}
	return Cut(text, most)
}

// Cut returns the text as valid UTF-8 of at most most bytes, of which the last
// are a mark if it had to be cut.
func Cut(text string, most int) string {
	text = strings.ToValidUTF8(text, string(utf8.RuneError))
	if len(text) <= most {
		return text
	}
	end := max(0, most-len(cutMark))
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	if most < len(cutMark) {
		return ""
	}
	return text[:end] + cutMark
}

// Sent logs that people were told of the failure; what was sent continues the
// sentence.
func Sent(ctx context.Context, req spi.HandleErrorRequest, what string) {
	req.Services.Log(ctx, spi.LogRecord{Level: spi.LevelInfo, Line: "An exception has occurred in Job '" + req.Context.JobName + "', " + what})
}

// NotSent returns the error of a handler that could not tell people of the
// failure. It has a code that plugins may send in every host: a time-out or a
// lost connection of the channel is not one of the handler's own call.
func NotSent(req spi.HandleErrorRequest, channel string, err error) error {
	cause := spi.AsError(err)
	code := cause.Code
	if code.FromGuest() != code {
		code = spi.CodeFailed
		if cause.Retryable {
			code = spi.CodeUnavailable
		}
	}
	return &spi.Error{
		Code: code, Retryable: cause.Retryable, Property: cause.Property,
		Message: Cut("An exception has occurred in Job '"+req.Context.JobName+"' but failed to send "+channel+" because of: "+cause.Error(), 2048),
	}
}
