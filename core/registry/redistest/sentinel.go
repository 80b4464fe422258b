package redistest

import (
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Sentinels watch over one master.
type Sentinels struct {
	name    string
	servers []*Server
}

// StartSentinels starts so many Sentinels that watch over a master under a name,
// and waits until each knows the others and the master's replicas. More than
// half of them must agree on a failover; they find a master down after a second.
// The options, such as a password, are those of the Sentinels.
func StartSentinels(t testing.TB, name string, master *Server, count int, opts ...Option) *Sentinels {
	t.Helper()
	address := hostAndPort(master)
	watch := []Option{
		func(o *options) { o.sentinel = true },
		Setting("sentinel", "monitor", name, address[0], address[1], strconv.Itoa(count/2+1)),
		Setting("sentinel", "down-after-milliseconds", name, "1000"),
		Setting("sentinel", "failover-timeout", name, "5000"),
	}
	if master.o.password != "" {
		watch = append(watch, Setting("sentinel", "auth-pass", name, master.o.password))
	}
	if master.o.tls {
		watch = append(watch, withCertificates(master.o))
	}
	s := &Sentinels{name: name}
	for range count {
		s.servers = append(s.servers, Start(t, append(watch, opts...)...))
	}
	// One that has heard nothing yet of a replica would not make it the master.
	replicas := master.replicas()
	for _, one := range s.servers {
		client := one.sentinelClient()
		one.await("it knows the others and the replicas", func() bool {
			fields, err := client.Master(t.Context(), name).Result()
			if err != nil || fields["flags"] != "master" || fields["num-other-sentinels"] != strconv.Itoa(count-1) {
				return false
			}
			known, err := client.Replicas(t.Context(), name).Result()
			ready := 0
			for _, replica := range known {
				if replica["flags"] == "slave" && replica["master-link-status"] == "ok" {
					ready++
				}
			}
			return err == nil && ready == replicas
		})
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// replicas is how many replicas a server has.
func (s *Server) replicas() int {
	s.t.Helper()
	text, err := s.client.Info(s.t.Context(), "replication").Result()
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, "connected_slaves:")
	digits, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.Atoi(digits)
	if err != nil {
		s.t.Fatalf("the server at %s says it has %q replicas", s.Addr(), digits)
	}
	return n
}

func (s *Server) sentinelClient() *redis.SentinelClient {
	s.t.Helper()
	o := *s.client.Options()
	return redis.NewSentinelClient(&redis.Options{
		Addr: o.Addr, Password: o.Password, TLSConfig: o.TLSConfig, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// Name is what they call the master.
func (s *Sentinels) Name() string { return s.name }

// Servers are the Sentinels themselves, each to be stopped and paused by itself.
func (s *Sentinels) Servers() []*Server { return s.servers }

// Addrs are their addresses.
func (s *Sentinels) Addrs() []string { return addrsOf(s.servers) }

// Master is the address of the master as the first of them says, which must be
// up.
func (s *Sentinels) Master() string {
	one := s.servers[0]
	one.t.Helper()
	client := one.sentinelClient()
	address, err := client.GetMasterAddrByName(one.t.Context(), s.name).Result()
	if err == nil {
		err = client.Close()
	}
	if err != nil || len(address) != 2 {
		one.t.Fatalf("asking the Sentinel at %s for the master %s: %q, %v", one.Addr(), s.name, address, err)
	}
	return address[0] + ":" + address[1]
}

// Failover has them make a replica the master, and waits until all of them say
// so and the replica is one.
func (s *Sentinels) Failover() {
	one := s.servers[0]
	one.t.Helper()
	before := s.Master()
	client := one.sentinelClient()
	if err := client.Failover(one.t.Context(), s.name).Err(); err != nil {
		one.t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		one.t.Fatal(err)
	}
	one.await("there is another master", func() bool { return s.Master() != before })
	s.settle(s.Master())
}

// AwaitMaster waits until they have made a server the master, after the end of
// the one before.
func (s *Sentinels) AwaitMaster(server *Server) {
	server.t.Helper()
	s.settle(server.Addr())
}

// settle waits until all of them say that a server is the master, and it takes
// writes.
func (s *Sentinels) settle(addr string) {
	first := s.servers[0]
	first.t.Helper()
	for _, one := range s.servers {
		client := one.sentinelClient()
		one.await("the master is "+addr, func() bool {
			fields, err := client.Master(one.t.Context(), s.name).Result()
			return err == nil && fields["ip"]+":"+fields["port"] == addr &&
				fields["flags"] == "master" && fields["role-reported"] == "master"
		})
		if err := client.Close(); err != nil {
			one.t.Fatal(err)
		}
	}
}

func addrsOf(servers []*Server) []string {
	addrs := make([]string, len(servers))
	for i, s := range servers {
		addrs[i] = s.Addr()
	}
	return addrs
}
