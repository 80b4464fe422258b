package redistest

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// slots is the number of hash slots of a Cluster.
const slots = 16384

// Cluster is a Cluster of masters without replicas.
type Cluster struct {
	t       testing.TB
	servers []*Server
	client  *redis.ClusterClient
}

// StartCluster starts a Cluster whose masters share the hash slots evenly, and
// waits until all of them serve. They find a node down after two seconds.
func StartCluster(t testing.TB, masters int, opts ...Option) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	opts = append([]Option{func(o *options) { o.cluster = true }}, opts...)
	for i := range masters {
		if i > 0 && c.servers[0].o.tls {
			// They trust one authority.
			opts = append(opts, withCertificates(c.servers[0].o))
		}
		s := Start(t, opts...)
		from, to := i*slots/masters, (i+1)*slots/masters-1
		c.do(s, "CLUSTER", "ADDSLOTSRANGE", from, to)
		// Different from the start, so that they need not agree on them first.
		c.do(s, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i > 0 {
			first := c.servers[0]
			c.do(s, "CLUSTER", "MEET", "127.0.0.1", first.port, first.busPort)
		}
		c.servers = append(c.servers, s)
	}
	for _, s := range c.servers {
		s.await("the Cluster serves", func() bool { return c.serves(s) })
	}
	c.client = redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:                    c.Addrs(),
		Password:                 c.servers[0].o.password,
		TLSConfig:                c.servers[0].client.Options().TLSConfig,
		ContextTimeoutEnabled:    true,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() {
		if err := c.client.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (c *Cluster) do(s *Server, args ...any) {
	c.t.Helper()
	if err := s.client.Do(c.t.Context(), args...).Err(); err != nil {
		c.t.Fatalf("%v at %s: %v", args, s.Addr(), err)
	}
}

// serves says that a node sees all masters with all their slots.
func (c *Cluster) serves(s *Server) bool {
	text, err := s.client.ClusterInfo(c.t.Context()).Result()
	if err != nil || !strings.Contains(text, "cluster_state:ok") {
		return false
	}
	shards, err := s.client.ClusterShards(c.t.Context()).Result()
	if err != nil || len(shards) != len(c.servers) {
		return false
	}
	for _, shard := range shards {
		if len(shard.Slots) == 0 {
			return false
		}
	}
	return true
}

// Servers are the masters, each to be stopped and paused by itself. The first
// has the lowest slots.
func (c *Cluster) Servers() []*Server { return c.servers }

// Addrs are the addresses of all masters.
func (c *Cluster) Addrs() []string { return addrsOf(c.servers) }

// Client is a client of the Cluster as its default user, closed with the test.
func (c *Cluster) Client() *redis.ClusterClient { return c.client }
