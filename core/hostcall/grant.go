package hostcall

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// maxGrant bounds the text of a grant, in bytes.
const maxGrant = 512

// anyPort stands for all ports.
const anyPort = -1

// localhost is the one name whose grant includes addresses that are not
// public: those of the loopback.
const localhost = "localhost"

// httpGrant is an entry of spi.Grants.HTTP. One of name, below, every and
// network says which hosts it is about.
type httpGrant struct {
	methods []string // any, if there are none
	scheme  string   // both, if empty
	name    string   // this host
	below   string   // hosts that end with this; it begins with a dot
	every   bool     // all hosts
	network netip.Prefix
	port    int // the default one of the scheme, if 0
}

// CheckHTTPGrant reports what is wrong with an entry of spi.Grants.HTTP, which
// is written
//
//	[METHOD[,METHOD]… ][http://|https://]HOST[:PORT]
//
// Without methods it allows all of them, without a scheme both, without a port
// the default port of the scheme: 80 or 443. The port "*" is any. The name of a
// common method alone, such as GET, is refused: a host of that name is written
// in small letters.
//
// HOST is a name, "*." before a name for all names below it, "*" for all
// hosts, an address, or a network in the form ADDRESS/BITS. A name other than
// ASCII is written in its ASCII form, which begins with xn--. An address of
// IPv6, or a network, stands in brackets when a port follows.
//
// Addresses that are not public are granted by an entry for the address or a
// network that holds it, also when a request names the host: "*" and names do
// not grant them. The name localhost does, for the loopback.
func CheckHTTPGrant(text string) error {
	_, err := parseHTTPGrant(text)
	return err
}

func parseHTTPGrant(text string) (httpGrant, error) {
	if len(text) > maxGrant {
		return httpGrant{}, fmt.Errorf("a grant has at most %d bytes", maxGrant)
	}
	var g httpGrant
	words := strings.Fields(text)
	switch {
	case len(words) == 0:
		return httpGrant{}, errors.New("expected a host such as api.example.com")
	case len(words) > 2 || strings.Join(words, " ") != text:
		return httpGrant{}, fmt.Errorf("expected a host, or methods, one space and a host such as %q", "GET,POST api.example.com")
	case len(words) == 2:
		g.methods = strings.Split(words[0], ",")
	case isCommonMethod(text):
		// A comma of a YAML list has separated it from its host.
		return httpGrant{}, fmt.Errorf("%q is a method without a host: write them together, in quotes: %q", text, text+" api.example.com")
	}
	for _, method := range g.methods {
		if normal, ok := normalMethod(method); !ok || normal != method {
			return httpGrant{}, fmt.Errorf("expected methods in capitals such as GET,POST, not %q", words[0])
		}
	}
	where := words[len(words)-1]
	if scheme, rest, found := strings.Cut(where, "://"); found {
		if scheme != "http" && scheme != "https" {
			return httpGrant{}, fmt.Errorf("expected the scheme http or https, not %q", scheme)
		}
		g.scheme, where = scheme, rest
	}
	host, port, err := splitPort(where)
	if err != nil {
		return httpGrant{}, err
	}
	if g.port, err = parseGrantPort(port); err != nil {
		return httpGrant{}, err
	}
	if err := g.setHost(host, strings.HasPrefix(where, "[")); err != nil {
		return httpGrant{}, err
	}
	return g, nil
}

func isCommonMethod(text string) bool {
	switch text {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
		http.MethodConnect, http.MethodTrace:
		return true
	default:
		return false
	}
}

// splitPort splits "host:port", "[address]:port" and what has no port. An
// address of IPv6 without brackets has none.
func splitPort(where string) (host, port string, err error) {
	if inside, found := strings.CutPrefix(where, "["); found {
		host, rest, closed := strings.Cut(inside, "]")
		port, hasPort := strings.CutPrefix(rest, ":")
		if !closed || rest != "" && (!hasPort || port == "") {
			return "", "", fmt.Errorf("expected an address in brackets and perhaps a port, such as [::1]:8080, not %q", where)
		}
		return host, port, nil
	}
	if strings.Count(where, ":") > 1 {
		return where, "", nil
	}
	host, port, hasPort := strings.Cut(where, ":")
	if hasPort && port == "" {
		return "", "", fmt.Errorf("expected a port after the colon of %q", where)
	}
	return host, port, nil
}

func parseGrantPort(text string) (int, error) {
	switch text {
	case "":
		return 0, nil
	case "*":
		return anyPort, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != text {
		return 0, fmt.Errorf("expected a port from 1 to 65535 or *, not %q", text)
	}
	return n, nil
}

func (g *httpGrant) setHost(host string, inBrackets bool) error {
	if strings.Contains(host, "/") {
		network, err := netip.ParsePrefix(host)
		switch {
		case err != nil:
			return fmt.Errorf("expected a host without a path, or a network such as 10.0.0.0/8, not %q", host)
		case network.Addr().Is4In6():
			return fmt.Errorf("expected the network %q in the form of IPv4", host)
		case network.Masked() != network:
			return fmt.Errorf("the network of %q is written %s", host, network.Masked())
		}
		g.network = network
		return nil
	}
	if address, err := netip.ParseAddr(host); err == nil {
		if address.Zone() != "" {
			return fmt.Errorf("expected an address without a zone, not %q", host)
		}
		address = address.Unmap()
		g.network = netip.PrefixFrom(address, address.BitLen())
		return nil
	}
	if inBrackets {
		return fmt.Errorf("expected an address of IPv6 in the brackets, not %q", host)
	}
	if host == "*" {
		g.every = true
		return nil
	}
	parent, wild := strings.CutPrefix(host, "*.")
	name, err := normalName(parent)
	if err != nil {
		return err
	}
	if wild {
		g.below = "." + name
	} else {
		g.name = name
	}
	return nil
}

// target is what a request is about, in normal form.
type target struct {
	method, scheme string
	name           string     // empty for an address
	address        netip.Addr // invalid for a name
	port           int
}

// allows says whether the grant is for the target. Whether the address that a
// name leads to may be reached is asked when it is known: see reach.
func (g httpGrant) allows(t target) bool {
	return g.allowsMethod(t.method) && g.allowsScheme(t.scheme) && g.allowsPort(t.scheme, t.port) && g.allowsHost(t)
}

func (g httpGrant) allowsMethod(method string) bool {
	return len(g.methods) == 0 || slices.Contains(g.methods, method)
}

func (g httpGrant) allowsScheme(scheme string) bool { return g.scheme == "" || g.scheme == scheme }

func (g httpGrant) allowsPort(scheme string, port int) bool {
	switch g.port {
	case anyPort:
		return true
	case 0:
		return port == defaultPort(scheme)
	default:
		return port == g.port
	}
}

func (g httpGrant) allowsHost(t target) bool {
	switch {
	case g.every:
		return true
	case t.name == "":
		return g.network.Contains(t.address)
	case g.below != "":
		return strings.HasSuffix(t.name, g.below)
	default:
		return g.name == t.name
	}
}

func defaultPort(scheme string) int {
	if scheme == "https" {
		return 443
	}
	return 80
}

// String names the target as a grant would, with no more than it takes: the
// scheme is left out, and the port when it is the default one.
func (t target) String() string {
	host := t.name
	if host == "" {
		host = t.address.String()
	}
	if t.port == defaultPort(t.scheme) {
		return host
	}
	if t.address.Is6() {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(t.port)
}

// missing is the grant that the target lacks. It has a method or a scheme only
// if others of the host are granted.
func (t target) missing(grants []httpGrant) string {
	text := t.String()
	var otherScheme, otherMethod bool
	for _, g := range grants {
		if g.every || !g.allowsHost(t) {
			continue
		}
		otherScheme = otherScheme || !g.allowsScheme(t.scheme)
		otherMethod = otherMethod || !g.allowsMethod(t.method)
	}
	if otherScheme {
		text = t.scheme + "://" + text
	}
	if otherMethod {
		text = t.method + " " + text
	}
	return text
}
