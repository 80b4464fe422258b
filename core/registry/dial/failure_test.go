package dial_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry/dial"
	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// failure is a configuration that cannot work, and what is to be said of it.
type failure struct {
	// make returns the configuration, but for its password.
	make func(t *testing.T) dial.Config
	// want are parts of the message; ADDR is the first server's address.
	want []string
	// passes says that it may pass: Open has tried until the time was over.
	passes bool
}

func failures() map[string]failure {
	return map[string]failure{
		"no server": {
			make: func(*testing.T) dial.Config { return dial.Config{} },
			want: []string{"no server is given"},
		},
		"negative database": {
			make: func(*testing.T) dial.Config { return dial.Config{Servers: []string{"127.0.0.1:1"}, Database: -1} },
			want: []string{"no database -1"},
		},
		"wrong password": {
			make: func(t *testing.T) dial.Config { return config(redistest.Start(t, redistest.Password("right")).Addr()) },
			want: []string{"ADDR refuses the password of the default user", "check username and password"},
		},
		"wrong password of a user": {
			make: func(t *testing.T) dial.Config {
				c := config(redistest.Start(t, redistest.ACL("jobs", "right", "+@all", "~*")).Addr())
				c.Username = "jobs"
				return c
			},
			want: []string{`ADDR refuses the password of user "jobs"`},
		},
		"no password": {
			make: func(t *testing.T) dial.Config {
				c := config(redistest.Start(t, redistest.Password(canary)).Addr())
				c.Password = none
				return c
			},
			want: []string{"ADDR wants a password", "set password"},
		},
		"missing permission to look": {
			make: func(t *testing.T) dial.Config {
				c := config(redistest.Start(t, redistest.ACL("jobs", canary, "+@all", "-info", "~*", "&*")).Addr())
				c.Username = "jobs"
				return c
			},
			want: []string{`ADDR does not allow user "jobs" what is needed`, "'info'", "docs/operations/redis.md"},
		},
		"missing permissions of scripts": {
			make: func(t *testing.T) dial.Config {
				c := config(redistest.Start(t, redistest.ACL("jobs", canary, "+@all", "-xadd", "-subscribe", "-script|load", "~*", "&*")).Addr())
				c.Username, c.Namespace = "jobs", "orders"
				return c
			},
			want: []string{"ADDR does not allow", "script|load"},
		},
		"missing permissions in scripts": {
			make: func(t *testing.T) dial.Config {
				c := config(redistest.Start(t, redistest.ACL("jobs", canary, "+@all", "-xadd", "-subscribe", "~*", "&*")).Addr())
				c.Username, c.Namespace = "jobs", "orders"
				return c
			},
			want: []string{"ADDR does not allow", "ej:{orders.*}*: xadd, subscribe;", "docs/operations/redis.md"},
		},
		"keys of another namespace": {
			make: func(t *testing.T) dial.Config {
				c := config(redistest.Start(t, redistest.ACL("jobs", canary, "+@all", "~ej:{other.*}*", "&*")).Addr())
				c.Username, c.Namespace = "jobs", "orders"
				return c
			},
			want: []string{"ADDR does not allow", "on the keys and channels ej:{orders.*}*, and probably none of the keys"},
		},
		"TLS to a plain server": {
			make: func(t *testing.T) dial.Config {
				c := config(redistest.Start(t).Addr())
				c.TLS = strangerTLS()
				return c
			},
			want: []string{"ADDR speaks Redis without TLS", "remove tls"},
		},
		"plain to a TLS server": {
			make: func(t *testing.T) dial.Config { return config(redistest.Start(t, redistest.TLS()).Addr()) },
			want: []string{"ADDR speaks TLS only", "set tls"},
		},
		"certificate of another name": {
			make: func(t *testing.T) dial.Config {
				s := redistest.Start(t, redistest.TLS("redis.example.com", "10.0.0.1"))
				c := config(s.Addr())
				c.TLS = s.TLS()
				return c
			},
			want: []string{`ADDR shows a certificate that is not for "127.0.0.1" but for "redis.example.com", "10.0.0.1"`, "tls.serverName"},
		},
		"certificate of an unknown authority": {
			make: func(t *testing.T) dial.Config {
				c := config(redistest.Start(t, redistest.TLS()).Addr())
				c.TLS = strangerTLS()
				return c
			},
			want: []string{"ADDR shows a certificate of an authority that is not trusted", "tls.caFile"},
		},
		"no certificate for a server that asks for one": {
			make: func(t *testing.T) dial.Config {
				s := redistest.Start(t, redistest.TLS(), redistest.Setting("tls-auth-clients", "yes"))
				c := config(s.Addr())
				c.TLS = s.TLS()
				c.TLS.Certificates = nil
				return c
			},
			want: []string{"ADDR refuses the TLS connection", "tls.certFile and tls.keyFile"},
		},
		"no such database": {
			make: func(t *testing.T) dial.Config {
				c := config(redistest.Start(t).Addr())
				c.Database = 99
				return c
			},
			want: []string{"ADDR has no database 99"},
		},
		"old release": {
			make: func(t *testing.T) dial.Config { return config(serve(t, redisLike("6.0.16")).addr) },
			want: []string{"ADDR is Redis 6.0.16, and 6.2 or later is needed"},
		},
		"no release": {
			make: func(t *testing.T) dial.Config { return config(serve(t, redisLike("unknown")).addr) },
			want: []string{"ADDR does not say which release of Redis it is"},
		},
		"release of a Cluster": {
			make: func(t *testing.T) dial.Config {
				var addr string
				reply := redisLike("6.2.14", "cluster_enabled:1")
				addr = serve(t, func(command []string) string {
					if command[0] == "cluster" {
						_, port, _ := net.SplitHostPort(addr)
						return "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n" + bulk("127.0.0.1") + ":" + port + "\r\n" + bulk("id")
					}
					return reply(command)
				}).addr
				return config(addr)
			},
			want: []string{"ADDR is Redis 6.2.14, and 7.0 or later is needed"},
		},
		"server that may evict": {
			make: func(t *testing.T) dial.Config {
				return config(redistest.Start(t, redistest.Setting("maxmemory-policy", "allkeys-lru")).Addr())
			},
			want: []string{"ADDR has the maxmemory-policy allkeys-lru", "set it to noeviction"},
		},
		"server without scripts": {
			make: func(t *testing.T) dial.Config {
				reply := redisLike("7.0.15")
				return config(serve(t, func(command []string) string {
					if strings.EqualFold(command[0], "SCRIPT") {
						return "-ERR unknown command 'SCRIPT', with args beginning with: 'load' '" + canary + "' \r\n"
					}
					return reply(command)
				}).addr)
			},
			want: []string{"ADDR answers with an error", "unknown command 'SCRIPT'"},
		},
		"server that repeats the password": {
			make: func(t *testing.T) dial.Config {
				return config(serve(t, func(command []string) string {
					return "-ERR unknown command " + strings.Join(command, " ") + "\r\n"
				}).addr)
			},
			want: []string{"ADDR answers with an error", "unknown command"},
		},
		"protected server": {
			make: func(t *testing.T) dial.Config {
				return config(serve(t, func([]string) string { return "-DENIED Redis is running in protected mode because\r\n" }).addr)
			},
			want: []string{"ADDR is in protected mode"},
		},
		"unknown name of the master": {
			make: func(t *testing.T) dial.Config {
				c := config(redistest.StartSentinels(t, "orders", redistest.Start(t), 1).Addrs()...)
				c.MasterName = "payments"
				return c
			},
			want:   []string{`the Sentinel at ADDR knows no master "payments" (it watches "orders"): check masterName`},
			passes: true,
		},
		"Sentinel that needs a password": {
			make: func(t *testing.T) dial.Config {
				c := config(redistest.StartSentinels(t, "orders", redistest.Start(t), 1, redistest.Password("right")).Addrs()...)
				c.MasterName = "orders"
				return c
			},
			want: []string{"the Sentinel at ADDR wants a password", "set sentinelPassword"},
		},
		"wrong password of the Sentinel": {
			make: func(t *testing.T) dial.Config {
				c := config(redistest.StartSentinels(t, "orders", redistest.Start(t), 1, redistest.Password("right")).Addrs()...)
				c.MasterName, c.SentinelPassword = "orders", canary
				return c
			},
			want: []string{"the Sentinel at ADDR refuses the password", "check sentinelUsername and sentinelPassword"},
		},
		"wrong password of the Sentinel's master": {
			make: func(t *testing.T) dial.Config {
				c := config(redistest.StartSentinels(t, "orders", redistest.Start(t, redistest.Password("right")), 1).Addrs()...)
				c.MasterName = "orders"
				return c
			},
			want: []string{`the master "orders", which the Sentinel at ADDR says is at 127.0.0.1:`, "refuses the password"},
		},
		"master of the Sentinel away": {
			make: func(t *testing.T) dial.Config {
				master := redistest.Start(t)
				c := config(redistest.StartSentinels(t, "orders", master, 1).Addrs()...)
				c.MasterName = "orders"
				master.Kill()
				return c
			},
			want:   []string{`the master "orders", which the Sentinel at ADDR says is at 127.0.0.1:`, "refuses connections"},
			passes: true,
		},
		"Redis given as a Sentinel": {
			make: func(t *testing.T) dial.Config {
				c := config(redistest.Start(t).Addr())
				c.MasterName = "orders"
				return c
			},
			want: []string{"ADDR is no Sentinel: remove masterName"},
		},
		"Sentinel given as Redis": {
			make: func(t *testing.T) dial.Config {
				return config(redistest.StartSentinels(t, "orders", redistest.Start(t), 1).Addrs()...)
			},
			want: []string{`ADDR is a Sentinel: set masterName to what it calls the master (it watches "orders")`},
		},
		"several servers that are no Cluster": {
			make: func(t *testing.T) dial.Config {
				master := redistest.Start(t)
				return config(master.Addr(), redistest.StartReplica(t, master).Addr())
			},
			want: []string{"is not a node of a Cluster, and several servers are given", "set masterName"},
		},
		"database of a Cluster": {
			make: func(t *testing.T) dial.Config {
				c := config(redistest.StartCluster(t, 1).Addrs()...)
				c.Database = 2
				return c
			},
			want: []string{"ADDR belongs to a Cluster, which has no database but 0"},
		},
		"Cluster without slots": {
			make: func(t *testing.T) dial.Config {
				c := redistest.StartCluster(t, 1)
				if err := c.Servers()[0].Client().ClusterDelSlotsRange(t.Context(), 16000, 16383).Err(); err != nil {
					t.Fatal(err)
				}
				return config(c.Addrs()...)
			},
			want:   []string{"the Cluster of ADDR has no master for 384 of its 16384 hash slots"},
			passes: true,
		},
		"replica": {
			make: func(t *testing.T) dial.Config {
				return config(redistest.StartReplica(t, redistest.Start(t)).Addr())
			},
			want:   []string{"ADDR is a replica of 127.0.0.1:", "takes no writes: give the address of the master"},
			passes: true,
		},
		"loading": {
			make: func(t *testing.T) dial.Config {
				return config(serve(t, redisLike("7.0.15", "loading:1")).addr)
			},
			want:   []string{"ADDR is still loading its data"},
			passes: true,
		},
		"too many clients": {
			make: func(t *testing.T) dial.Config {
				return config(serve(t, func([]string) string { return "-ERR max number of clients reached\r\n" }).addr)
			},
			want:   []string{"ADDR has as many clients as it takes"},
			passes: true,
		},
		"refused": {
			make: func(t *testing.T) dial.Config {
				s := redistest.Start(t)
				s.Stop()
				return config(s.Addr())
			},
			want:   []string{"ADDR refuses connections", "times in "},
			passes: true,
		},
		"one refused, one unroutable": {
			make: func(t *testing.T) dial.Config {
				s := redistest.Start(t)
				s.Stop()
				return config(s.Addr(), "192.0.2.1:6379")
			},
			want:   []string{"ADDR refuses connections", "; 192.0.2.1:6379 "},
			passes: true,
		},
		"unknown host": {
			make:   func(*testing.T) dial.Config { return config("no-such-host.invalid:6379") },
			want:   []string{"no-such-host.invalid:6379", "check the name"},
			passes: true,
		},
		"no answer": {
			make: func(t *testing.T) dial.Config {
				s := redistest.Start(t)
				s.Pause()
				return config(s.Addr())
			},
			want:   []string{"ADDR takes connections and does not answer"},
			passes: true,
		},
		"closed at once": {
			make:   func(t *testing.T) dial.Config { return config(serve(t, func([]string) string { return "" }).addr) },
			want:   []string{"ADDR closes the connection without an answer"},
			passes: true,
		},
		"HTTP server": {
			make: func(t *testing.T) dial.Config { return config(webServer(t, false).Listener.Addr().String()) },
			want: []string{"ADDR answers in HTTP and is no Redis: check the port"},
		},
		"TLS to an HTTP server": {
			make: func(t *testing.T) dial.Config {
				c := config(webServer(t, false).Listener.Addr().String())
				c.TLS = strangerTLS()
				return c
			},
			want: []string{"ADDR answers in HTTP and is no Redis: check the port"},
		},
		"HTTPS server": {
			make: func(t *testing.T) dial.Config {
				s := webServer(t, true)
				c := config(s.Listener.Addr().String())
				c.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
				return c
			},
			want: []string{"ADDR answers in HTTP and is no Redis: check the port"},
		},
		"server of another kind": {
			make: func(t *testing.T) dial.Config {
				return config(serve(t, func([]string) string { return "220 mail.example.com ESMTP\r\n" }).addr)
			},
			want: []string{"ADDR does not answer as Redis does: check the address"},
		},
	}
}

// none is a password that a test does not want replaced.
const none = "\x00"

func webServer(t *testing.T, secure bool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = nil
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func TestOpenSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for name, test := range failures() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := test.make(t)
			switch c.Password {
			case none:
				c.Password = ""
			case "":
				c.Password = canary
			}
			kind := dial.ErrUnsuitable
			if test.passes {
				kind = dial.ErrUnreachable
				c.ConnectionTimeout = 1500 * time.Millisecond
			}
			begun := time.Now()
			connection, err := dial.Open(t.Context(), c)
			if err == nil {
				connection.Close()
				t.Fatal("Open = nil, want an error")
			}
			if !errors.Is(err, kind) {
				t.Errorf("Open = %v, want %v", err, kind)
			}
			for _, want := range test.want {
				if len(c.Servers) > 0 {
					want = strings.ReplaceAll(want, "ADDR", c.Servers[0])
				}
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Open = %q, want %q in it", err, want)
				}
			}
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), canary) {
				t.Errorf("Open = %q, which holds the password", err)
			}
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("Open = %q, want one line", err)
			}
			if d := time.Since(begun); test.passes && d < c.ConnectionTimeout {
				t.Errorf("Open ended after %v, want it to try for %v", d, c.ConnectionTimeout)
			}
		})
	}
}

func TestOpenTriesOnceWithoutTimeout(t *testing.T) {
	t.Parallel()
	f := serve(t, redisLike("7.0.15", "loading:1"))
	_, err := dial.Open(t.Context(), dial.Config{Servers: []string{f.addr}})
	if !errors.Is(err, dial.ErrUnreachable) || !strings.Contains(err.Error(), "tried once in ") {
		t.Errorf("Open = %v, want %v after one try", err, dial.ErrUnreachable)
	}
}

func TestOpenWithEndedContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dial.Open(ctx, config(redistest.Start(t).Addr())); !errors.Is(err, context.Canceled) {
		t.Errorf("Open = %v, want %v", err, context.Canceled)
	}
}
