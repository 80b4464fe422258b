package hostcall

import (
	"net/netip"
	"testing"
)

func TestIsPublic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"1.1.1.1": true, "8.8.8.8": true, "172.15.255.255": true, "172.32.0.0": true, "100.63.255.255": true, "100.128.0.0": true,
		"192.167.255.255": true, "223.255.255.255": true, "198.17.255.255": true, "198.20.0.0": true,
		"2606:4700::1111": true, "2a00:1450::1": true, "2001:200::1": true, "::ffff:8.8.8.8": true,

		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.0": false, "10.255.255.255": false, "100.64.0.0": false, "100.127.255.255": false,
		"127.0.0.1": false, "127.255.255.255": false, "169.254.169.254": false, "172.16.0.0": false, "172.31.255.255": false,
		"192.0.0.8": false, "192.0.2.1": false, "192.88.99.1": false, "192.168.0.1": false, "198.18.0.1": false, "198.19.255.255": false,
		"198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,

		"::": false, "::1": false, "::8.8.8.8": false, "::ffff:10.0.0.1": false, "::ffff:127.0.0.1": false,
		"64:ff9b::808:808": false, "64:ff9b:1::1": false, "100::1": false, "2001::1": false, "2001:db8::1": false, "2002:808:808::1": false,
		"3fff::1": false, "4000::1": false, "5f00::1": false, "fc00::1": false, "fd12:3456::1": false, "fe80::1": false, "fe80::1%eth0": false,
		"fec0::1": false, "ff02::1": false,
	} {
		if got := isPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("isPublic(%s) = %v, want %v", text, got, want)
		}
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		grants         []string
		method, scheme string
		host, at       string
		want           bool
	}{
		{"public", []string{"a.example"}, "GET", "http", "a.example", "8.8.8.8:80", true},
		{"a name alone", []string{"a.example"}, "GET", "http", "a.example", "10.0.0.5:80", false},
		{"every host", []string{"*:*"}, "GET", "http", "10.0.0.5", "10.0.0.5:80", false},
		{"all names", []string{"*.example:*"}, "GET", "http", "a.example", "127.0.0.1:80", false},
		{"the address", []string{"10.0.0.5"}, "GET", "http", "a.example", "10.0.0.5:80", true},
		{"the network", []string{"10.0.0.0/8"}, "GET", "http", "a.example", "10.0.0.5:80", true},
		{"the mapped address", []string{"10.0.0.5"}, "GET", "http", "a.example", "[::ffff:10.0.0.5]:80", true},
		{"everything of IPv4", []string{"0.0.0.0/0"}, "GET", "http", "a.example", "169.254.169.254:80", true},
		{"another network", []string{"10.0.0.0/8"}, "GET", "http", "a.example", "11.0.0.0:80", true},
		{"another private network", []string{"10.0.0.0/8"}, "GET", "http", "a.example", "192.168.0.1:80", false},
		{"another port", []string{"10.0.0.5"}, "GET", "http", "a.example", "10.0.0.5:81", false},
		{"the port of https", []string{"10.0.0.5"}, "GET", "https", "a.example", "10.0.0.5:443", true},
		{"any port", []string{"10.0.0.5:*"}, "GET", "https", "a.example", "10.0.0.5:81", true},
		{"another method", []string{"GET 10.0.0.5"}, "POST", "http", "a.example", "10.0.0.5:80", false},
		{"another scheme", []string{"https://10.0.0.5:*"}, "GET", "http", "a.example", "10.0.0.5:80", false},
		{"localhost", []string{"localhost"}, "GET", "http", "localhost", "127.0.0.1:80", true},
		{"localhost of IPv6", []string{"localhost"}, "GET", "http", "localhost", "[::1]:80", true},
		{"localhost that is elsewhere", []string{"localhost"}, "GET", "http", "localhost", "10.0.0.5:80", false},
		{"another name for loopback", []string{"localhost", "a.example"}, "GET", "http", "a.example", "127.0.0.1:80", false},
		{"another port of localhost", []string{"localhost:81"}, "GET", "http", "localhost", "127.0.0.1:80", false},
		{"below localhost", []string{"*.localhost"}, "GET", "http", "a.localhost", "127.0.0.1:80", false},
		{"with a zone", []string{"fe80::/10"}, "GET", "http", "a.example", "[fe80::1%eth0]:80", true},
		{"NAT64 of a granted address", []string{"10.0.0.0/8"}, "GET", "http", "a.example", "[64:ff9b::a00:5]:80", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var grants []httpGrant
			for _, text := range test.grants {
				g, err := parseHTTPGrant(text)
				if err != nil {
					t.Fatal(err)
				}
				grants = append(grants, g)
			}
			r := reachOf(grants, test.method, test.scheme)
			if got := r.allows(test.host, netip.MustParseAddrPort(test.at)); got != test.want {
				t.Errorf("reach of %q allows(%s, %s) = %v, want %v", test.grants, test.host, test.at, got, test.want)
			}
		})
	}
}

func TestReachKeysTellTermsApart(t *testing.T) {
	t.Parallel()
	seen := make(map[string]string)
	for _, text := range []string{"10.0.0.5", "10.0.0.5:81", "10.0.0.5:*", "10.0.0.0/8", "localhost", "localhost:81", "::1", "*"} {
		g, err := parseHTTPGrant(text)
		if err != nil {
			t.Fatal(err)
		}
		key := reachOf([]httpGrant{g}, "GET", "http").key
		if other, taken := seen[key]; taken {
			t.Errorf("grants %q and %q have one key %q", text, other, key)
		}
		seen[key] = text
	}
}
