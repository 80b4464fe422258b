package httpjob

import (
	"net/url"
	"strings"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// target is where requests go.
type target struct {
	property string
	origin   template // scheme://authority
	rest     template // path and query
	dots     int      // segments of the path that are . or .. by themselves
}

// parseTarget reads the address, which has two names.
func parseTarget(values props.Values) (target, error) {
	t := target{property: PropURI}
	text, other := values.String(PropURI), values.String(PropURL)
	switch {
	case text != "" && other != "":
		return t, invalid(PropURL, "is another name of http.uri, and both are given")
	case other != "":
		t.property, text = PropURL, other
	case text == "":
		return t, invalid(PropURI, "is required: where the request goes")
	}
	text, _, _ = strings.Cut(strings.TrimSpace(text), "#")
	scheme, rest, found := strings.Cut(text, "://")
	if !found || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return t, invalid(t.property, "does not begin with http:// or https://")
	}
	authority := len(rest)
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		authority = end
	}
	var err error
	if t.origin, err = parseTemplate(scheme + "://" + rest[:authority]); err == nil {
		t.rest, err = parseTemplate(rest[authority:])
	}
	if err != nil {
		return t, invalid(t.property, err.Error())
	}
	// As any host, and as any port.
	sample := make([]string, len(variableNames))
	for i := range sample {
		sample[i] = "1"
	}
	t.dots = dotSegments(t.rest.expand(sample, escapeURL))
	if _, err := t.address(sample); err != nil {
		return t, invalid(t.property, "is no address of http")
	}
	return t, nil
}

// address returns the address for an item. Its errors show nothing of it.
func (t target) address(values []string) (*url.URL, error) {
	for _, p := range t.origin {
		if p.named && !isHost(values[p.name]) {
			return nil, spi.NewError(spi.CodeFailed, t.property+": ${"+variableNames[p.name]+"} stands where a host does, and its value is none")
		}
	}
	rest := t.rest.expand(values, escapeURL)
	if dotSegments(rest) > t.dots {
		return nil, spi.NewError(spi.CodeFailed, t.property+`: a value makes a part of the path "." or "..", which leads elsewhere`)
	}
	address, err := url.Parse(t.origin.expand(values, asIs) + rest)
	if err != nil || address.Host == "" || address.Hostname() == "" {
		return nil, spi.NewError(spi.CodeFailed, t.property+" is no address of http for this item")
	}
	return address, nil
}

// dotSegments counts the segments of a path that lead elsewhere: servers remove
// them, also those with dots that are escaped (RFC 3986, section 6.2.2).
func dotSegments(pathAndQuery string) int {
	path, _, _ := strings.Cut(pathAndQuery, "?")
	n := 0
	for segment := range strings.SplitSeq(path, "/") {
		switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
		case ".", "..":
			n++
		}
	}
	return n
}

// isHost says whether a value can be part of a host and a port, and of nothing
// else of an address.
func isHost(value string) bool {
	for _, c := range []byte(value) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("-._:[]", c) < 0 {
			return false
		}
	}
	return value != ""
}

// shown is an address as it stands in messages: without what may be a secret.
func shown(u *url.URL) string {
	text := strings.ToLower(u.Scheme) + "://" + u.Host + u.EscapedPath()
	if u.RawQuery == "" {
		return text
	}
	pairs := strings.Split(u.RawQuery, "&")
	for i, pair := range pairs {
		name, _, found := strings.Cut(pair, "=")
		if !found {
			name = ""
		}
		pairs[i] = strings.TrimPrefix(name+"=***", "=")
	}
	return text + "?" + strings.Join(pairs, "&")
}
