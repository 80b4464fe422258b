package host

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"os"
	"strconv"
)

// newInstanceID returns a fresh id of this process: ip@-@pid@-@8 hex digits,
// the last so that containers with equal addresses and pids differ.
func newInstanceID() string {
	random := make([]byte, 4)
	// Read never fails; the runtime ends the program if the system has no
	// randomness.
	_, _ = rand.Read(random)
	return localIP() + "@-@" + strconv.Itoa(os.Getpid()) + "@-@" + hex.EncodeToString(random)
}

// localIP returns the first IPv4 address of this machine that others can
// reach, else the first such IPv6 address, else the loopback address.
func localIP() string {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "127.0.0.1"
	}
	v6 := ""
	for _, a := range addresses {
		network, ok := a.(*net.IPNet)
		if !ok || !network.IP.IsGlobalUnicast() {
			continue
		}
		if v4 := network.IP.To4(); v4 != nil {
			return v4.String()
		}
		if v6 == "" {
			v6 = network.IP.String()
		}
	}
	if v6 != "" {
		return v6
	}
	return "127.0.0.1"
}
