package wire

import (
	"time"
)

// HTTPRequest is the request of the host operation http.request.
type HTTPRequest struct {
	// Method is GET when empty.
	Method string
	// URL is absolute, of the scheme http or https.
	URL string
	// Headers are sent by the names given, each with all its values.
	Headers map[string][]string
	Body    []byte
	// Timeout bounds the request with its redirects and its response. It counts
	// in whole milliseconds; 0 leaves it to the call and the host.
	Timeout time.Duration
	// ConnectTimeout and ReadTimeout bound its two parts, within Timeout, and count
	// as that does; 0 is no bound. The first ends when there is a connection, which
	// takes no time if it was there before, and the second when the response has
	// been read. For each redirect both begin anew.
	ConnectTimeout, ReadTimeout time.Duration
	// NoRedirects has a response that leads elsewhere returned, and not followed.
	NoRedirects bool
}

// HTTPResponse is the response of the host operation http.request.
type HTTPResponse struct {
	// Status is the number of the response, such as 200 or 404.
	Status int
	// Headers have their names in canonical form, such as Content-Type.
	Headers map[string][]string
	Body    []byte
}

// AppendHTTPRequest adds the request of the host operation http.request. What
// is empty is left out; a timeout is rounded up to milliseconds and is at most
// 24 days.
func AppendHTTPRequest(b []byte, r HTTPRequest) []byte {
	b = append(b, '{')
	b = appendGiven(b, "method", r.Method)
	b = appendText(b, "url", r.URL)
	b = appendHeaders(b, r.Headers)
	if len(r.Body) > 0 {
		b = appendBytes(b, "body", r.Body)
	}
	b = appendMillis(b, "timeoutMs", r.Timeout)
	b = appendMillis(b, "connectTimeoutMs", r.ConnectTimeout)
	b = appendMillis(b, "readTimeoutMs", r.ReadTimeout)
	if r.NoRedirects {
		b = appendBool(b, "noRedirects", true)
	}
	return append(b, '}')
}

// DecodeHTTPRequest reads the request of the host operation http.request. The
// method is GET when absent or empty.
func DecodeHTTPRequest(data []byte) (HTTPRequest, error) {
	var r HTTPRequest
	err := decode(data, "http.request request",
		may("method", text(&r.Method)),
		must("url", text(&r.URL)),
		may("headers", headers(&r.Headers)),
		may("body", base64Bytes(MaxMessage, &r.Body)),
		may("timeoutMs", millis(&r.Timeout)),
		may("connectTimeoutMs", millis(&r.ConnectTimeout)),
		may("readTimeoutMs", millis(&r.ReadTimeout)),
		may("noRedirects", boolean(&r.NoRedirects)),
	)
	if err != nil {
		return HTTPRequest{}, err
	}
	if r.Method == "" {
		r.Method = "GET"
	}
	return r, nil
}

// AppendHTTPResponse adds the response of the host operation http.request.
// What is empty is left out.
func AppendHTTPResponse(b []byte, r HTTPResponse) []byte {
	b = appendInt(append(b, '{'), "status", int64(r.Status))
	b = appendHeaders(b, r.Headers)
	if len(r.Body) > 0 {
		b = appendBytes(b, "body", r.Body)
	}
	return append(b, '}')
}

// DecodeHTTPResponse reads the response of the host operation http.request.
func DecodeHTTPResponse(data []byte) (HTTPResponse, error) {
	var r HTTPResponse
	err := decode(data, "http.request response",
		must("status", integer(&r.Status, 0, maxStatus)),
		may("headers", headers(&r.Headers)),
		may("body", base64Bytes(MaxMessage, &r.Body)),
	)
	if err != nil {
		return HTTPResponse{}, err
	}
	return r, nil
}

const maxStatus = 999

func appendHeaders(b []byte, all map[string][]string) []byte {
	if len(all) == 0 {
		return b
	}
	return appendMap(appendName(b, "headers"), all, func(b []byte, values []string) []byte {
		return appendList(b, values, appendString)
	})
}

func headers(into *map[string][]string) func(raw) *mismatch {
	return mapOf(MaxHeaders, into, func(values *[]string) func(raw) *mismatch { return texts(MaxHeaders, values) })
}
