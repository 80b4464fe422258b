package dial

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// slots is the number of hash slots of a Cluster.
const slots = 16384

// settleCluster looks at all masters of the Cluster that a node belongs to.
func settleCluster(ctx context.Context, node *server) (shape, *problem) {
	c := node.config
	if c.Database != 0 {
		return shape{}, lasting("%s", noDatabases(c.Database)).at(node.addr)
	}
	parts, err := node.client.ClusterSlots(ctx).Result() //nolint:staticcheck // the library asks the same, so that users need one permission
	if err != nil {
		return shape{}, node.explain(ctx, err).at(node.addr)
	}
	if missing := uncovered(parts); missing > 0 {
		return shape{}, passing("the Cluster of %s has no master for %d of its %d hash slots: see its CLUSTER INFO", node.addr, missing, slots)
	}
	var advice []string
	for _, addr := range masters(parts, node.addr) {
		where := fmt.Sprintf("the master %s, which %s says belongs to its Cluster,", c.redact(addr), node.addr)
		if addr == node.addr {
			where = addr
		}
		one, p := c.visit(ctx, addr)
		if p != nil {
			return shape{}, p.at(where)
		}
		more, p := one.examine(ctx)
		one.close()
		if p != nil {
			return shape{}, p.at(where)
		}
		advice = append(advice, more...)
	}
	return shape{kind: kindCluster, config: c, advice: advice}, nil
}

// uncovered is the number of hash slots that no part has.
func uncovered(parts []redis.ClusterSlot) int {
	sorted := slices.SortedFunc(slices.Values(parts), func(a, b redis.ClusterSlot) int { return cmp.Compare(a.Start, b.Start) })
	covered, next := 0, 0
	for _, p := range sorted {
		from, to := max(p.Start, next), min(p.End, slots-1)
		if len(p.Nodes) == 0 || from > to {
			continue
		}
		covered += to - from + 1
		next = to + 1
	}
	return slots - covered
}

// masters are the addresses of the masters as they are reached from here: where
// a node names no host, or names its own machine, the host of the node that was
// asked is meant, and where it names no port, its port. The client library does
// the same.
func masters(parts []redis.ClusterSlot, asked string) []string {
	askedHost, askedPort, err := net.SplitHostPort(asked)
	if err != nil {
		askedHost, askedPort = asked, ""
	}
	var addrs []string
	for _, p := range parts {
		if len(p.Nodes) == 0 {
			continue
		}
		host, port, err := net.SplitHostPort(p.Nodes[0].Addr)
		if err != nil {
			host, port = p.Nodes[0].Addr, askedPort
		}
		if host == "" || isLoopback(host) && !isLoopback(askedHost) {
			host = askedHost
		}
		if port == "0" {
			port = askedPort
		}
		if addr := net.JoinHostPort(host, port); !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// isLoopback says that a host is this machine to itself.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}
