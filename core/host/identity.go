package host

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/elasticjob-go/elasticjob/core/config"
)

// newInstanceID returns a fresh id of this process: ip@-@pid@-@8 hex digits,
// the last so that containers with equal addresses and pids differ.
func newInstanceID(ip string) string {
	random := make([]byte, 4)
	// Read never fails; the runtime ends the program if the system has no
	// randomness.
	_, _ = rand.Read(random)
	return ip + "@-@" + strconv.Itoa(os.Getpid()) + "@-@" + hex.EncodeToString(random)
}

// address is one of this machine's.
type address struct {
	device string
	ip     netip.Addr
}

// localIP returns the address by which this machine is known: of those that
// others can reach, the first IPv4 address that the configuration prefers, else
// the first such IPv6 address. Without preference a machine that nobody can
// reach is known by its loopback address.
func localIP(prefer config.Instance) (string, error) {
	addresses, err := localAddresses()
	if err != nil {
		return "", fmt.Errorf("finding this machine's addresses: %w", err)
	}
	return preferredIP(addresses, prefer)
}

func localAddresses() ([]address, error) {
	devices, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var found []address
	for _, d := range devices {
		if d.Flags&net.FlagUp == 0 {
			continue
		}
		networks, err := d.Addrs()
		if err != nil {
			continue // it went away meanwhile
		}
		for _, n := range networks {
			if network, ok := n.(*net.IPNet); ok {
				if ip, ok := netip.AddrFromSlice(network.IP); ok {
					found = append(found, address{d.Name, ip.Unmap()})
				}
			}
		}
	}
	return found, nil
}

func preferredIP(addresses []address, prefer config.Instance) (string, error) {
	hasPreference := prefer.PreferredNetworkIP != "" || prefer.PreferredNetworkInterface != ""
	var v6, loopback string
	for _, a := range addresses {
		if prefer.PreferredNetworkInterface != "" && a.device != prefer.PreferredNetworkInterface || !prefer.PrefersIP(a.ip.String()) {
			continue
		}
		switch {
		case a.ip.IsLoopback():
			loopback = a.ip.String()
		case !a.ip.IsGlobalUnicast():
		case a.ip.Is4():
			return a.ip.String(), nil
		case v6 == "":
			v6 = a.ip.String()
		}
	}
	switch {
	case v6 != "":
		return v6, nil
	case hasPreference && loopback != "":
		return loopback, nil
	case !hasPreference:
		return "127.0.0.1", nil
	}
	known := make([]string, len(addresses))
	for i, a := range addresses {
		known[i] = a.ip.String() + " on " + a.device
	}
	return "", fmt.Errorf("no address of this machine is the preferred one (address %q, interface %q); it has %s",
		prefer.PreferredNetworkIP, prefer.PreferredNetworkInterface, strings.Join(known, ", "))
}
