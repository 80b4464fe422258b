package sqljob

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	driver "modernc.org/sqlite"

	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/internal/sqltext"
	"github.com/elasticjob-go/elasticjob/spi"
)

// busyTimeout is how long a statement waits for a file that others write,
// sqliteInstant how its time functions write an instant.
const (
	busyTimeout   = 5 * time.Second
	sqliteInstant = "2006-01-02 15:04:05.000"
)

// Result codes of SQLite, without what extends them.
const (
	sqliteBusy   = 5
	sqliteLocked = 6
)

type sqlite struct {
	path string
}

var _ product = sqlite{}

// hide has nothing to hide.
func (sqlite) hide(message string) string { return message }

func (sqlite) grammar() sqltext.Grammar { return sqltext.SQLite() }

func (sqlite) value(v any) any {
	if t, ok := v.(time.Time); ok {
		return t.Format(sqliteInstant)
	}
	return v
}

// open returns a pool whose transactions lock the file from their begin: two
// that read first and write then would block each other.
func (s sqlite) open() (*sql.DB, error) {
	return sql.Open("sqlite", s.path+"?_txlock=immediate&_pragma=busy_timeout("+strconv.FormatInt(busyTimeout.Milliseconds(), 10)+")")
}

// watch has nothing to do: the driver interrupts the statement.
func (sqlite) watch(context.Context, *sql.Conn, spi.Services) (func(), error) {
	return func() {}, nil
}

func (sqlite) close() error { return nil }

func (sqlite) explain(err error) *fault {
	e, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return nil
	}
	primary := e.Code() & 0xff
	return &fault{code: "SQLite error " + strconv.Itoa(e.Code()), message: e.Error(), isRetryable: primary == sqliteBusy || primary == sqliteLocked}
}
