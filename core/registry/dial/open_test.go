package dial_test

import (
	"context"
	"crypto/tls"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/elasticjob-go/elasticjob/core/registry/dial"
	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

const (
	// canary is a password that no text may hold.
	canary = "canary-7f3a9c"
	// patience bounds what takes milliseconds on an idle machine.
	patience = 30 * time.Second
)

// config is for servers that need nothing else.
func config(servers ...string) dial.Config {
	return dial.Config{Servers: servers, ConnectionTimeout: patience}
}

func open(t *testing.T, c dial.Config) *dial.Connection {
	t.Helper()
	connection, err := dial.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := connection.Close(); err != nil {
			t.Error(err)
		}
	})
	return connection
}

// clients are those of a connection by their names.
func clients(c *dial.Connection) map[string]redis.UniversalClient {
	return map[string]redis.UniversalClient{"Commands": c.Commands(), "Firings": c.Firings(), "Sessions": c.Sessions()}
}

// wantWorking checks that all clients write and read what they wrote, also by
// script and in another slot of a Cluster.
func wantWorking(t *testing.T, c *dial.Connection) {
	t.Helper()
	for name, client := range clients(c) {
		for _, key := range []string{"ej:{a}:x", "ej:{b}:x", "ej:{c}:x"} {
			if err := client.Set(t.Context(), key, name, 0).Err(); err != nil {
				t.Errorf("%s().Set(%q) = %v, want nil", name, key, err)
				continue
			}
			got, err := client.Eval(t.Context(), "return redis.call('GET', KEYS[1])", []string{key}).Text()
			if got != name || err != nil {
				t.Errorf("%s().Eval(GET %q) = %q, %v, want %q", name, key, got, err, name)
			}
		}
	}
}

func TestOpenSingle(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		options []redistest.Option
		change  func(*dial.Config)
		want    string
	}{
		"plain":    {want: "Redis at ADDR, database 0"},
		"database": {change: func(c *dial.Config) { c.Database = 3 }, want: "Redis at ADDR, database 3"},
		"password": {
			options: []redistest.Option{redistest.Password(canary)},
			change:  func(c *dial.Config) { c.Password = canary },
			want:    "Redis at ADDR, database 0",
		},
		"user": {
			options: []redistest.Option{redistest.Password("of all"), redistest.ACL("jobs", canary, "+@all", "~*", "&*")},
			change:  func(c *dial.Config) { c.Username, c.Password = "jobs", canary },
			want:    "Redis at ADDR, database 0",
		},
		"TLS": {
			options: []redistest.Option{redistest.TLS()},
			want:    "Redis at ADDR, database 0, TLS",
		},
		"TLS with certificates of clients": {
			options: []redistest.Option{redistest.TLS(), redistest.Setting("tls-auth-clients", "yes")},
			want:    "Redis at ADDR, database 0, TLS",
		},
		"TLS with another name": {
			options: []redistest.Option{redistest.TLS("redis.example.com")},
			change:  func(c *dial.Config) { c.TLS.ServerName = "redis.example.com" },
			want:    "Redis at ADDR, database 0, TLS",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, test.options...)
			c := config(s.Addr())
			c.TLS = s.TLS()
			c.Namespace = "orders"
			if test.change != nil {
				test.change(&c)
			}
			connection := open(t, c)
			wantWorking(t, connection)
			if want := strings.ReplaceAll(test.want, "ADDR", s.Addr()); connection.String() != want {
				t.Errorf("String() = %q, want %q", connection, want)
			}
			if connection.Cluster() {
				t.Error("Cluster() = true, want false")
			}
		})
	}
}

func TestClientsOfDatabase(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := config(s.Addr())
	c.Database = 5
	connection := open(t, c)
	wantWorking(t, connection)
	if n, err := s.Client().DBSize(t.Context()).Result(); n != 0 || err != nil {
		t.Errorf("DBSize of database 0 = %d, %v, want 0", n, err)
	}
}

func TestClientsHaveAName(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	connection := open(t, config(s.Addr()))
	wantWorking(t, connection)
	list, err := s.Client().ClientList(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(list, "name=elasticjob "); n != 3 {
		t.Errorf("CLIENT LIST has %d clients of that name, want 3 in\n%s", n, list)
	}
}

func TestSessionsDoNotWaitBehindCommands(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	connection := open(t, config(s.Addr()))
	ctx, cancel := context.WithCancel(t.Context())
	held := make(chan error)
	const all = 100
	for range all {
		go func() { held <- connection.Commands().BLPop(ctx, 0, "empty").Err() }()
	}
	waitFor(t, func() bool {
		clients, err := s.Client().Info(t.Context(), "clients").Result()
		return err == nil && clientsIn(t, clients) > 20
	})
	if err := connection.Sessions().Ping(t.Context()).Err(); err != nil {
		t.Errorf("Sessions().Ping() while Commands are busy = %v, want nil", err)
	}
	// The whole node takes few of the connections that a server has for all.
	if clients, err := s.Client().Info(t.Context(), "clients").Result(); err != nil || clientsIn(t, clients) > 40 {
		t.Errorf("INFO clients = %q, %v, want at most 40 for %d commands at once", clients, err, all)
	}
	// The commands end when their server is gone.
	s.Kill()
	cancel()
	for range all {
		if err := <-held; err == nil {
			t.Error("BLPop of an empty list = nil, want an error")
		}
	}
}

// clientsIn is how many connections INFO tells of.
func clientsIn(t *testing.T, info string) int {
	t.Helper()
	_, rest, _ := strings.Cut(info, "connected_clients:")
	n, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]))
	if err != nil {
		t.Fatalf("INFO clients = %q, want connected_clients in it", info)
	}
	return n
}

func TestOnlyCommandsAreRepeated(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ retries, commands int32 }{
		"never":     {0, 1},
		"as often":  {2, 3},
		"not below": {-5, 1},
	} {
		var asked atomic.Int32
		reply := redisLike("7.0.15")
		f := serve(t, func(command []string) string {
			if strings.EqualFold(command[0], "GET") {
				asked.Add(1)
				return "-LOADING Redis is loading the dataset in memory\r\n"
			}
			return reply(command)
		})
		c := config(f.addr)
		c.MaxRetries, c.MinRetryBackoff, c.MaxRetryBackoff = int(test.retries), time.Millisecond, time.Millisecond
		connection := open(t, c)
		for which, client := range clients(connection) {
			want := int32(1)
			if which == "Commands" {
				want = test.commands
			}
			asked.Store(0)
			if err := client.Get(t.Context(), "k").Err(); err == nil || !strings.HasPrefix(err.Error(), "LOADING") {
				t.Errorf("%s: %s().Get = %v, want LOADING", name, which, err)
			}
			if n := asked.Load(); n != want {
				t.Errorf("%s: %s().Get was sent %d times, want %d", name, which, n, want)
			}
		}
	}
}

// TestPausesBetweenTriesAreTheConfiguredOnes asks the client: to wait for pauses
// that differ from its own would take seconds.
func TestPausesBetweenTriesAreTheConfiguredOnes(t *testing.T) {
	t.Parallel()
	c := config(serve(t, redisLike("7.0.15")).addr)
	c.MaxRetries, c.MinRetryBackoff, c.MaxRetryBackoff = 2, 70*time.Millisecond, 7*time.Second
	client, ok := open(t, c).Commands().(*redis.Client)
	if !ok {
		t.Fatalf("Commands() of one server is a %T, want a *redis.Client", client)
	}
	if o := client.Options(); o.MinRetryBackoff != c.MinRetryBackoff || o.MaxRetryBackoff != c.MaxRetryBackoff {
		t.Errorf("pauses of Commands() = %v to %v, want %v to %v", o.MinRetryBackoff, o.MaxRetryBackoff, c.MinRetryBackoff, c.MaxRetryBackoff)
	}
}

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	connection, err := dial.Open(t.Context(), config(redistest.Start(t).Addr()))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := connection.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	}
	if err := connection.Commands().Ping(t.Context()).Err(); err == nil {
		t.Error("Ping() after Close() = nil, want an error")
	}
}

func TestOpenWaitsForServer(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Stop()
	waits := make(chan error, 100)
	c := config(s.Addr())
	c.Waiting = func(err error) {
		select {
		case waits <- err:
		default:
		}
	}
	type result struct {
		connection *dial.Connection
		err        error
	}
	opened := make(chan result, 1)
	go func() {
		connection, err := dial.Open(t.Context(), c)
		opened <- result{connection, err}
	}()
	if err := <-waits; !strings.Contains(err.Error(), s.Addr()+" refuses connections") {
		t.Errorf("Waiting(%q), want what it waits for", err)
	}
	s.Restart()
	got := <-opened
	if got.err != nil {
		t.Fatalf("Open of a server that starts = %v, want nil", got.err)
	}
	defer got.connection.Close()
	wantWorking(t, got.connection)
}

func TestOpenEndsWithContext(t *testing.T) {
	t.Parallel()
	silent := redistest.Start(t)
	silent.Pause()
	stopped := redistest.Start(t)
	stopped.Stop()
	stopping := errors.New("the node is stopping")
	for name, addr := range map[string]string{"silent": silent.Addr(), "refused": stopped.Addr(), "unroutable": "192.0.2.1:6379"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		timer := time.AfterFunc(50*time.Millisecond, func() { cancel(stopping) })
		begun := time.Now()
		_, err := dial.Open(ctx, config(addr))
		timer.Stop()
		if !errors.Is(err, stopping) {
			t.Errorf("%s: Open = %v, want %v", name, err, stopping)
		}
		if d := time.Since(begun); d > 4*time.Second {
			t.Errorf("%s: Open ended after %v, want at once", name, d)
		}
	}
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	redistest.StartReplica(t, master)
	kept := redistest.Start(t, redistest.AppendOnly())
	for name, test := range map[string]struct {
		addr string
		want []string
	}{
		"nothing kept":    {master.Addr(), []string{"appendonly yes", "min-replicas-to-write 1"}},
		"everything kept": {kept.Addr(), nil},
	} {
		got := open(t, config(test.addr)).Advice()
		if len(got) != len(test.want) {
			t.Errorf("%s: Advice() = %q, want %d sentences", name, got, len(test.want))
			continue
		}
		for i, want := range test.want {
			if !strings.Contains(got[i], want) || !strings.Contains(got[i], test.addr) {
				t.Errorf("%s: Advice()[%d] = %q, want %q of %s in it", name, i, got[i], want, test.addr)
			}
		}
	}
}

// waitFor waits until a condition holds.
func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal("what the test waits for does not come")
		}
		<-time.After(5 * time.Millisecond)
	}
}

// strangerTLS trusts no server of a test.
func strangerTLS() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS12} }
