package hostcall

import (
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestCheckHTTPGrant(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"api.example.com", "API.Example.COM", "api.example.com.", "api.example.com:8443", "api.example.com:*", "https://api.example.com",
		"http://api.example.com:81", "GET api.example.com", "get", "get:8080", "GET,POST https://api.example.com:8443", "M-SEARCH x", "*", "*:*", "https://*",
		"*.example.com", "*.example.com:81", "localhost", "localhost:8080", "db_1", "xn--bcher-kva.example", "a--b.c", "1.example",
		"10.0.0.5", "10.0.0.5:81", "10.0.0.0/8", "10.0.0.0/8:81", "0.0.0.0/0", "::1", "[::1]", "[::1]:81", "fd00::/8", "[fd00::/8]:*", "::ffff:10.0.0.5",
	} {
		if err := CheckHTTPGrant(text); err != nil {
			t.Errorf("CheckHTTPGrant(%q) = %v, want nil", text, err)
		}
	}
	for text, want := range map[string]string{
		"":                            "expected a host",
		" ":                           "expected a host",
		" example.com":                "one space",
		"example.com ":                "one space",
		"GET  example.com":            "one space",
		"GET, POST example.com":       "one space",
		"get example.com":             "methods in capitals",
		"GET,,POST example.com":       "methods in capitals",
		", example.com":               "methods in capitals",
		"CONNECT example.com":         "methods in capitals",
		"TRACE example.com":           "methods in capitals",
		"ftp://example.com":           `scheme http or https, not "ftp"`,
		"HTTP://example.com":          `scheme http or https, not "HTTP"`,
		"://example.com":              `scheme http or https, not ""`,
		"https://":                    "host name",
		"https://example.com/":        "without a path",
		"example.com/v1":              "without a path",
		"user@example.com":            "not a host name",
		"user:secret@example.com":     `not "secret@example.com"`,
		"example.com:":                "a port after the colon",
		"example.com:0":               "a port from 1 to 65535",
		"example.com:65536":           "a port from 1 to 65535",
		"example.com:080":             "a port from 1 to 65535",
		"example.com:+80":             "a port from 1 to 65535",
		"example.com:http":            "a port from 1 to 65535",
		"*example.com":                "not a host name",
		"*.":                          "host name",
		"*.*.example.com":             "not a host name",
		"api.*.com":                   "not a host name",
		"*.10.0.0.5":                  "neither a host name nor an address",
		"a..b":                        "not a host name",
		".example.com":                "not a host name",
		"example.com..":               "not a host name",
		"-a.example":                  "not a host name",
		"a-.example":                  "not a host name",
		"bücher.example":              "xn--",
		"ex%61mple.com":               "not a host name",
		"127.1":                       "neither a host name nor an address",
		"2130706433":                  "neither a host name nor an address",
		"0x7f000001":                  "neither a host name nor an address",
		"0x":                          "neither a host name nor an address",
		"010.0.0.5":                   "neither a host name nor an address",
		"10.0.0.5/8":                  "is written 10.0.0.0/8",
		"10.0.0.0/33":                 "a network such as 10.0.0.0/8",
		"::ffff:10.0.0.0/104":         "in the form of IPv4",
		"GET":                         `write them together, in quotes: "GET api.example.com"`,
		"POST":                        `"POST api.example.com"`,
		"PATCH":                       `"PATCH" is a method without a host`,
		"fe80::1%eth0":                "without a zone",
		"[fe80::1%eth0]:80":           "without a zone",
		"[::1":                        "in brackets",
		"[::1]80":                     "in brackets",
		"[::1]:":                      "in brackets",
		"[example.com]":               "in the brackets",
		strings.Repeat("a", 64):       "not a host name",
		strings.Repeat("a.", 130):     "at most 253 bytes",
		strings.Repeat("a", 513):      "at most 512 bytes",
		"example.com\x00":             "not a host name",
		"example.com\nevil.example":   "one space",
		"http://https://example.com":  "a port from 1 to 65535",
		"GET http://example.com:80:1": "not a host name",
	} {
		if err := CheckHTTPGrant(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CheckHTTPGrant(%q) = %v, want %q in it", text, err, want)
		}
	}
}

func TestGrantAllows(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		grant, method, url string
		want               bool
	}{
		{"api.example.com", "GET", "https://api.example.com/v1?q", true},
		{"api.example.com", "POST", "http://api.example.com", true},
		{"API.example.com.", "GET", "https://api.EXAMPLE.com./", true},
		{"api.example.com", "GET", "https://api.example.com:443/", true},
		{"api.example.com", "GET", "https://api.example.com:/", true},
		{"api.example.com", "GET", "https://api.example.com:8443/", false},
		{"api.example.com", "GET", "https://api.example.com:80/", false},
		{"api.example.com:443", "GET", "http://api.example.com:443/", true},
		{"api.example.com:443", "GET", "http://api.example.com/", false},
		{"api.example.com:*", "GET", "http://api.example.com:6379/", true},
		{"https://api.example.com", "GET", "http://api.example.com/", false},
		{"api.example.com", "GET", "https://xapi.example.com/", false},
		{"api.example.com", "GET", "https://api.example.com.evil.example/", false},
		{"api.example.com", "GET", "https://example.com/", false},
		{"*.example.com", "GET", "https://a.b.example.com/", true},
		{"*.example.com", "GET", "https://example.com/", false},
		{"*.example.com", "GET", "https://badexample.com/", false},
		{"GET,HEAD x.example", "HEAD", "https://x.example/", true},
		{"GET,HEAD x.example", "POST", "https://x.example/", false},
		{"*", "GET", "https://anything.example/", true},
		{"*", "GET", "https://8.8.8.8/", true},
		{"*", "GET", "https://anything.example:8443/", false},
		{"10.0.0.0/8", "GET", "http://10.1.2.3/", true},
		{"10.0.0.0/8", "GET", "http://11.1.2.3/", false},
		{"10.0.0.0/8", "GET", "http://name.example/", false},
		{"10.0.0.5", "GET", "http://[::ffff:10.0.0.5]/", true},
		{"10.0.0.5", "GET", "http://[::ffff:a00:5]/", true},
		{"::ffff:10.0.0.5", "GET", "http://10.0.0.5/", true},
		{"[::1]:81", "GET", "http://[0:0:0:0:0:0:0:1]:81/", true},
		{"fd00::/8", "GET", "http://[fd12::1]/", true},
		{"localhost", "GET", "http://127.0.0.1/", false},
		{"localhost", "GET", "http://localhost/", true},
		{"localhost", "GET", "http://a.localhost/", false},
	} {
		g, err := parseHTTPGrant(test.grant)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(test.url)
		if err != nil {
			t.Fatal(err)
		}
		at, err := locate(test.method, u)
		if err != nil {
			t.Fatalf("locate(%q) = %v", test.url, err)
		}
		if got := g.allows(at); got != test.want {
			t.Errorf("grant %q allows(%s %s) = %v, want %v", test.grant, test.method, test.url, got, test.want)
		}
	}
}

func TestMissingGrantsGrant(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		granted     []string
		method, url string
		want        string
	}{
		{nil, "GET", "https://api.example.com/secret", "api.example.com"},
		{nil, "GET", "https://api.example.com:8443", "api.example.com:8443"},
		{nil, "GET", "http://[::1]:81", "[::1]:81"},
		{nil, "GET", "http://[::1]", "::1"},
		{[]string{"GET api.example.com"}, "POST", "https://api.example.com", "POST api.example.com"},
		{[]string{"https://api.example.com"}, "GET", "http://api.example.com", "http://api.example.com"},
		{[]string{"GET https://api.example.com"}, "PUT", "http://api.example.com:81", "PUT http://api.example.com:81"},
		{[]string{"GET *", "https://b.example"}, "POST", "http://a.example", "a.example"},
	} {
		var granted []httpGrant
		for _, text := range test.granted {
			g, err := parseHTTPGrant(text)
			if err != nil {
				t.Fatal(err)
			}
			granted = append(granted, g)
		}
		u, err := url.Parse(test.url)
		if err != nil {
			t.Fatal(err)
		}
		at, err := locate(test.method, u)
		if err != nil {
			t.Fatal(err)
		}
		got := at.missing(granted)
		if got != test.want {
			t.Errorf("missing of %s %s with %q = %q, want %q", test.method, test.url, test.granted, got, test.want)
		}
		if g, err := parseHTTPGrant(got); err != nil || !g.allows(at) {
			t.Errorf("the missing grant %q of %s %s does not grant it: %v", got, test.method, test.url, err)
		}
	}
}

func TestLocateRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"ftp://example.com/":                "http or https",
		"file:///etc/passwd":                "http or https",
		"http:example.com":                  "http or https",
		"http:///path":                      "http or https",
		"//example.com/":                    "http or https",
		"/path":                             "http or https",
		"http://user@example.com/":          "user information",
		"http://api.example.com@evil.test/": "user information",
		"http://user:pass@example.com/":     "user information",
		"http://@example.com/":              "user information",
		"http://example.com:0/":             "a port from 1",
		"http://example.com:65536/":         "a port from 1",
		"http://[fe80::1%25eth0]/":          "without a zone",
		"http://127.1/":                     "neither a host name nor an address",
		"http://0177.0.0.1/":                "neither a host name nor an address",
		"http://0x7f.0.0.1/":                "neither a host name nor an address",
		"http://2130706433/":                "neither a host name nor an address",
		"http://127.0.0.1./":                "neither a host name nor an address",
		"http://b%C3%BCcher.example/":       "xn--",
		"http://１２７.０.０.１/":                 "xn--",
		"http://a..b/":                      "not a host name",
		"http://a b/":                       "",
		"http://api.example.com\\@evil/":    "",
		"http://ex%61mple.com/":             "",
		"http://[::1/":                      "",
		"http://[name]/":                    "",
	} {
		u, err := url.Parse(text)
		if err == nil {
			_, err = locate("GET", u)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("locate(%q) = %v, want %q in it", text, err, want)
		}
	}
}

// FuzzGrant compares what a grant allows with what a second reading of its
// documentation does.
func FuzzGrant(f *testing.F) {
	for _, grant := range []string{"api.example.com", "GET,POST https://*.example.com:*", "10.0.0.0/8:81", "[::1]:81", "*", "fd00::/8", "http://127.0.0.1"} {
		for _, address := range []string{"https://api.example.com/x", "http://10.1.2.3:81", "http://[::1]:81/", "http://[::ffff:127.0.0.1]"} {
			f.Add(grant, "GET", address)
		}
	}
	f.Fuzz(func(t *testing.T, grant, method, address string) {
		g, err := parseHTTPGrant(grant)
		if err != nil {
			return
		}
		method, ok := normalMethod(method)
		u, err := url.Parse(address)
		if !ok || err != nil {
			return
		}
		at, err := locate(method, u)
		if err != nil {
			return
		}
		want := oracleAllows(t, grant, method, u)
		if got := g.allows(at); got != want {
			t.Errorf("grant %q allows(%s %s) = %v, want %v", grant, method, address, got, want)
		}
		if !coversHTTP([]string{grant}, grant) {
			t.Errorf("grant %q does not cover itself", grant)
		}
	})
}

// oracleAllows reads a valid grant by an expression and the addresses in it
// with package net.
func oracleAllows(t *testing.T, grant, method string, u *url.URL) bool {
	t.Helper()
	form := regexp.MustCompile(`^(?:([A-Z,-]+) )?(?:(https?)://)?(?:\[([^\]]+)\]|([^:]+)|([0-9A-Fa-f:./]+))(?::([0-9]+|\*))?$`)
	parts := form.FindStringSubmatch(grant)
	if parts == nil {
		t.Fatalf("the valid grant %q has not the documented form", grant)
	}
	methods, scheme, host, port := parts[1], parts[2], parts[3]+parts[4]+parts[5], parts[6]
	if parts[5] != "" { // an address of IPv6 without brackets takes no port
		host, port = parts[5], ""
		if parts[6] != "" {
			host += ":" + parts[6]
		}
	}
	if methods != "" && !slices.Contains(strings.Split(methods, ","), method) || scheme != "" && scheme != u.Scheme {
		return false
	}
	standard := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	actual := u.Port()
	if actual == "" {
		actual = standard
	}
	if port == "" {
		port = standard
	}
	if port != "*" && port != actual {
		return false
	}
	name := u.Hostname()
	address := net.ParseIP(name)
	if _, network, err := net.ParseCIDR(host); err == nil {
		return address != nil && network.Contains(address)
	}
	if granted := net.ParseIP(host); granted != nil {
		return address != nil && granted.Equal(address)
	}
	if host == "*" {
		return true
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	pattern := "^" + strings.Replace(regexp.QuoteMeta(host), `\*`, `.+`, 1) + "$"
	return address == nil && regexp.MustCompile(pattern).MatchString(name)
}

// FuzzLocate holds that what was checked is what net/http connects to and
// names in the request.
func FuzzLocate(f *testing.F) {
	for _, address := range []string{
		"https://Api.Example.com.:443/a?b#c", "http://[::ffff:10.0.0.1]:81/%2f", "http://user@host/", "http://127.1/", "http://h\\@e/", "http://[fe80::1%25e]/",
	} {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, address string) {
		u, err := url.Parse(address)
		if err != nil {
			return
		}
		at, err := locate("GET", u)
		if err != nil {
			return
		}
		again, err := url.Parse(u.String())
		if err != nil {
			t.Fatalf("%q becomes %q, which does not parse: %v", address, u, err)
		}
		host := at.name
		if host == "" {
			host = at.address.String()
		}
		if again.Hostname() != host || again.User != nil || again.Scheme != at.scheme {
			t.Errorf("%q becomes %q with the host %q, want the host %q and nothing else", address, u, again.Hostname(), host)
		}
		if located, err := locate("GET", again); err != nil || located != at {
			t.Errorf("locate(%q) = %+v, %v, want %+v", again, located, err, at)
		}
		if net.ParseIP(host) == nil && at.name == "" {
			t.Errorf("locate(%q) has neither a name nor an address", address)
		}
	})
}

func TestSameOrigin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		from, to string
		want     bool
	}{
		{"https://a.example/x", "https://a.example:443/y", true},
		{"http://a.example", "https://a.example", true},
		{"https://a.example", "http://a.example", false},
		{"http://a.example:81", "https://a.example:81", false},
		{"http://a.example:81", "https://a.example", false},
		{"http://a.example", "https://a.example:8443", false},
		{"https://a.example", "https://a.example:8443", false},
		{"https://a.example", "https://b.a.example", false},
		{"https://b.a.example", "https://a.example", false},
		{"http://10.0.0.1", "http://10.0.0.1", true},
		{"http://10.0.0.1", "http://[::ffff:10.0.0.1]", true},
		{"http://10.0.0.1", "http://10.0.0.2", false},
	} {
		var at [2]target
		for i, text := range []string{test.from, test.to} {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if at[i], err = locate("GET", u); err != nil {
				t.Fatal(err)
			}
		}
		if got := sameOrigin(at[0], at[1]); got != test.want {
			t.Errorf("sameOrigin(%s, %s) = %v, want %v", test.from, test.to, got, test.want)
		}
	}
}
