package hostcall

import (
	"net/netip"
	"strconv"
	"strings"
)

// notPublic returns the networks whose addresses are not those of hosts in the
// public Internet, of IPv4 and of the part of IPv6 that is given to hosts. They
// are those of the IANA registries of special-purpose addresses, RFC 6890, and
// multicast. All forms in which an address of IPv6 carries one of IPv4 are
// among them: a gateway could lead anywhere.
func notPublic() []netip.Prefix {
	return []netip.Prefix{
		v4(0, 0, 0, 0, 8),       // this network, RFC 791
		v4(10, 0, 0, 0, 8),      // private, RFC 1918
		v4(100, 64, 0, 0, 10),   // shared by carriers, RFC 6598
		v4(127, 0, 0, 0, 8),     // loopback
		v4(169, 254, 0, 0, 16),  // link-local, and the metadata of clouds
		v4(172, 16, 0, 0, 12),   // private
		v4(192, 0, 0, 0, 24),    // assignments of protocols
		v4(192, 0, 2, 0, 24),    // documentation
		v4(192, 88, 99, 0, 24),  // relays of 6to4
		v4(192, 168, 0, 0, 16),  // private
		v4(198, 18, 0, 0, 15),   // benchmarks
		v4(198, 51, 100, 0, 24), // documentation
		v4(203, 0, 113, 0, 24),  // documentation
		v4(224, 0, 0, 0, 4),     // multicast
		v4(240, 0, 0, 0, 4),     // reserved, and broadcast
		v6(0x2001, 0, 23),       // assignments of protocols, Teredo among them
		v6(0x2001, 0xdb8, 32),   // documentation
		v6(0x2002, 0, 16),       // 6to4
		v6(0x3fff, 0, 20),       // documentation
	}
}

func v4(a, b, c, d byte, bits int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{a, b, c, d}), bits)
}

func v6(first, second uint16, bits int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{byte(first >> 8), byte(first), byte(second >> 8), byte(second)}), bits)
}

// hostsOfIPv6 is the only part of IPv6 that has been given to hosts; loopback,
// local addresses, multicast and NAT64 are outside of it.
func hostsOfIPv6() netip.Prefix { return v6(0x2000, 0, 3) }

// isPublic says whether an address is one of a host in the public Internet.
func isPublic(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	if !address.Is4() && !hostsOfIPv6().Contains(address) {
		return false
	}
	for _, network := range notPublic() {
		if network.Contains(address) {
			return false
		}
	}
	return true
}

// reach says which addresses may be connected to beside the public ones. It
// is what the grants of one plugin come to for one method and scheme.
type reach struct {
	rules []addressRule
	// key tells different reaches apart.
	key string
}

// addressRule grants a port of a network, or with local set that of the
// loopback for the name localhost.
type addressRule struct {
	network netip.Prefix
	local   bool
	port    int // or anyPort
}

func reachOf(grants []httpGrant, method, scheme string) reach {
	var r reach
	var key strings.Builder
	for _, g := range grants {
		rule := addressRule{network: g.network, local: g.name == localhost, port: g.port}
		if !rule.local && !g.network.IsValid() || !g.allowsMethod(method) || !g.allowsScheme(scheme) {
			continue
		}
		if rule.port == 0 {
			rule.port = defaultPort(scheme)
		}
		r.rules = append(r.rules, rule)
		if rule.local {
			key.WriteString(localhost)
		} else {
			key.WriteString(g.network.String())
		}
		key.WriteString(" " + strconv.Itoa(rule.port) + "\n")
	}
	r.key = key.String()
	return r
}

// allows says whether a connection to an address that stands for host may be
// made.
func (r reach) allows(host string, address netip.AddrPort) bool {
	at := address.Addr().Unmap().WithZone("")
	if isPublic(at) {
		return true
	}
	for _, rule := range r.rules {
		if rule.port != anyPort && rule.port != int(address.Port()) {
			continue
		}
		if rule.local && host == localhost && at.IsLoopback() || rule.network.Contains(at) {
			return true
		}
	}
	return false
}
