// Package databasetest runs real PostgreSQL and MariaDB servers for tests.
//
// The programs are those that the system has. Without them the test fails, as
// what it would show cannot be shown otherwise. A server listens on a free port
// of the loopback interface, keeps its files in a directory of its own, and
// writes nothing safely: it is for data that no one will miss.
//
// It takes seconds to make a server, so the tests of a package share one of each
// product, and every test has a database of its own in it:
//
//	var servers databasetest.Servers
//
//	func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }
package databasetest

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	// SQLite is reached through package database/sql by its name.
	_ "modernc.org/sqlite"
)

// Servers are the servers that the tests of a package share. The zero Servers
// has none and starts each when it is first asked for. It is safe for concurrent
// use.
type Servers struct {
	postgreSQL shared
	mariaDB    shared
}

// shared is one server or the reason why there is none.
type shared struct {
	once   sync.Once
	server *Server
	err    error
}

func (s *shared) get(t testing.TB, p product) *Server {
	t.Helper()
	s.once.Do(func() { s.server, s.err = start(t, p) })
	if s.err != nil {
		t.Fatalf("this test needs %s: %v (`make test-tools` installs it)", p.name(), s.err)
	}
	return s.server
}

// PostgreSQL is the shared server of this product.
func (s *Servers) PostgreSQL(t testing.TB) *Server {
	t.Helper()
	return s.postgreSQL.get(t, postgreSQL{})
}

// MariaDB is the shared server of this product.
func (s *Servers) MariaDB(t testing.TB) *Server {
	t.Helper()
	return s.mariaDB.get(t, mariaDB{})
}

// Run runs the tests and ends the servers. It returns the exit status.
func (s *Servers) Run(m *testing.M) int {
	status := m.Run()
	for _, shared := range []*shared{&s.postgreSQL, &s.mariaDB} {
		if shared.server == nil {
			continue
		}
		if err := shared.server.end(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	return status
}

// Start starts a server of the same product that only this test has, and ends it
// with the test.
func (s *Server) Start(t testing.TB) *Server {
	t.Helper()
	own, err := start(t, s.product)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.end(); err != nil {
			t.Error(err)
		}
	})
	return own
}

// Database is an empty database of one test.
type Database struct {
	// URL names it with user and password, as the job type SQL reads it.
	URL string
	// Name is its name on the server.
	Name string
	// DB is connected to it and closed with the test.
	DB *sql.DB
}

// NewDatabase makes a database.
func (s *Server) NewDatabase(t testing.TB) Database {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text()[:12])
	admin := s.open(t, s.product.adminDatabase())
	if _, err := admin.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatalf("making a database of %s: %v", s.product.name(), err)
	}
	return Database{URL: s.URL(name), Name: name, DB: s.open(t, name)}
}

// open returns a pool for the database that is closed with the test.
func (s *Server) open(t testing.TB, database string) *sql.DB {
	t.Helper()
	db, err := s.product.open(s.Addr(), database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing a pool of %s: %v", s.product.name(), err)
		}
	})
	return db
}

// Exec runs statements as the owner of the database does.
func (d Database) Exec(t testing.TB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := d.DB.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("Exec(%q) = %v, want nil", statement, err)
		}
	}
}

// Texts returns the rows of a query with one column, as text.
func (d Database) Texts(t testing.TB, query string) []string {
	t.Helper()
	rows, err := d.DB.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("Query(%q) = %v, want nil", query, err)
	}
	defer func() {
		if err := rows.Close(); err != nil {
			t.Errorf("closing the rows of %q: %v", query, err)
		}
	}()
	var texts []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatalf("Scan() of %q = %v, want nil", query, err)
		}
		texts = append(texts, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("the rows of %q end with %v, want nil", query, err)
	}
	return texts
}

// SQLite makes a database in a file, which needs no server.
func SQLite(t testing.TB, file string) Database {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("closing a pool of SQLite: %v", err)
		}
	})
	return Database{URL: "sqlite:" + file, Name: file, DB: db}
}
