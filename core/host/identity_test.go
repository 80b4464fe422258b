package host

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/config"
)

// TestInstancesOfOneAddressDiffer is #1832, #508 and #483 of ElasticJob, where
// containers of equal addresses and process ids are one instance.
func TestInstancesOfOneAddressDiffer(t *testing.T) {
	t.Parallel()
	a, b := newInstanceID("10.0.0.7"), newInstanceID("10.0.0.7")
	if a == b || !strings.HasPrefix(a, "10.0.0.7@-@") {
		t.Errorf("newInstanceID(10.0.0.7) = %q, then %q, want two ids of the address", a, b)
	}
}

// TestAMachineIsKnownByItsPreferredAddress has a machine with two networks, a
// bridge for containers and an address that nobody else can reach: #656 and #117 of
// ElasticJob, which takes the wrong network.
func TestAMachineIsKnownByItsPreferredAddress(t *testing.T) {
	t.Parallel()
	at := func(device, ip string) address { return address{device, netip.MustParseAddr(ip)} }
	addresses := []address{
		at("lo", "127.0.0.1"), at("docker0", "172.17.0.1"), at("eth0", "fd00::7"), at("eth0", "192.168.1.7"), at("eth1", "10.0.0.7"), at("eth2", "fd00::8"),
	}
	for _, c := range []struct {
		ip, device string
		want       string // of the address or the error
	}{
		{"", "", "172.17.0.1"},
		{"10.0.", "", "10.0.0.7"},
		{"10.0.*", "", "10.0.0.7"},
		{"192.168.1.7", "", "192.168.1.7"},
		{"", "eth0", "192.168.1.7"},
		{"", "eth2", "fd00::8"},
		{"", "lo", "127.0.0.1"},
		{"10.0.", "eth1", "10.0.0.7"},
		{"10.0.", "eth0", "no address of this machine is the preferred one"},
		{"", "eth9", "no address of this machine is the preferred one"},
	} {
		got, err := preferredIP(addresses, config.Instance{PreferredNetworkIP: c.ip, PreferredNetworkInterface: c.device})
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, c.want) || err == nil && got != c.want {
			t.Errorf("preferredIP(address %q, interface %q) = %q, want %q", c.ip, c.device, got, c.want)
		}
	}
}
