//go:build unix

package chaos_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"
)

// resource is what the items change: a table with a row for each item, behind a
// server. It takes a change if its fencing token is not lower than that of the one
// before. It lives in the process of the test, because a node that is stopped while
// it holds the lock of a file would stop all others.
type resource struct {
	t      *testing.T
	db     *sql.DB
	server *httptest.Server
}

// effect is a change that an item asks for.
type effect struct {
	Job   string `json:"job"`
	Item  int    `json:"item"`
	Run   string `json:"run"`
	Fence int64  `json:"fence"`
	Step  int    `json:"step"`
	PID   int    `json:"pid"`
}

func newResource(t *testing.T) *resource {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "resource.db")+"?_txlock=immediate&_pragma=synchronous(off)&_pragma=journal_mode(wal)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing the database of the resource: %v", err)
		}
	})
	for _, statement := range []string{
		"CREATE TABLE resource (job TEXT, item INTEGER, fence INTEGER NOT NULL, run TEXT NOT NULL, PRIMARY KEY (job, item))",
		"CREATE TABLE effects (number INTEGER PRIMARY KEY, job TEXT, item INTEGER, run TEXT, fence INTEGER, step INTEGER, pid INTEGER, accepted BOOLEAN)",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	r := &resource{t: t, db: db}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

// ServeHTTP makes one change, or answers 409.
func (r *resource) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var e effect
	err := json.NewDecoder(http.MaxBytesReader(w, req.Body, 1<<12)).Decode(&e)
	isAccepted := false
	if err == nil {
		// What has come is done, also when its sender was killed meanwhile.
		isAccepted, err = r.change(context.WithoutCancel(req.Context()), e)
	}
	switch {
	case err != nil:
		r.t.Errorf("the resource has not taken %+v: %v", e, err)
		w.WriteHeader(http.StatusInternalServerError)
	case !isAccepted:
		w.WriteHeader(http.StatusConflict)
	}
}

func (r *resource) change(ctx context.Context, e effect) (isAccepted bool, err error) {
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	if _, err := tx.ExecContext(ctx, "INSERT INTO resource VALUES (?, ?, 0, '') ON CONFLICT DO NOTHING", e.Job, e.Item); err != nil {
		return false, err
	}
	done, err := tx.ExecContext(ctx, "UPDATE resource SET fence = ?, run = ? WHERE job = ? AND item = ? AND fence <= ?", e.Fence, e.Run, e.Job, e.Item, e.Fence)
	if err != nil {
		return false, err
	}
	rows, err := done.RowsAffected()
	if err != nil {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO effects (job, item, run, fence, step, pid, accepted) VALUES (?, ?, ?, ?, ?, ?, ?)",
		e.Job, e.Item, e.Run, e.Fence, e.Step, e.PID, rows == 1); err != nil {
		return false, err
	}
	return rows == 1, tx.Commit()
}

// seen is an effect and what the resource has said to it.
type seen struct {
	effect
	accepted bool
}

// all are the effects in the order in which they came.
func (r *resource) all() (all []seen) {
	r.t.Helper()
	rows, err := r.db.QueryContext(r.t.Context(), "SELECT job, item, run, fence, step, pid, accepted FROM effects ORDER BY number")
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }() // Err tells
	for rows.Next() {
		var s seen
		if err := rows.Scan(&s.Job, &s.Item, &s.Run, &s.Fence, &s.Step, &s.PID, &s.accepted); err != nil {
			r.t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		r.t.Fatal(err)
	}
	return all
}

// errFenced is the answer to a change that comes too late.
var errFenced = errors.New("the resource has seen a newer token")

// resourceClient is how a node reaches the resource.
type resourceClient struct {
	url  string
	http http.Client
}

func newResourceClient(url string) *resourceClient { return &resourceClient{url: url} }

// change makes one change. The error is errFenced when the resource refuses it.
func (c *resourceClient) change(ctx context.Context, e effect) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusConflict:
		return errFenced
	default:
		return fmt.Errorf("the resource answers %s", resp.Status)
	}
}

// TestResource has it refuse what is older than what it has seen.
func TestResource(t *testing.T) {
	t.Parallel()
	r := newResource(t)
	c := newResourceClient(r.server.URL)
	for _, step := range []struct {
		item  int
		fence int64
		want  error
	}{{0, 5, nil}, {0, 5, nil}, {0, 4, errFenced}, {1, 4, nil}, {0, 6, nil}, {0, 5, errFenced}} {
		if err := c.change(t.Context(), effect{Job: "job", Item: step.item, Fence: step.fence}); !errors.Is(err, step.want) {
			t.Errorf("change(item %d, token %d) = %v, want %v", step.item, step.fence, err, step.want)
		}
	}
	accepted := 0
	for _, s := range r.all() {
		if s.accepted {
			accepted++
		}
	}
	if accepted != 4 {
		t.Errorf("accepted effects = %d, want 4", accepted)
	}
}
