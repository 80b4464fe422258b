package processtest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Ports are taken from below those that systems give to clients: a client that
// calls again and again at the port of a server that was stopped would otherwise
// get that very port for its own end, and connect to itself.
const firstPort, lastPort = 12000, 32000

// attempts is how many ports are tried.
const attempts = 1000

// FreePort is a port of the loopback interface that nobody has at the moment.
func FreePort(t testing.TB) int {
	t.Helper()
	for range attempts {
		port := firstPort + rand.N(lastPort-firstPort) //nolint:gosec // any port will do, nothing hangs on its being a secret
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", Address(port))
		if err == nil && l.Close() == nil {
			return port
		}
	}
	t.Fatalf("there is no free port from %d to %d", firstPort, lastPort)
	return 0
}

// Address is a port of the loopback interface as host:port.
func Address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
