package sqljob_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/sqljob"
	"github.com/elasticjob-go/elasticjob/spi"
)

func TestParametersReachTheStatement(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		d.Exec(t, "CREATE TABLE t (n INT, v VARCHAR(100))")
		// In another order than the context's, one twice, and none where a literal,
		// a name or a comment only looks like it.
		var rows []string
		for i, name := range []string{"taskId", "jobName", "shardingTotalCount", "jobParameter", "shardingItem", "shardingParameter", "runId", "executionSource", "attempt", "fencingToken", "jobName"} {
			rows = append(rows, "INSERT INTO t VALUES ("+strconv.Itoa(i)+", :"+name+") -- :jobName\n")
		}
		rows = append(rows, "INSERT INTO t /* ; :jobName */ VALUES (20 + :shardingItem, ':jobName; ''')")
		job := newJob(t, d.props(sqljob.PropStatement, strings.Join(rows, ";")))
		wantResult(t, job, `{"rowsAffected":12}`)
		c := sharding()
		want := []string{
			c.TaskID, "orders", "3", c.JobParameter, "1", c.ShardingParameter, c.RunID, "NORMAL_TRIGGER", "2", "1152921504606846976", "orders", ":jobName; '",
		}
		if got := d.Texts(t, "SELECT v FROM t ORDER BY n"); !slices.Equal(got, want) {
			t.Errorf("the table has %q, want %q", got, want)
		}
	})
}

func TestFireTimeIsAnInstantInUTC(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		types := map[string]string{"PostgreSQL": "TIMESTAMPTZ", "MariaDB": "DATETIME(3)", "SQLite": "TEXT"}
		d.Exec(t, "CREATE TABLE t (at "+types[d.product]+")")
		wantResult(t, newJob(t, d.props(sqljob.PropStatement, "INSERT INTO t VALUES (:fireTime)")), `{"rowsAffected":1}`)
		queries := map[string]string{
			"PostgreSQL": "SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS') FROM t", "MariaDB": "SELECT CAST(at AS CHAR) FROM t",
			"SQLite": "SELECT strftime('%Y-%m-%d %H:%M:%f', at) FROM t",
		}
		if got := d.Texts(t, queries[d.product]); !slices.Equal(got, []string{"2026-03-04 04:06:07.008"}) {
			t.Errorf("the table has %q, want the instant in UTC", got)
		}
	})
}

func TestParametersAreUsedInArithmetic(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		d.Exec(t, "CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1), (2), (3), (4), (5), (6), (7)")
		wantResult(t, newJob(t, d.props(sqljob.PropStatement, "DELETE FROM t WHERE id % :shardingTotalCount = :shardingItem")), `{"rowsAffected":3}`)
	})
}

func TestEveryItemHasItsStatement(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		job := newJob(t, d.props(sqljob.PropStatement, "SELECT 'all' AS a", sqljob.PropItemStatement+"1", "SELECT 'own' AS a"))
		wantResult(t, job, `{"rows":[{"a":"own"}]}`)
		c := sharding()
		c.ShardingItem = 2
		if got, err := job.Execute(t.Context(), spi.ExecuteRequest{Context: c, Services: &services{}}); err != nil || got.Message != `{"rows":[{"a":"all"}]}` {
			t.Errorf("Execute() of an item without statements of its own = %v, %v, want those of all", got, err)
		}
		_, err := execute(t, newJob(t, d.props(sqljob.PropItemStatement+"0", "SELECT 1")))
		wantError(t, err, spi.CodeInvalidProperties, false, "sql.statement.1 is missing")
	})
}

func TestTransactionOfAnItem(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		transaction string
		want        []string
	}{
		{"true", nil},
		{"false", []string{"1"}},
	} {
		t.Run(test.transaction, func(t *testing.T) {
			t.Parallel()
			onAll(t, func(t *testing.T, d database) {
				d.Exec(t, "CREATE TABLE t (id INT PRIMARY KEY)")
				_, err := execute(t, newJob(t, d.props(sqljob.PropTransaction, test.transaction, sqljob.PropStatement, "INSERT INTO t VALUES (1); INSERT INTO t VALUES (1)")))
				wantError(t, err, spi.CodeFailed, false, "running statement 2 of 2: ")
				if got := d.Texts(t, "SELECT id FROM t"); !slices.Equal(got, test.want) {
					t.Errorf("the table has %q, want %q", got, test.want)
				}
			})
		})
	}
}

func TestResultOfAQuery(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		d.Exec(t, "CREATE TABLE t (id INT, name VARCHAR(20), rate DOUBLE PRECISION)", "INSERT INTO t VALUES (1, 'a\"b', 0.5), (2, NULL, NULL), (3, 'c', 1)")
		const query = "SELECT id, name, rate FROM t ORDER BY id"
		const first, second, third = `{"id":1,"name":"a\"b","rate":0.5}`, `{"id":2,"name":null,"rate":null}`, `{"id":3,"name":"c","rate":1}`
		wantResult(t, newJob(t, d.props(sqljob.PropStatement, query)), `{"rows":[`+first+`,`+second+`,`+third+`]}`)
		wantResult(t, newJob(t, d.props(sqljob.PropStatement, query, sqljob.PropMaxRows, "3")), `{"rows":[`+first+`,`+second+`,`+third+`]}`)
		wantResult(t, newJob(t, d.props(sqljob.PropStatement, query, sqljob.PropMaxRows, "2")), `{"rows":[`+first+`,`+second+`],"more":true}`)
		wantResult(t, newJob(t, d.props(sqljob.PropStatement, query, sqljob.PropMaxRows, "0")), `{"rows":[],"more":true}`)
		wantResult(t, newJob(t, d.props(sqljob.PropStatement, "UPDATE t SET name = 'x' WHERE id > 1; "+query, sqljob.PropMaxRows, "1")), `{"rowsAffected":2,"rows":[`+first+`],"more":true}`)
		wantResult(t, newJob(t, d.props(sqljob.PropStatement, "SELECT id FROM t WHERE id > 5")), `{"rows":[]}`)
		wantResult(t, newJob(t, d.props(sqljob.PropStatement, "INSERT INTO t (id) VALUES (9) RETURNING id")), `{"rows":[{"id":9}]}`)
		wantResult(t, newJob(t, d.props(sqljob.PropStatement, "WITH w AS (SELECT id FROM t) SELECT MAX(id) AS m FROM w")), `{"rows":[{"m":9}]}`)
	})
}

func TestResultIsBounded(t *testing.T) {
	t.Parallel()
	onAll(t, func(t *testing.T, d database) {
		d.Exec(t, "CREATE TABLE t (v TEXT)")
		for range 20 {
			d.Exec(t, "INSERT INTO t VALUES ('"+strings.Repeat("長", 400)+"')")
		}
		got, err := execute(t, newJob(t, d.props(sqljob.PropStatement, "SELECT v FROM t", sqljob.PropMaxRows, "20")))
		if err != nil || len(got) > 4<<10 || !strings.HasSuffix(got, `"more":true}`) || strings.Count(got, `"v":"長`) < 3 {
			t.Errorf("Execute() = %q, %v, want at most 4 KiB of rows", got, err)
		}
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	d := database{servers.PostgreSQL(t).NewDatabase(t), "PostgreSQL"}
	const sessions = "SELECT count(*) AS n, pg_sleep(0.05)::text IS NULL AS slept FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'elasticjob'"
	job := newJob(t, d.props(sqljob.PropMaxConnections, "1", sqljob.PropStatement, sessions))
	results := make(chan string)
	for range 5 {
		go func() {
			response, err := job.Execute(t.Context(), spi.ExecuteRequest{Context: sharding(), Services: &services{}})
			if err != nil {
				response.Message = err.Error()
			}
			results <- response.Message
		}()
	}
	for range 5 {
		if got := <-results; got != `{"rows":[{"n":1,"slept":false}]}` {
			t.Errorf("Execute() = %q, want one session of the job", got)
		}
	}
}

func TestStatementsLeaveNoTransactionBehind(t *testing.T) {
	t.Parallel()
	d := database{servers.PostgreSQL(t).NewDatabase(t), "PostgreSQL"}
	d.Exec(t, "CREATE TABLE t (id INT)")
	job := newJob(t, d.props(sqljob.PropTransaction, "false", sqljob.PropMaxConnections, "1", sqljob.PropStatement, "INSERT INTO t VALUES (:shardingItem)", sqljob.PropItemStatement+"1", "SELECT no_such()"))
	for range 3 {
		_, err := execute(t, job)
		wantError(t, err, spi.CodeFailed, false, "running the statement: SQLSTATE 42883: function no_such() does not exist")
	}
	c := sharding()
	c.ShardingItem = 0
	if _, err := job.Execute(t.Context(), spi.ExecuteRequest{Context: c, Services: &services{}}); err != nil {
		t.Errorf("Execute() after a failure = %v, want nil", err)
	}
}
