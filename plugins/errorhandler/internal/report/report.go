// Package report words what error handlers tell people. The sentences are
// those of Apache ElasticJob, so that filters and alarms written for them go
// on working.
package report

import (
	"context"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/elasticjob-go/elasticjob/spi"
)

// cutMark stands at the end of a text that was cut.
const cutMark = "…"

// Text tells of the failed item in at most most bytes of valid UTF-8: the job,
// what went wrong, of how many failures this is the last if there are several,
// and the stack if there is one. What does not fit is cut at its end and marked;
// how many there are is kept.
func Text(req spi.HandleErrorRequest, most int) string {
	several := Several(req)
	text := Cut("Job '"+req.Context.JobName+"' exception occur in job processing, caused by "+req.Error.Error(), most-len(several))
	text += several
	if req.Error.Stack != "" && len(text)+2 < most {
		text += "\n" + req.Error.Stack
	}
	return Cut(text, most)
}

// Several is a line that says of how many failures the request tells, when they
// were and of which items, with the line break before it. It is empty for one
// failure.
func Several(req spi.HandleErrorRequest) string {
	if req.Count <= 1 {
		return ""
	}
	const form = "2006-01-02T15:04:05Z"
	line := "\nThis is the last of " + strconv.Itoa(req.Count) + " failures from " + req.First.UTC().Format(form) + " to " + req.Last.UTC().Format(form)
	if len(req.Items) > 0 {
		line += ", of the items " + Items(req.Items)
	}
	return line + "."
}

// Items writes items, which are in order, as ranges.
func Items(items []int) string {
	var b []byte
	for i := 0; i < len(items); {
		end := i
		for end+1 < len(items) && items[end+1] == items[end]+1 {
			end++
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(items[i]), 10)
		if end > i {
			b = strconv.AppendInt(append(b, '-'), int64(items[end]), 10)
		}
		i = end + 1
	}
	return string(b)
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
		Code: code, Retryable: cause.Retryable, Property: cause.Property, RetryAfter: cause.RetryAfter,
		Message: Cut("An exception has occurred in Job '"+req.Context.JobName+"' but failed to send "+channel+" because of: "+cause.Error(), 2048),
	}
}
