package sqljob

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/internal/sqltext"
	"github.com/elasticjob-go/elasticjob/spi"
)

type postgreSQL struct {
	secret

	config *pgx.ConnConfig
}

var _ product = postgreSQL{}

func newPostgreSQL(u *url.URL, password secret, timeout time.Duration) (product, error) {
	config, err := pgx.ParseConfig(u.String())
	if err != nil {
		// The error may show what is secret.
		return nil, refused(PropURL, "has a port or parameters that PostgreSQL's client does not take")
	}
	config.Password = string(password)
	config.ConnectTimeout = timeout
	// Statements are described each time, so that another table of the same name
	// does no harm, and have no names that a pooler would mix up.
	config.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	config.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: killTimeout}
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "elasticjob"
	}
	return postgreSQL{secret: password, config: config}, nil
}

func (postgreSQL) grammar() sqltext.Grammar { return sqltext.PostgreSQL() }

// value returns text, which the server reads as the type that it finds for the
// parameter. A Go value would have to be of that type.
func (postgreSQL) value(v any) any {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	default:
		return v
	}
}

// open returns a pool that tries an idle connection before it uses it.
func (p postgreSQL) open() (*sql.DB, error) {
	always := func(context.Context, stdlib.ShouldPingParams) bool { return true }
	return stdlib.OpenDB(*p.config, stdlib.OptionShouldPing(always)), nil
}

// watch has nothing to do: the driver asks the server to cancel.
func (postgreSQL) watch(context.Context, *sql.Conn, spi.Services) (func(), error) {
	return func() {}, nil
}

func (postgreSQL) close() error { return nil }

func (postgreSQL) explain(err error) *fault {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return nil
	}
	f := &fault{code: "SQLSTATE " + e.Code, message: e.Message}
	// Classes and codes of appendix A of PostgreSQL's manual.
	switch {
	case strings.HasPrefix(e.Code, "08"), strings.HasPrefix(e.Code, "53"), strings.HasPrefix(e.Code, "57P"):
		f.isAway = true
	case e.Code == "40001", e.Code == "40P01", e.Code == "55P03":
		f.isRetryable = true
	}
	return f
}
