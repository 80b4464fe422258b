package wire

import (
	"github.com/elasticjob-go/elasticjob/spi"
)

// AppendHandleErrorRequest adds the request of elasticjob_handle_error for the
// error handler of that type name.
func AppendHandleErrorRequest(b []byte, plugin string, r spi.HandleErrorRequest) []byte {
	b = appendPluginRequest(b, TypeHandleError, plugin)
	b = AppendContext(appendName(b, "context"), r.Context)
	failure := r.Error
	if failure == nil {
		failure = &spi.Error{Code: spi.CodeFailed}
	}
	b = AppendError(appendName(b, "error"), failure)
	b = appendTextMap(b, "props", r.Props)
	if r.Count != 0 {
		b = appendInt(b, "count", int64(r.Count))
	}
	if !r.First.IsZero() {
		b = appendTime(b, "first", r.First)
	}
	if !r.Last.IsZero() {
		b = appendTime(b, "last", r.Last)
	}
	if len(r.Items) > 0 {
		b = appendInts(appendName(b, "items"), r.Items)
	}
	return append(b, '}')
}

// DecodeHandleErrorRequest reads the request of elasticjob_handle_error.
func DecodeHandleErrorRequest(data []byte) (plugin string, r spi.HandleErrorRequest, err error) {
	err = decode(data, "handle_error request", requestFields(TypeHandleError,
		must("plugin", text(&plugin)),
		must("context", object(contextFields(&r.Context)...)),
		must("error", errorObject(&r.Error)),
		must("props", textMap(&r.Props)),
		may("count", integer(&r.Count, 0, maxInteger)),
		may("first", instant(&r.First)),
		may("last", instant(&r.Last)),
		may("items", integers(MaxItems)(&r.Items)),
	)...)
	if err != nil {
		return "", spi.HandleErrorRequest{}, err
	}
	return plugin, r, nil
}

// AppendHandleErrorResponse adds the response of elasticjob_handle_error. An
// empty decision is left out.
func AppendHandleErrorResponse(b []byte, r spi.HandleErrorResponse) []byte {
	b = appendGiven(append(b, '{'), "decision", string(r.Decision))
	return append(b, '}')
}

// DecodeHandleErrorResponse reads the response of elasticjob_handle_error.
// Without a decision, as with empty data, it is [spi.DecisionContinue].
func DecodeHandleErrorResponse(data []byte) (spi.HandleErrorResponse, error) {
	r := spi.HandleErrorResponse{Decision: spi.DecisionContinue}
	if len(data) == 0 {
		return r, nil
	}
	err := decode(data, "handle_error response", may("decision", func(value raw) *mismatch {
		if bad := text(&r.Decision)(value); bad != nil {
			return bad
		}
		if r.Decision != spi.DecisionContinue && r.Decision != spi.DecisionStop {
			return &mismatch{want: `"continue" or "stop", not ` + quote(Cut(string(r.Decision), 64))}
		}
		return nil
	}))
	if err != nil {
		return spi.HandleErrorResponse{}, err
	}
	return r, nil
}
