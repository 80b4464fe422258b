package sqljob_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/tracing/databasetest"
	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/sqljob"
	"github.com/elasticjob-go/elasticjob/spi"
)

// patience is how long a test waits for what takes milliseconds on an idle
// machine.
const patience = 30 * time.Second

// eventually asks again until the answer is as wanted.
func eventually(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !isSo(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

func TestCancelledStatementEndsAtTheServer(t *testing.T) {
	t.Parallel()
	statements := map[string]string{
		"PostgreSQL": "INSERT INTO t VALUES (1); SELECT pg_sleep(300)",
		"MariaDB":    "INSERT INTO t VALUES (1); SELECT SLEEP(300), BENCHMARK(1000000000000, 1)",
		"SQLite":     "INSERT INTO t VALUES (1); WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT COUNT(n) FROM r",
	}
	running := map[string]string{
		"PostgreSQL": "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND query LIKE '%pg_sleep(300%' AND pid <> pg_backend_pid()",
		"MariaDB":    "SELECT CAST(id AS CHAR) FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE '%SLEEP(300%' AND id <> CONNECTION_ID()",
	}
	onAll(t, func(t *testing.T, d database) {
		d.Exec(t, "CREATE TABLE t (id INT)")
		job := newJob(t, d.props(sqljob.PropStatement, statements[d.product]))
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		ended := make(chan error)
		s := &services{}
		go func() {
			_, err := job.Execute(ctx, spi.ExecuteRequest{Context: sharding(), Services: s})
			ended <- err
		}()
		if query := running[d.product]; query != "" {
			eventually(t, "the statement runs", func() bool { return len(d.Texts(t, query)) == 1 })
		} else {
			time.Sleep(50 * time.Millisecond)
		}
		cancel(spi.ErrLeaseLost)
		select {
		case err := <-ended:
			if !errors.Is(err, spi.ErrLeaseLost) || len(s.lines) > 0 {
				t.Errorf("Execute() = %v with lines %q, want the cause and no line", err, s.lines)
			}
		case <-time.After(patience):
			t.Fatal("Execute() does not return after its context has ended")
		}
		if query := running[d.product]; query != "" {
			eventually(t, "the statement has ended", func() bool { return len(d.Texts(t, query)) == 0 })
		}
		eventually(t, "the transaction is rolled back", func() bool { return len(d.Texts(t, "SELECT id FROM t")) == 0 })
		// What cancelled one item does not touch the next.
		again := newJob(t, d.props(sqljob.PropStatement, "SELECT 1 AS one"))
		wantResult(t, again, `{"rows":[{"one":1}]}`)
	})
}

func TestTimeoutIsTheCause(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		job := newJob(t, d.props(sqljob.PropStatement, "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 2000000000) SELECT COUNT(n) FROM r"))
		if d.product == "MariaDB" { // it ends recursions by itself
			job = newJob(t, d.props(sqljob.PropStatement, "SELECT SLEEP(300)"))
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, spi.ErrTimeout)
		defer cancel()
		if _, err := job.Execute(ctx, spi.ExecuteRequest{Context: sharding(), Services: &services{}}); !errors.Is(err, spi.ErrTimeout) {
			t.Errorf("Execute() = %v, want %v", err, spi.ErrTimeout)
		}
	})
}

func TestErrorsHaveTheCodeAndNoValues(t *testing.T) {
	t.Parallel()
	codes := map[string]string{
		"PostgreSQL": "running the statement: SQLSTATE 22P02: invalid input syntax", "MariaDB": "running the statement: error 1292 (22007): ", "SQLite": "running the statement: SQLite error 3091: ",
	}
	onAll(t, func(t *testing.T, d database) {
		d.Exec(t, map[string]string{
			"PostgreSQL": "CREATE TABLE t (id INT)", "MariaDB": "CREATE TABLE t (id DATE)", "SQLite": "CREATE TABLE t (id INT) STRICT",
		}[d.product])
		_, err := execute(t, newJob(t, d.props(sqljob.PropStatement, "INSERT INTO t VALUES (:shardingParameter)")))
		wantError(t, err, spi.CodeFailed, false, codes[d.product], "Shang")
		_, err = execute(t, newJob(t, d.props(sqljob.PropStatement, "INSERT INTO nowhere VALUES (1)")))
		wantError(t, err, spi.CodeFailed, false, "nowhere")
	})
}

func TestShortValuesStayOutOfErrors(t *testing.T) {
	t.Parallel()
	d := database{servers.PostgreSQL(t).NewDatabase(t), "PostgreSQL"}
	c := sharding()
	c.ShardingParameter = "n"
	_, err := newJob(t, d.props(sqljob.PropStatement, "SELECT CAST(:shardingParameter AS INT)")).Execute(t.Context(), spi.ExecuteRequest{Context: c, Services: &services{}})
	wantError(t, err, spi.CodeFailed, false, "invalid input syntax for type integer: :shardingParameter")
}

func TestErrorsShowNamesThatAreValuesOfUnusedParameters(t *testing.T) {
	t.Parallel()
	c := sharding()
	c.JobParameter = "nowhere"
	job := newJob(t, map[string]string{sqljob.PropURL: "sqlite:" + filepath.Join(t.TempDir(), "a.db"), sqljob.PropStatement: "SELECT :shardingParameter FROM nowhere"})
	_, err := job.Execute(t.Context(), spi.ExecuteRequest{Context: c, Services: &services{}})
	wantError(t, err, spi.CodeFailed, false, "no such table: nowhere")
}

func TestLostConnectionMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		statements := map[string]string{"PostgreSQL": "SELECT pg_terminate_backend(pg_backend_pid())", "MariaDB": "KILL CONNECTION_ID()"}
		statement, ok := statements[d.product]
		if !ok {
			return // SQLite has no connections to lose
		}
		job := newJob(t, d.props(sqljob.PropStatement, statement, sqljob.PropItemStatement+"2", "SELECT 1"))
		_, err := execute(t, job)
		wantError(t, err, spi.CodeUnavailable, true, "running the statement: ")
		c := sharding()
		c.ShardingItem = 2
		if _, err := job.Execute(t.Context(), spi.ExecuteRequest{Context: c, Services: &services{}}); err != nil {
			t.Errorf("Execute() after a lost connection = %v, want nil", err)
		}
	})
}

func TestServerThatComesBack(t *testing.T) {
	t.Parallel()
	for product, shared := range map[string]*databasetest.Server{"PostgreSQL": servers.PostgreSQL(t), "MariaDB": servers.MariaDB(t)} {
		t.Run(product, func(t *testing.T) {
			t.Parallel()
			server := shared.Start(t)
			d := database{server.NewDatabase(t), product}
			job := newJob(t, d.props(sqljob.PropStatement, "SELECT 1 AS one"))
			wantResult(t, job, `{"rows":[{"one":1}]}`)
			server.Kill(t)
			_, err := execute(t, job)
			wantError(t, err, spi.CodeUnavailable, true, "connecting: ", databasetest.Password)
			server.Restart(t)
			wantResult(t, job, `{"rows":[{"one":1}]}`)
		})
	}
}

func TestIdleConnectionsThatWereLostAreReplaced(t *testing.T) {
	t.Parallel()
	others := map[string]string{
		"PostgreSQL": "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
		"MariaDB":    "SELECT CAST(id AS CHAR) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
	}
	onAll(t, func(t *testing.T, d database) {
		query, ok := others[d.product]
		if !ok {
			return // SQLite has no connections to lose
		}
		job := newJob(t, d.props(sqljob.PropStatement, "SELECT 1 AS one"))
		wantResult(t, job, `{"rows":[{"one":1}]}`)
		for _, id := range d.Texts(t, query) {
			if d.product == "MariaDB" {
				d.Exec(t, "KILL "+id)
			}
		}
		wantResult(t, job, `{"rows":[{"one":1}]}`)
	})
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	for product, server := range map[string]*databasetest.Server{"PostgreSQL": servers.PostgreSQL(t), "MariaDB": servers.MariaDB(t)} {
		t.Run(product, func(t *testing.T) {
			t.Parallel()
			d := server.NewDatabase(t)
			user := strings.Replace(d.URL, strings.TrimSuffix(strings.SplitAfter(d.URL, "@")[0], "@"), strings.SplitAfter(d.URL, "://")[0]+databasetest.User, 1)
			_, err := execute(t, newJob(t, map[string]string{sqljob.PropURL: user, sqljob.PropPassword: "hunter2!", sqljob.PropStatement: "SELECT 1"}))
			wantError(t, err, spi.CodeFailed, false, "connecting: ", "hunter2!")
			wantResult(t, newJob(t, map[string]string{sqljob.PropURL: user, sqljob.PropPassword: databasetest.Password, sqljob.PropStatement: "SELECT 1 AS one"}), `{"rows":[{"one":1}]}`)
		})
	}
}

func TestServerThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	for _, scheme := range []string{"postgres", "mysql"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			job := newJob(t, map[string]string{sqljob.PropURL: scheme + "://u:hunter2@" + listener.Addr().String() + "/db", sqljob.PropStatement: "SELECT 1", sqljob.PropConnectTimeout: "50ms"})
			// Shorter than the time to connect in unless it is given.
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
			defer cancel()
			_, err := job.Execute(ctx, spi.ExecuteRequest{Context: sharding(), Services: &services{}})
			wantError(t, err, spi.CodeUnavailable, true, "connecting: ", "hunter2")
		})
	}
}

func TestCloseEndsTheSessions(t *testing.T) {
	t.Parallel()
	d := database{servers.PostgreSQL(t).NewDatabase(t), "PostgreSQL"}
	job, err := construct(t, d.props(sqljob.PropStatement, "SELECT 1 AS one"))
	if err != nil {
		t.Fatal(err)
	}
	wantResult(t, job, `{"rows":[{"one":1}]}`)
	const sessions = "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'elasticjob'"
	if got := d.Texts(t, sessions); len(got) != 1 {
		t.Errorf("the job has %d idle sessions, want 1", len(got))
	}
	closeJob(t, job)
	eventually(t, "the session has ended", func() bool { return len(d.Texts(t, sessions)) == 0 })
}
