package dial_test

import (
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/registry/dial"
	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

func TestOpenSentinel(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		data, watching []redistest.Option
		change         func(*dial.Config)
	}{
		"plain": {},
		"passwords": {
			data:     []redistest.Option{redistest.Password(canary)},
			watching: []redistest.Option{redistest.Password("of sentinels")},
			change: func(c *dial.Config) {
				c.Password, c.SentinelPassword = canary, "of sentinels"
			},
		},
		"users": {
			data:     []redistest.Option{redistest.ACL("jobs", canary, "+@all", "~*", "&*")},
			watching: []redistest.Option{redistest.ACL("finder", canary, "+sentinel|get-master-addr-by-name", "+subscribe", "+client|setname", "&*")},
			change: func(c *dial.Config) {
				c.Username, c.Password = "jobs", canary
				c.SentinelUsername, c.SentinelPassword = "finder", canary
			},
		},
		"TLS": {data: []redistest.Option{redistest.TLS()}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			master := redistest.Start(t, test.data...)
			replica := redistest.StartReplica(t, master, test.data...)
			sentinels := redistest.StartSentinels(t, "orders", master, 1, test.watching...)
			// One of two Sentinels is away.
			away := redistest.Start(t)
			away.Stop()
			c := config(away.Addr(), sentinels.Addrs()[0])
			c.MasterName, c.Database, c.TLS = "orders", 2, master.TLS()
			c.MaxRetries = 10
			if test.change != nil {
				test.change(&c)
			}
			connection := open(t, c)
			wantWorking(t, connection)
			if !strings.HasPrefix(connection.String(), `Redis master "orders" of the Sentinels `+away.Addr()+", "+sentinels.Addrs()[0]+", database 2") {
				t.Errorf("String() = %q, want master, Sentinels and database in it", connection)
			}
			sentinels.Failover()
			waitFor(t, func() bool {
				return connection.Sessions().Set(t.Context(), "ej:{a}:x", "after", 0).Err() == nil
			})
			wantWorking(t, connection)
			if size, err := replica.Client().Do(t.Context(), "INFO", "keyspace").Text(); err != nil || !strings.Contains(size, "db2:") {
				t.Errorf("INFO keyspace of the new master = %q, %v, want db2 in it", size, err)
			}
		})
	}
}

func TestOpenCluster(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options []redistest.Option
		change  func(*dial.Config)
	}{
		"plain":    {},
		"password": {[]redistest.Option{redistest.Password(canary)}, func(c *dial.Config) { c.Password = canary }},
		"TLS":      {[]redistest.Option{redistest.TLS()}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := redistest.StartCluster(t, 3, test.options...)
			away := redistest.Start(t)
			away.Stop()
			for _, servers := range [][]string{
				cluster.Addrs(),
				cluster.Addrs()[:1],
				{away.Addr(), cluster.Addrs()[2]},
			} {
				c := config(servers...)
				c.TLS = cluster.Servers()[0].TLS()
				c.Namespace = "orders"
				if test.change != nil {
					test.change(&c)
				}
				connection := open(t, c)
				if !connection.Cluster() {
					t.Errorf("Cluster() of %v = false, want true", servers)
				}
				wantWorking(t, connection)
				if want := "Redis Cluster of " + strings.Join(servers, ", "); !strings.HasPrefix(connection.String(), want) {
					t.Errorf("String() = %q, want it to begin with %q", connection, want)
				}
			}
		})
	}
}

func TestOpenWaitsForCluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	lost := cluster.Servers()[1]
	lost.Kill()
	waits := make(chan error, 100)
	c := config(cluster.Addrs()...)
	c.Waiting = func(err error) {
		select {
		case waits <- err:
		default:
		}
	}
	opened := make(chan error, 1)
	go func() {
		connection, err := dial.Open(t.Context(), c)
		if err == nil {
			err = connection.Close()
		}
		opened <- err
	}()
	if err := <-waits; !strings.Contains(err.Error(), "the master "+lost.Addr()+", which ") {
		t.Errorf("Waiting(%q), want the master that is away in it", err)
	}
	lost.Restart()
	if err := <-opened; err != nil {
		t.Errorf("Open of a Cluster whose master comes back = %v, want nil", err)
	}
}
