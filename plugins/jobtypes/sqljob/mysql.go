package sqljob

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/internal/sqltext"
	"github.com/elasticjob-go/elasticjob/spi"
)

// noSuchThread is the number of the error of KILL for a connection that has ended.
const noSuchThread = 1094

type mySQL struct {
	secret

	connector driver.Connector
	// killer ends what others run: its connections are not those of the pool,
	// which may all be busy.
	killer *sql.DB
}

var _ product = (*mySQL)(nil)

func newMySQL(u *url.URL, password secret, timeout time.Duration) (product, error) {
	config := mysql.NewConfig()
	config.Net, config.Addr, config.DBName = "tcp", u.Host, strings.TrimPrefix(u.Path, "/")
	if u.Port() == "" {
		config.Addr = net.JoinHostPort(u.Hostname(), "3306")
	}
	config.User, config.Passwd = u.User.Username(), string(password)
	config.ParseTime, config.Loc = true, time.UTC
	config.Logger = &mysql.NopLogger{}
	parameters, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, refused(PropURL, "has parameters that cannot be read")
	}
	for name, given := range parameters {
		switch value := given[len(given)-1]; name {
		case "tls":
			config.TLSConfig = value
		case "collation":
			config.Collation = value
		default:
			return nil, refused(PropURL, "has a parameter that is not known; there are tls and collation")
		}
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, refused(PropURL, "has parameters with values that MySQL's client does not take: tls is true, false, skip-verify or preferred")
	}
	m := &mySQL{secret: password, connector: timely{connector, timeout}}
	m.killer = sql.OpenDB(m.connector)
	m.killer.SetMaxIdleConns(0)
	return m, nil
}

func (*mySQL) grammar() sqltext.Grammar { return sqltext.MySQL() }

func (*mySQL) value(v any) any { return v }

func (m *mySQL) open() (*sql.DB, error) {
	return sql.OpenDB(m.connector), nil
}

// timely bounds the whole making of a connection. The driver's own bound ends
// when the server has accepted, and not when it has answered.
type timely struct {
	driver.Connector

	timeout time.Duration
}

// Connect makes a connection.
func (t timely) Connect(ctx context.Context) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	return t.Connector.Connect(ctx)
}

// watch kills the connection at the server when ctx ends: all that the driver
// does is to close its own end, which a busy server does not notice.
func (m *mySQL) watch(ctx context.Context, conn *sql.Conn, services spi.Services) (func(), error) {
	var id int64
	if err := conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		return nil, err
	}
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(killed)
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
		defer cancel()
		if _, err := m.killer.ExecContext(limited, "KILL "+strconv.FormatInt(id, 10)); err != nil && !isNumber(err, noSuchThread) {
			services.Log(ctx, spi.LogRecord{Level: spi.LevelWarn, Line: m.hide(fmt.Sprintf("the statement may go on at the server, as it cannot be killed: %v", err))})
		}
	})
	return func() {
		if !stop() {
			<-killed
			drop(conn)
		}
	}, nil
}

func (m *mySQL) close() error { return m.killer.Close() }

func isNumber(err error, number uint16) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && e.Number == number
}

func (*mySQL) explain(err error) *fault {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return nil
	}
	f := &fault{code: "error " + strconv.Itoa(int(e.Number)), message: e.Message}
	if e.SQLState != [5]byte{} {
		f.code += " (" + string(e.SQLState[:]) + ")"
	}
	// Numbers of the error reference of MySQL and MariaDB.
	switch e.Number {
	case 1040, 1053, 1203, 1226, 1927: // too many connections, shutdown, connection killed
		f.isAway = true
	case 1205, 1213: // lock wait timeout, deadlock
		f.isRetryable = true
	}
	return f
}
