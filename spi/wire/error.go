package wire

import (
	"math"

	"github.com/elasticjob-go/elasticjob/spi"
)

// AppendError adds the error object of a call that failed. A message longer
// than [MaxText] and a stack longer than [MaxStack] are cut.
func AppendError(b []byte, e *spi.Error) []byte {
	b = append(b, '{')
	b = appendInt(b, "code", int64(e.Code))
	b = appendText(b, "message", Cut(e.Message, MaxText))
	b = appendGiven(b, "stack", Cut(e.Stack, MaxStack))
	b = appendBool(b, "retryable", e.Retryable)
	b = appendGiven(b, "property", Cut(e.Property, MaxText))
	b = appendMillis(b, "retryAfterMs", e.RetryAfter)
	return append(b, '}')
}

// DecodeError reads an error object, with the bounds of [AppendError].
// Without the member "code" it is [spi.CodeFailed]; without "retryable" it has
// the hint of its code. The code is as sent: a host applies
// [spi.Code.FromGuest] to it.
//
// The second result is the error of decoding.
func DecodeError(data []byte) (*spi.Error, error) {
	value, bad := parse(data)
	if bad == nil {
		var e *spi.Error
		if bad = errorObject(&e)(value); bad == nil {
			return e, nil
		}
	}
	return nil, bad.protocolError("error object")
}

// errorObject reads an error object, which is a whole message or a member.
func errorObject(into **spi.Error) func(raw) *mismatch {
	return func(value raw) (bad *mismatch) {
		*into, bad = value.errorObject()
		return bad
	}
}

func (r raw) errorObject() (*spi.Error, *mismatch) {
	e := &spi.Error{Code: spi.CodeFailed}
	hasHint := false
	bad := decodeObject(r,
		may("code", integer(&e.Code, math.MinInt32, math.MaxInt32)),
		must("message", text(&e.Message)),
		may("stack", text(&e.Stack)),
		may("retryable", func(value raw) *mismatch {
			hasHint = true
			return boolean(&e.Retryable)(value)
		}),
		may("property", text(&e.Property)),
		may("retryAfterMs", millis(&e.RetryAfter)),
	)
	if bad != nil {
		return nil, bad
	}
	if !hasHint {
		e.Retryable = e.Code.Retryable()
	}
	e.Message = Cut(e.Message, MaxText)
	e.Stack = Cut(e.Stack, MaxStack)
	e.Property = Cut(e.Property, MaxText)
	return e, nil
}
