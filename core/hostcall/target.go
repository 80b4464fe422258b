package hostcall

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// maxURL bounds the URL of a request, in bytes.
const maxURL = 16 << 10

// errURL is all that is said of a URL that does not parse: it may hold what is
// secret.
var errURL = errors.New("expected an absolute URL of http or https")

// locate checks a URL, writes its host in normal form into it, and returns
// what a request with it is about.
func locate(method string, u *url.URL) (target, error) {
	scheme := strings.ToLower(u.Scheme)
	if scheme != "http" && scheme != "https" || u.Opaque != "" || u.Host == "" {
		return target{}, errURL
	}
	if u.User != nil {
		return target{}, errors.New("expected a URL without user information: it belongs into the header Authorization")
	}
	t := target{method: method, scheme: scheme, port: defaultPort(scheme)}
	if text := u.Port(); text != "" {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return target{}, errors.New("expected a port from 1 to 65535 in the URL")
		}
		t.port = int(port)
	}
	host := u.Hostname()
	if address, err := netip.ParseAddr(host); err == nil {
		if address.Zone() != "" {
			return target{}, errors.New("expected an address without a zone in the URL")
		}
		t.address = address.Unmap()
	} else {
		if strings.HasPrefix(u.Host, "[") {
			return target{}, errURL
		}
		name, err := normalName(host)
		if err != nil {
			return target{}, fmt.Errorf("the host of the URL: %w", err)
		}
		t.name = name
	}
	u.Scheme, u.Host, u.Fragment, u.RawFragment = scheme, t.String(), "", ""
	if t.address.Is6() && t.port == defaultPort(scheme) {
		u.Host = "[" + u.Host + "]"
	}
	return t, nil
}

// normalName returns a host name in lower case and without the dot of the root
// at its end. It refuses what is no name, and names that resolvers may take
// for an address, such as 127.1 and 0x7f000001: their last part is a number.
func normalName(name string) (string, error) {
	const maxName, maxLabel = 253, 63
	normal := strings.ToLower(strings.TrimSuffix(name, "."))
	if normal == "" || len(normal) > maxName {
		return "", fmt.Errorf("expected a host name of at most %d bytes", maxName)
	}
	last := ""
	for label := range strings.SplitSeq(normal, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return "", fmt.Errorf("%q is not a host name", name)
		}
		for _, c := range []byte(label) {
			switch {
			case c >= 0x80:
				return "", fmt.Errorf("expected the ASCII form of %q, which begins with xn--", name)
			case (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_':
				return "", fmt.Errorf("%q is not a host name", name)
			}
		}
		last = label
	}
	if isNumber(last) {
		return "", fmt.Errorf("%q is neither a host name nor an address", name)
	}
	return normal, nil
}

// isNumber says whether a label in lower case is a number of any base that
// addresses have been written in.
func isNumber(label string) bool {
	digits, set := label, "0123456789"
	if hex, found := strings.CutPrefix(label, "0x"); found {
		digits, set = hex, "0123456789abcdef"
	}
	return strings.Trim(digits, set) == ""
}

// normalMethod returns a method in capitals. It refuses those that are for
// proxies and for tracing the way, and what is no method.
func normalMethod(method string) (string, bool) {
	const maxMethod = 32
	normal := strings.ToUpper(method)
	if normal == "" || len(normal) > maxMethod || normal == "CONNECT" || normal == "TRACE" {
		return "", false
	}
	for _, c := range []byte(normal) {
		if (c < 'A' || c > 'Z') && c != '-' {
			return "", false
		}
	}
	return normal, true
}
