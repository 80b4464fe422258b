//go:build unix

package redistest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

func TestReplica(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]redistest.Option{
		"plain":    nil,
		"password": {redistest.Password("secret")},
		"TLS":      {redistest.TLS()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			master := redistest.Start(t, opts...)
			set(t, master, "copied")
			replica := redistest.StartReplica(t, master)
			if got := get(t, replica); got != "copied" {
				t.Errorf("Get(key) of a replica = %q, want copied", got)
			}
			if err := replica.Client().Set(t.Context(), "key", "v", 0).Err(); err == nil || !strings.Contains(err.Error(), "READONLY") {
				t.Errorf("Set(key) of a replica = %v, want READONLY", err)
			}
		})
	}
}

func TestSentinels(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]redistest.Option{
		"plain":    nil,
		"password": {redistest.Password("secret")},
		"TLS":      {redistest.TLS()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			master := redistest.Start(t, opts...)
			replica := redistest.StartReplica(t, master)
			set(t, master, "copied")
			sentinels := redistest.StartSentinels(t, "orders", master, 1, redistest.Password("other secret"))
			if got := sentinels.Master(); got != master.Addr() {
				t.Errorf("Master() = %s, want %s", got, master.Addr())
			}
			sentinels.Failover()
			if got := sentinels.Master(); got != replica.Addr() {
				t.Errorf("Master() after Failover() = %s, want %s", got, replica.Addr())
			}
			set(t, replica, "written")
		})
	}
}

func TestSentinelsReplaceAKilledMaster(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	replica := redistest.StartReplica(t, master)
	sentinels := redistest.StartSentinels(t, "orders", master, 3)
	master.Kill()
	sentinels.AwaitMaster(replica)
	set(t, replica, "written")
}

func TestCluster(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]redistest.Option{
		"plain":    nil,
		"password": {redistest.Password("secret")},
		"TLS":      {redistest.TLS()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := redistest.StartCluster(t, 3, opts...)
			for i := range 100 {
				if err := c.Client().Set(t.Context(), fmt.Sprintf("key%d", i), i, 0).Err(); err != nil {
					t.Fatal(err)
				}
			}
			for _, s := range c.Servers() {
				if n, err := s.Client().DBSize(t.Context()).Result(); n < 10 || err != nil {
					t.Errorf("DBSize of %s = %d, %v, want a third of 100 keys", s.Addr(), n, err)
				}
			}
		})
	}
}
