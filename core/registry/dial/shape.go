package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// Open pauses between two looks at the servers, at first and at last.
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
	// One look takes at most so long, and may always take lastAttempt.
	longestAttempt = 5 * time.Second
	lastAttempt    = time.Second
)

type kind int

const (
	kindSingle kind = iota
	kindSentinel
	kindCluster
)

// shape is what the servers have turned out to be.
type shape struct {
	kind   kind
	config Config
	advice []string
}

func (s shape) String() string {
	security := ""
	if s.config.TLS != nil {
		security = ", TLS"
	}
	switch s.kind {
	case kindCluster:
		return fmt.Sprintf("Redis Cluster of %s%s", list(s.config.Servers), security)
	case kindSentinel:
		return fmt.Sprintf("Redis master %q of the Sentinels %s, database %d%s",
			s.config.MasterName, list(s.config.Servers), s.config.Database, security)
	default:
		return fmt.Sprintf("Redis at %s, database %d%s", list(s.config.Servers), s.config.Database, security)
	}
}

// client makes a client for the shape.
func (s shape) client(o *redis.UniversalOptions) redis.UniversalClient {
	switch s.kind {
	case kindCluster:
		return redis.NewClusterClient(o.Cluster())
	case kindSentinel:
		return redis.NewFailoverClient(o.Failover())
	default:
		return redis.NewClient(o.Simple())
	}
}

// settle looks at the servers once.
func settle(ctx context.Context, c Config) (shape, *problem) {
	if c.MasterName != "" {
		return settleMaster(ctx, c)
	}
	addr, p := first(ctx, c.Servers, func(ctx context.Context, addr string) *problem {
		s, p := c.visit(ctx, addr)
		if p != nil {
			return p.at(addr)
		}
		s.close()
		return nil
	})
	if p != nil {
		return shape{}, p
	}
	s, p := c.visit(ctx, addr)
	if p != nil {
		return shape{}, p.at(addr)
	}
	defer s.close()
	switch {
	case s.info["redis_mode"] == "sentinel":
		return shape{}, lasting("is a Sentinel: set masterName to what it calls the master%s", s.watched(ctx)).at(addr)
	case s.info["cluster_enabled"] == "1":
		return settleCluster(ctx, s)
	case len(c.Servers) > 1:
		return shape{}, lasting("is not a node of a Cluster, and several servers are given: give the master only, or set masterName if they are Sentinels").at(addr)
	}
	advice, p := s.examine(ctx)
	if p != nil {
		return shape{}, p.at(addr)
	}
	return shape{kind: kindSingle, config: c, advice: advice}, nil
}

// settleMaster asks the Sentinels for the master and looks at that.
func settleMaster(ctx context.Context, c Config) (shape, *problem) {
	masters := make([]string, len(c.Servers))
	sentinel, p := first(ctx, c.Servers, func(ctx context.Context, addr string) *problem {
		master, p := c.askSentinel(ctx, addr)
		if p != nil {
			return p.at("the Sentinel at " + addr)
		}
		masters[slices.Index(c.Servers, addr)] = master
		return nil
	})
	if p != nil {
		return shape{}, p
	}
	addr := masters[slices.Index(c.Servers, sentinel)]
	where := fmt.Sprintf("the master %q, which the Sentinel at %s says is at %s,", c.MasterName, sentinel, c.redact(addr))
	s, p := c.visit(ctx, addr)
	if p != nil {
		return shape{}, p.at(where)
	}
	defer s.close()
	advice, p := s.examine(ctx)
	if p != nil {
		return shape{}, p.at(where)
	}
	return shape{kind: kindSentinel, config: c, advice: advice}, nil
}

// askSentinel asks one Sentinel where the master is.
func (c Config) askSentinel(ctx context.Context, addr string) (string, *problem) {
	s := c.connect(ctx, addr, c.sentinelLogin(), 0)
	defer s.close()
	reply, err := s.client.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", c.MasterName).StringSlice()
	switch {
	case errors.Is(err, redis.Nil):
		return "", passing("knows no master %q%s: check masterName", c.MasterName, s.watched(ctx))
	case err != nil && strings.Contains(strings.ToLower(err.Error()), "unknown command"):
		return "", lasting("is no Sentinel: remove masterName, or give the addresses of Sentinels")
	case err != nil:
		return "", s.explain(ctx, err)
	case len(reply) != 2:
		return "", lasting("answers the question for its master with %d values, want 2", len(reply))
	}
	return net.JoinHostPort(reply[0], reply[1]), nil
}

// watched says which masters a Sentinel knows, as far as it tells.
func (s *server) watched(ctx context.Context) string {
	reply, err := s.client.Do(ctx, "SENTINEL", "MASTERS").Slice()
	if err != nil {
		return ""
	}
	var names []string
	for _, master := range reply {
		if name, ok := field(master, "name"); ok {
			names = append(names, strconv.Quote(name))
		}
	}
	if len(names) == 0 {
		return " (it watches none)"
	}
	return " (it watches " + list(names) + ")"
}

// field reads a field of what is a map in RESP3 and a list of pairs in RESP2.
func field(reply any, name string) (string, bool) {
	switch reply := reply.(type) {
	case map[any]any:
		value, ok := reply[name].(string)
		return value, ok
	case []any:
		for i := 0; i+1 < len(reply); i += 2 {
			if reply[i] == any(name) {
				value, ok := reply[i+1].(string)
				return value, ok
			}
		}
	}
	return "", false
}

// first asks all servers at once and returns the first that has no problem, or
// the problems of all.
func first(ctx context.Context, addrs []string, ask func(context.Context, string) *problem) (string, *problem) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	good := make(chan string, len(addrs))
	problems := make([]*problem, len(addrs))
	var asked sync.WaitGroup
	for i, addr := range addrs {
		asked.Go(func() {
			if problems[i] = ask(ctx, addr); problems[i] == nil {
				good <- addr
				cancel()
			}
		})
	}
	asked.Wait()
	select {
	case addr := <-good:
		return addr, nil
	default:
	}
	all := &problem{passing: true}
	texts := make([]string, len(problems))
	for i, p := range problems {
		texts[i] = p.text
		all.passing = all.passing && p.passing
	}
	all.text = strings.Join(texts, "; ")
	return "", all
}
