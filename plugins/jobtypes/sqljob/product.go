package sqljob

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/internal/sqltext"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// product is what differs between databases.
type product interface {
	grammar() sqltext.Grammar
	// value turns a string, an int64 or a time into what the driver takes.
	value(v any) any
	// open returns a pool that has not connected yet.
	open() (*sql.DB, error)
	// watch sees to it that what runs on the connection ends at the server when
	// ctx does, until the function that it returns is called. It fails when the
	// connection is lost.
	watch(ctx context.Context, conn *sql.Conn, services spi.Services) (unwatch func(), err error)
	// explain reads an error of the server, nil if it is none.
	explain(err error) *fault
	// hide takes the password out of a message.
	hide(message string) string
	// close frees what open does not return.
	close() error
}

// fault is an error that a server has answered with.
type fault struct {
	// code is that of the product, such as SQLSTATE 40001.
	code, message string
	// isAway says that the server does not serve for now, isRetryable that the
	// same statement may succeed later.
	isAway, isRetryable bool
}

// secret is what a product must keep out of errors.
type secret string

// hide takes the secret out of a message.
func (s secret) hide(message string) string {
	if s == "" {
		return message
	}
	return strings.ReplaceAll(message, string(s), "…")
}

// allowedURLs says what a URL may look like.
const allowedURLs = "write postgres://USER@HOST:PORT/DATABASE, mysql://USER@HOST:PORT/DATABASE or sqlite:PATH"

// newProduct reads the URL. Its errors show nothing of it.
func newProduct(values props.Values) (product, error) {
	text, timeout := values.String(PropURL), values.Duration(PropConnectTimeout)
	scheme, rest, _ := strings.Cut(text, ":")
	switch strings.ToLower(scheme) {
	case "jdbc":
		return nil, refused(PropURL, "is a URL of JDBC; "+insteadOfJDBC(rest))
	case "sqlite":
		if values.String(PropPassword) != "" {
			return nil, refused(PropPassword, "is given, and SQLite has no passwords")
		}
		path := strings.TrimPrefix(rest, "//")
		if path == "" || strings.ContainsAny(path, "?%#\x00") || strings.HasPrefix(path, ":") {
			return nil, refused(PropURL, "names no file; write sqlite:PATH, without parameters")
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(values.String(PropDirectory), path)
		}
		return sqlite{path: path}, nil
	case "postgres", "postgresql", "mysql", "mariadb":
		u, err := url.Parse(text)
		if err != nil {
			return nil, refused(PropURL, "is no URL; characters such as @ : / # in a password are written as %40 %3A %2F %23, or the password in "+PropPassword)
		}
		password, err := passwordOf(u, values)
		if err != nil {
			return nil, err
		}
		if u.Hostname() == "" || u.User.Username() == "" || strings.Trim(u.Path, "/") == "" {
			return nil, refused(PropURL, "lacks the user, the host or the database; "+allowedURLs)
		}
		if strings.HasPrefix(u.Scheme, "postgres") {
			return newPostgreSQL(u, password, timeout)
		}
		return newMySQL(u, password, timeout)
	default:
		return nil, refused(PropURL, "is of no known database; "+allowedURLs)
	}
}

// passwordOf is the password of the URL or of its property.
func passwordOf(u *url.URL, values props.Values) (secret, error) {
	inURL, isInURL := u.User.Password()
	own := values.String(PropPassword)
	if isInURL && own != "" && own != inURL {
		return "", refused(PropPassword, "is another one than that of "+PropURL)
	}
	if own != "" {
		return secret(own), nil
	}
	return secret(inURL), nil
}

// insteadOfJDBC says what to write instead of jdbc:rest.
func insteadOfJDBC(rest string) string {
	name, _, _ := strings.Cut(rest, ":")
	switch strings.ToLower(name) {
	case "postgresql":
		return "write postgres://USER@HOST:PORT/DATABASE"
	case "mysql", "mariadb":
		return "write mysql://USER@HOST:PORT/DATABASE"
	case "sqlite":
		return "write sqlite:PATH"
	default:
		return allowedURLs
	}
}

// drop closes the connection instead of giving it back to the pool.
func drop(conn *sql.Conn) {
	// The error is the one that makes the pool drop it.
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}

// killTimeout bounds how long an item waits for the server to end a statement.
const killTimeout = 5 * time.Second

// failure is the error of an item: the context's when that has ended, else what
// the server or the network said, without values of parameters.
func (j *job) failure(ctx context.Context, c spi.ShardingContext, statements []sqltext.Statement, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	f := j.product.explain(err)
	if f == nil {
		// The drivers list several attempts in lines of their own.
		e := spi.NewError(spi.CodeFailed, j.product.hide(withoutValues(strings.Join(strings.Fields(err.Error()), " "), c, statements)))
		if isConnectionLost(err) {
			e.Code, e.Retryable = spi.CodeUnavailable, true
		}
		return e
	}
	e := spi.NewError(spi.CodeFailed, j.product.hide(phase(err)+f.code+": "+withoutValues(f.message, c, statements)))
	if f.isAway {
		e.Code = spi.CodeUnavailable
	}
	e.Retryable = f.isAway || f.isRetryable
	return e
}

// phase is what was done when the error came, as run and perform say it.
func phase(err error) string {
	text, _, ok := strings.Cut(err.Error(), ": ")
	if !ok || errors.Unwrap(err) == nil {
		return ""
	}
	return text + ": "
}
