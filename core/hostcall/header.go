package hostcall

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// checkHeader returns the header of a request with names in canonical form.
func checkHeader(given map[string][]string) (http.Header, error) {
	size := 0
	header := make(http.Header, len(given)+1)
	for name, values := range given {
		if !isToken(name) {
			return nil, spi.NewError(spi.CodeFailed, fmt.Sprintf("http.request: %q is not the name of a header field", wire.Cut(name, 64)))
		}
		canonical := http.CanonicalHeaderKey(name)
		if isOfConnection(canonical) {
			return nil, spi.NewError(spi.CodeFailed, fmt.Sprintf("http.request: the header field %s is set by the host", wire.Cut(canonical, 64)))
		}
		for _, value := range values {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return nil, spi.NewError(spi.CodeFailed, fmt.Sprintf("http.request: a value of the header field %s has control characters", wire.Cut(canonical, 64)))
			}
			size += len(name) + len(value)
			header.Add(canonical, value)
		}
	}
	if size > maxHeader {
		return nil, spi.NewError(spi.CodeTooLarge, fmt.Sprintf("http.request: the header has more than %d bytes", maxHeader))
	}
	if header["User-Agent"] == nil {
		header.Set("User-Agent", userAgent)
	}
	return header, nil
}

// isToken says whether a text is a token of RFC 9110, section 5.6.2.
func isToken(text string) bool {
	const marks = "!#$%&'*+-.^_`|~"
	for _, c := range []byte(text) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(marks, c) < 0 {
			return false
		}
	}
	return text != ""
}

// isOfConnection says whether a header field says which host is meant, how
// messages are framed or how the connection goes on. These are the host's.
func isOfConnection(canonical string) bool {
	switch canonical {
	case "Host", "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", "Expect", "Http2-Settings":
		return true
	default:
		return strings.HasPrefix(canonical, "Proxy-")
	}
}

// isHarmless says whether a header field may go to another origin: it is none
// that could be a credential.
func isHarmless(canonical string) bool {
	switch canonical {
	case "Accept", "Accept-Language", "Content-Type", "User-Agent":
		return true
	default:
		return false
	}
}
