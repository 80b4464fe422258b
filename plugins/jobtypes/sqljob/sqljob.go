// Package sqljob is the job type SQL: an item is a statement, or several, on a
// database. PostgreSQL, MySQL with MariaDB, and SQLite are spoken to.
//
// What the item is about reaches the statement as named parameters, which become
// placeholders of the driver: a value is never part of the text. Every job has a
// pool of its own, which connects when the first item needs it, so that a node
// starts without its databases.
package sqljob

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/internal/sqltext"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Type is the name of the job type in config.
const Type = "SQL"

// The properties of the job type. A property that begins with
// PropItemStatement and ends with the number of an item is that item's statements.
const (
	PropURL            = "sql.url"
	PropPassword       = "sql.password"
	PropDirectory      = "sql.directory"
	PropStatement      = "sql.statement"
	PropItemStatement  = "sql.statement."
	PropTransaction    = "sql.transaction"
	PropMaxRows        = "sql.max.rows"
	PropMaxConnections = "sql.max.connections"
	PropConnectTimeout = "sql.connect.timeout"
)

// idleFor is how long a connection that nobody uses stays open, and mostIdle how
// many of them.
const (
	idleFor  = 5 * time.Minute
	mostIdle = 2
)

// Plugin returns the job type.
func Plugin() spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:        spi.KindJobType,
			Type:        Type,
			Version:     "1",
			Description: "Runs a statement for each item on PostgreSQL, MySQL, MariaDB or SQLite.",
			Props: props.Schema{
				{Name: PropURL, Type: props.String, Required: true, Secret: true, Max: "4096", Description: "the database: postgres://USER@HOST:PORT/DATABASE, mysql://USER@HOST:PORT/DATABASE or sqlite:PATH", Example: "postgres://jobs@db.example.com/orders"},
				{Name: PropPassword, Type: props.String, Secret: true, Description: "password of the URL's user"},
				{Name: PropDirectory, Type: props.Path, Default: ".", Description: "where a relative path of sqlite:PATH starts"},
				{Name: PropStatement, Type: props.String, Description: "statements of every item that has none of its own, with parameters such as :shardingItem", Example: "DELETE FROM orders WHERE id % :shardingTotalCount = :shardingItem"},
				{Name: PropItemStatement + "*", Type: props.String, Description: "statements of the item whose number ends the name"},
				{Name: PropTransaction, Type: props.Bool, Default: "true", Description: "the statements of an item are one transaction"},
				{Name: PropMaxRows, Type: props.Int, Default: "10", Min: "0", Max: "100", Description: "rows of a query that become part of the result"},
				{Name: PropMaxConnections, Type: props.Int, Default: "10", Min: "1", Max: "1000", Description: "connections of the job on this node; an item waits for a free one"},
				{Name: PropConnectTimeout, Type: props.Duration, Default: "10s", Min: "1ms", Description: "time to connect in"},
			},
		},
		JobType: func(_ context.Context, values props.Values) (spi.JobType, error) { return newJob(values) },
	}
}

type job struct {
	product product
	pool    *sql.DB
	// all are the statements of items without an entry in own.
	all         []sqltext.Statement
	own         map[int][]sqltext.Statement
	transaction bool
	maxRows     int
}

var (
	_ spi.JobType = (*job)(nil)
	_ spi.Closer  = (*job)(nil)
)

func newJob(values props.Values) (*job, error) {
	j := &job{own: make(map[int][]sqltext.Statement), transaction: values.Bool(PropTransaction), maxRows: int(values.Int(PropMaxRows))}
	var err error
	if j.product, err = newProduct(values); err != nil {
		return nil, err
	}
	read := func(property string) ([]sqltext.Statement, error) {
		statements, err := sqltext.Parse(values.String(property), j.product.grammar(), checkParameter)
		if err != nil {
			return nil, refused(property, err.Error())
		}
		return statements, nil
	}
	for name := range values {
		number, ok := strings.CutPrefix(name, PropItemStatement)
		if !ok {
			continue
		}
		item, err := strconv.Atoi(number)
		if err != nil || item < 0 || strconv.Itoa(item) != number {
			return nil, refused(name, "does not end with the number of an item")
		}
		if j.own[item], err = read(name); err != nil {
			return nil, err
		}
	}
	if values.String(PropStatement) != "" {
		if j.all, err = read(PropStatement); err != nil {
			return nil, err
		}
	} else if len(j.own) == 0 {
		return nil, refused(PropStatement, "is missing, and no item has statements of its own")
	}
	connections := int(values.Int(PropMaxConnections))
	if j.pool, err = j.product.open(); err != nil {
		return nil, refused(PropURL, "cannot be used")
	}
	j.pool.SetMaxOpenConns(connections)
	j.pool.SetMaxIdleConns(min(mostIdle, connections))
	j.pool.SetConnMaxIdleTime(idleFor)
	return j, nil
}

func refused(property, why string) error {
	return &spi.Error{Code: spi.CodeInvalidProperties, Property: property, Message: property + " " + why}
}

// Close closes the connections.
func (j *job) Close(context.Context) error {
	if err := errors.Join(j.pool.Close(), j.product.close()); err != nil {
		return fmt.Errorf("closing the connections: %w", err)
	}
	return nil
}

// Execute runs the statements of one item. Its message is the result as JSON:
// the number of rows that were changed, and the first rows of the last query.
func (j *job) Execute(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	statements, ok := j.own[req.Context.ShardingItem]
	if !ok {
		statements = j.all
	}
	if len(statements) == 0 {
		return spi.ExecuteResponse{}, refused(PropItemStatement+strconv.Itoa(req.Context.ShardingItem), "is missing, and there is no "+PropStatement)
	}
	r := result{maxRows: j.maxRows}
	if err := j.run(ctx, req, statements, &r); err != nil {
		return spi.ExecuteResponse{}, j.failure(ctx, req.Context, statements, err)
	}
	return spi.ExecuteResponse{Message: r.json()}, nil
}

// run runs statements on one connection.
func (j *job) run(ctx context.Context, req spi.ExecuteRequest, statements []sqltext.Statement, r *result) error {
	conn, release, err := j.connect(ctx, req.Services)
	if err != nil {
		return err
	}
	defer release()
	if !j.transaction {
		return j.perform(ctx, conn, req.Context, statements, r)
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning the transaction: %w", err)
	}
	if err := j.perform(ctx, tx, req.Context, statements, r); err != nil {
		// What cannot be rolled back goes with its connection.
		if undo := tx.Rollback(); undo != nil {
			drop(conn)
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		drop(conn)
		return fmt.Errorf("committing, which may have come to pass: %w", err)
	}
	return nil
}

// runner is a connection or a transaction.
type runner interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// perform runs statements one after the other.
func (j *job) perform(ctx context.Context, on runner, c spi.ShardingContext, statements []sqltext.Statement, r *result) error {
	for i, s := range statements {
		if err := r.add(ctx, on, s, arguments(s, c, j.product)); err != nil {
			if len(statements) == 1 {
				return fmt.Errorf("running the statement: %w", err)
			}
			return fmt.Errorf("running statement %d of %d: %w", i+1, len(statements), err)
		}
	}
	return nil
}

// connect takes a connection out of the pool. Those that were lost while they
// were idle are replaced. The caller releases it.
func (j *job) connect(ctx context.Context, services spi.Services) (*sql.Conn, func(), error) {
	for left := mostIdle; ; left-- {
		conn, err := j.pool.Conn(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("connecting: %w", err)
		}
		unwatch, err := j.product.watch(ctx, conn, services)
		if err == nil {
			return conn, func() {
				unwatch()
				_ = conn.Close() // it only goes back to the pool
			}, nil
		}
		drop(conn)
		if left == 0 || ctx.Err() != nil {
			return nil, nil, fmt.Errorf("connecting: %w", err)
		}
	}
}
