package sqljob_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/tracing/databasetest"
	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/sqljob"
	"github.com/elasticjob-go/elasticjob/spi"
)

var servers databasetest.Servers

func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }

// services record what is logged.
type services struct {
	mu    sync.Mutex
	lines []string
}

func (s *services) Log(_ context.Context, record spi.LogRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, record.Line)
}

func (*services) Call(context.Context, string, []byte) ([]byte, error) {
	return nil, spi.NewError(spi.CodeUnsupported, "none")
}

// newJob makes a job and closes it with the test.
func newJob(t *testing.T, given map[string]string) spi.JobType {
	t.Helper()
	job, err := construct(t, given)
	if err != nil {
		t.Fatalf("constructing a job = %v, want nil", err)
	}
	t.Cleanup(func() { closeJob(t, job) })
	return job
}

func closeJob(t *testing.T, job spi.JobType) {
	t.Helper()
	if err := job.(spi.Closer).Close(context.Background()); err != nil {
		t.Errorf("Close() = %v, want nil", err)
	}
}

func construct(t *testing.T, given map[string]string) (spi.JobType, error) {
	t.Helper()
	plugin := sqljob.Plugin()
	values, problems := plugin.Descriptor.Props.Resolve(given)
	if len(problems) > 0 {
		t.Fatalf("Resolve() = %v, want no problem", problems)
	}
	return plugin.JobType(t.Context(), values)
}

// sharding is the context of item 1 of 3.
func sharding() spi.ShardingContext {
	return spi.ShardingContext{
		JobName: "orders", TaskID: "orders@-@1", ShardingTotalCount: 3, JobParameter: "it's \"all\"", ShardingItem: 1, ShardingParameter: `Shang'hai"); DROP TABLE t; --`,
		RunID: "1700000000000", FireTime: time.Date(2026, 3, 4, 5, 6, 7, 8e6, time.FixedZone("", 3600)), ExecutionSource: spi.SourceNormal, Attempt: 2, FencingToken: 1 << 60,
	}
}

func execute(t *testing.T, job spi.JobType) (string, error) {
	t.Helper()
	response, err := job.Execute(t.Context(), spi.ExecuteRequest{Context: sharding(), Services: &services{}})
	return response.Message, err
}

// wantResult runs the item and wants it to succeed.
func wantResult(t *testing.T, job spi.JobType, want string) {
	t.Helper()
	if got, err := execute(t, job); err != nil || got != want {
		t.Errorf("Execute() = %q, %v, want %q", got, err, want)
	}
}

// database is a database of one product.
type database struct {
	databasetest.Database

	product string
}

// onAll runs a test on a database of each product.
func onAll(t *testing.T, test func(t *testing.T, d database)) {
	t.Helper()
	for product, open := range map[string]func(*testing.T) databasetest.Database{
		"PostgreSQL": func(t *testing.T) databasetest.Database { return servers.PostgreSQL(t).NewDatabase(t) },
		"MariaDB":    func(t *testing.T) databasetest.Database { return servers.MariaDB(t).NewDatabase(t) },
		"SQLite": func(t *testing.T) databasetest.Database {
			return databasetest.SQLite(t, filepath.Join(t.TempDir(), "a b.db"))
		},
	} {
		t.Run(product, func(t *testing.T) {
			t.Parallel()
			test(t, database{open(t), product})
		})
	}
}

// props are the properties of a job on the database, in pairs.
func (d database) props(pairs ...string) map[string]string {
	given := map[string]string{sqljob.PropURL: d.URL}
	for i := 0; i < len(pairs); i += 2 {
		given[pairs[i]] = pairs[i+1]
	}
	return given
}

// wantError wants an error of a code, with words in its text and without others.
func wantError(t *testing.T, err error, code spi.Code, retryable bool, words string, without ...string) {
	t.Helper()
	e := spi.AsError(err)
	if e == nil || e.Code != code || e.Retryable != retryable || !strings.Contains(e.Message, words) {
		t.Errorf("error = %+v, want code %s, retryable %t and %q in it", e, code, retryable, words)
		return
	}
	for _, word := range without {
		if strings.Contains(e.Message, word) {
			t.Errorf("error %q shows %q", e.Message, word)
		}
	}
}
