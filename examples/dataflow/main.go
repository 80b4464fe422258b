// Command dataflow works on the rows of a table: one job ships open orders and
// marks them done, another reads all orders behind a cursor. The lesson: a
// dataflow is two functions, one that fetches and one that processes, and the node
// calls them in turn.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	_ "modernc.org/sqlite"

	"github.com/elasticjob-go/elasticjob"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	orders, err := openTable(ctx, "orders.db")
	if err != nil {
		return err
	}
	config, problems := elasticjob.LoadFile("elasticjob.yaml")
	if len(problems) > 0 {
		return errors.Join(elasticjob.Problems(problems), orders.db.Close())
	}
	logger := elasticjob.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	return errors.Join(elasticjob.Run(ctx, config, append(orders.functions(), logger)...), orders.db.Close())
}

// batch is how many orders are fetched at once.
const batch = 10

// order is a row of the table. It crosses from fetch to process as JSON.
type order struct {
	ID   int
	City string
}

// table has the orders. It is safe for concurrent use, as the database is.
type table struct{ db *sql.DB }

// openTable opens the file, and fills it with a hundred orders if it is new.
func openTable(ctx context.Context, file string) (*table, error) {
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		return nil, fmt.Errorf("opening the table: %w", err)
	}
	db.SetMaxOpenConns(1) // SQLite has one writer at a time
	_, err = db.ExecContext(ctx, `
		CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, city TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0);
		WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 100)
		INSERT OR IGNORE INTO orders (id, city)
		SELECT id, CASE id % 3 WHEN 0 THEN 'Beijing' WHEN 1 THEN 'Shanghai' ELSE 'Guangzhou' END FROM n`)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("filling the table: %w", err), db.Close())
	}
	return &table{db}, nil
}

// functions hands the table's methods to the node, by the names of the jobs.
func (t *table) functions() []elasticjob.Option {
	return []elasticjob.Option{
		elasticjob.WithDataflow("ship", t.openOrders, t.ship),
		elasticjob.WithDataflow("report", t.nextOrders, t.report),
	}
}

// openOrders fetches by state: what process marks done is not found again, so
// there is no use for the cursor.
func (t *table) openOrders(ctx context.Context, job *elasticjob.Job, _ string) ([]order, string, error) {
	found, err := t.find(ctx, `SELECT id, city FROM orders WHERE city = ? AND done = 0 ORDER BY id LIMIT ?`, job.ShardingParameter, batch)
	return found, "", err
}

// ship marks each order done, all of a batch or none. An order that somebody else
// has shipped is an error.
func (t *table) ship(ctx context.Context, _ *elasticjob.Job, orders []order) error {
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning to ship: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	for _, o := range orders {
		result, err := tx.ExecContext(ctx, `UPDATE orders SET done = 1 WHERE id = ? AND done = 0`, o.ID)
		if err != nil {
			return fmt.Errorf("shipping order %d: %w", o.ID, err)
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return errors.Join(fmt.Errorf("order %d is shipped already", o.ID), err)
		}
	}
	return tx.Commit()
}

// nextOrders fetches by position: the cursor is the id of the last order of the
// batch before, and "" at the begin.
func (t *table) nextOrders(ctx context.Context, job *elasticjob.Job, cursor string) ([]order, string, error) {
	found, err := t.find(ctx, `SELECT id, city FROM orders WHERE city = ? AND id > CAST(? AS INTEGER) ORDER BY id LIMIT ?`,
		job.ShardingParameter, cursor, batch)
	if err != nil || len(found) == 0 {
		return nil, "", err
	}
	return found, strconv.Itoa(found[len(found)-1].ID), nil
}

// report writes what it has got to the log. The first attempt fails behind the
// order that the job's property names, as if a service were away.
func (t *table) report(_ context.Context, job *elasticjob.Job, orders []order) error {
	last := orders[len(orders)-1].ID
	if behind := job.Props.Int("fail.behind"); behind > 0 && int64(last) > behind && job.Attempt == 1 {
		return errors.New("the service is away")
	}
	job.Info("reporting", "city", job.ShardingParameter, "first", orders[0].ID, "last", last, "attempt", job.Attempt)
	return nil
}

// find runs a query for orders.
func (t *table) find(ctx context.Context, query string, args ...any) (found []order, err error) {
	rows, err := t.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("looking for orders: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var o order
		if err := rows.Scan(&o.ID, &o.City); err != nil {
			return nil, fmt.Errorf("reading an order: %w", err)
		}
		found = append(found, o)
	}
	return found, rows.Err()
}
