package dial

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// oldest are the earliest releases that have what the scripts need: 6.2 as a
// whole, 7.0 for channels of one shard, which ring the doorbell on a Cluster.
const (
	oldestMajor, oldestMinor               = 6, 2
	oldestClusterMajor, oldestClusterMinor = 7, 0
)

// server is one server that is looked at, over a single connection.
type server struct {
	config  Config
	login   login
	addr    string
	options *redis.Options
	client  *redis.Client
	witness *witness
	info    info
}

func (c Config) dataLogin() login {
	return login{c.Username, c.Password, "username", "password"}
}

func (c Config) sentinelLogin() login {
	return login{c.SentinelUsername, c.SentinelPassword, "sentinelUsername", "sentinelPassword"}
}

// connect prepares a look at one server. Its connection ends with ctx, also
// while an answer is waited for.
func (c Config) connect(ctx context.Context, addr string, l login, database int) *server {
	s := &server{config: c, login: l, addr: addr, witness: new(witness)}
	s.options = c.common().Simple()
	s.options.Addr = addr
	s.options.Username, s.options.Password = l.username, l.password
	s.options.DB = database
	s.options.PoolSize = 1
	s.options.PipelinePoolSize = -1
	s.options.MaxRetries = -1
	s.options.Dialer = func(dialing context.Context, network, addr string) (net.Conn, error) {
		// The library dials under a context of its own.
		dialing, cancel := context.WithCancel(dialing)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		conn, err := c.dial(dialing, network, addr)
		if err != nil {
			return nil, err
		}
		return watch(ctx, conn, s.witness), nil
	}
	s.client = redis.NewClient(s.options)
	return s
}

// close ends the look. Nothing was written that could be lost by it.
func (s *server) close() { _ = s.client.Close() }

// visit connects to a server that holds data and asks what it is. The caller
// closes what it returns.
func (c Config) visit(ctx context.Context, addr string) (*server, *problem) {
	s := c.connect(ctx, addr, c.dataLogin(), c.Database)
	text, err := s.client.Info(ctx).Result()
	if err != nil {
		p := s.explain(ctx, err)
		s.close()
		return nil, p
	}
	s.info = parseInfo(text)
	return s, nil
}

func (s *server) explain(ctx context.Context, err error) *problem {
	return s.config.explain(ctx, s.addr, s.login, s.witness, err)
}

// examine checks that the server can hold a registry center, and returns what
// its operator should change although it can.
func (s *server) examine(ctx context.Context) ([]string, *problem) {
	name := s.info["redis_version"]
	v, err := parseVersion(name)
	oldest := version{oldestMajor, oldestMinor}
	if s.info["cluster_enabled"] == "1" {
		oldest = version{oldestClusterMajor, oldestClusterMinor}
	}
	switch {
	case err != nil:
		return nil, lasting("does not say which release of Redis it is (%s)", s.config.redact(err.Error()))
	case v.before(oldest):
		return nil, lasting("is Redis %s, and %v or later is needed: update it", s.config.redact(name), oldest)
	case s.info["loading"] == "1":
		return nil, passing("is still loading its data")
	case s.info["role"] == "slave":
		return nil, passing("is a replica of %s and takes no writes: give the address of the master",
			s.config.redact(net.JoinHostPort(s.info["master_host"], s.info["master_port"])))
	}
	if policy, ok := s.info["maxmemory_policy"]; ok && policy != "noeviction" {
		return nil, lasting("has the maxmemory-policy %s, by which it may drop keys of the registry center: set it to noeviction", s.config.redact(policy))
	}
	if p := s.tryScript(ctx); p != nil {
		return nil, p
	}
	return s.advise(), nil
}

// advise says what should be otherwise.
func (s *server) advise() []string {
	var advice []string
	if s.info["aof_enabled"] == "0" {
		advice = append(advice, fmt.Sprintf("Redis at %s keeps no append-only file, so it may come back empty: set appendonly yes", s.addr))
	}
	replicas, err := strconv.Atoi(s.info["connected_slaves"])
	if _, bounded := s.info["min_slaves_good_slaves"]; err == nil && replicas > 0 && !bounded {
		advice = append(advice, fmt.Sprintf("Redis at %s takes writes also when it is cut off from its replicas, and loses them at a failover: set min-replicas-to-write 1", s.addr))
	}
	return advice
}
