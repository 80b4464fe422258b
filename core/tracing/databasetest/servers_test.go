package databasetest_test

import (
	"os"
	"slices"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/tracing/databasetest"
)

var servers databasetest.Servers

func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }

// products are the servers by name.
func products(t *testing.T) map[string]*databasetest.Server {
	t.Helper()
	return map[string]*databasetest.Server{"PostgreSQL": servers.PostgreSQL(t), "MariaDB": servers.MariaDB(t)}
}

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	for name, server := range products(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, other := server.NewDatabase(t), server.NewDatabase(t)
			one.Exec(t, "CREATE TABLE t (a VARCHAR(10))", "INSERT INTO t VALUES ('one')")
			other.Exec(t, "CREATE TABLE t (a VARCHAR(10))")
			if got := one.Texts(t, "SELECT a FROM t"); !slices.Equal(got, []string{"one"}) {
				t.Errorf("Texts() = %q, want the row that was written", got)
			}
			if got := other.Texts(t, "SELECT a FROM t"); len(got) > 0 {
				t.Errorf("Texts() of another database = %q, want no rows", got)
			}
		})
	}
}

func TestServerComesBackWithItsData(t *testing.T) {
	t.Parallel()
	own := servers.PostgreSQL(t).Start(t)
	database := own.NewDatabase(t)
	database.Exec(t, "CREATE TABLE t (a VARCHAR(10))", "INSERT INTO t VALUES ('kept')", "CHECKPOINT")
	own.Kill(t)
	if err := database.DB.PingContext(t.Context()); err == nil {
		t.Error("Ping() of a server that was killed = nil, want an error")
	}
	own.Restart(t)
	if got := database.Texts(t, "SELECT a FROM t"); !slices.Equal(got, []string{"kept"}) {
		t.Errorf("Texts() after Restart() = %q, want what was written before", got)
	}
}
