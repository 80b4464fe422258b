package databasetest

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/service/processtest"
)

const (
	// User owns the databases.
	User = "elasticjob"
	// Password is the one of User. In a URL it needs escapes.
	Password = "p@ss/w:rd #1"
	// patience is how long a test waits for what takes a second on an idle
	// machine.
	patience = time.Minute
	// attempts is how often a server is started when others take its port.
	attempts = 10
)

// product is what differs between the servers.
type product interface {
	name() string
	// accounts are those to run as, where root may not.
	accounts() []string
	// install makes the data of a server in the directory, which belongs to the
	// account.
	install(account processtest.Account, dir string) error
	// launch starts the server and returns what it says when it serves.
	launch(account processtest.Account, dir string, port int) (p *processtest.Process, ready string, err error)
	// scheme is that of its URLs.
	scheme() string
	// quit is the signal at which the server ends at once, with its children.
	quit() os.Signal
	adminDatabase() string
	open(address, database string) (*sql.DB, error)
}

// Server is one running server. Its methods are not safe for concurrent use,
// except Addr, URL and NewDatabase.
type Server struct {
	product product
	account processtest.Account
	dir     string
	port    int
	process *processtest.Process
}

// start makes a server and starts it.
func start(t testing.TB, p product) (*Server, error) {
	t.Helper()
	account, err := processtest.Unprivileged(p.accounts()...)
	if err != nil {
		return nil, err
	}
	// Not the test's: the account may not enter that.
	dir, err := os.MkdirTemp("", "elasticjob-databasetest-") //nolint:usetesting // see above
	if err != nil {
		return nil, fmt.Errorf("making the server's directory: %w", err)
	}
	s := &Server{product: p, account: account, dir: dir}
	if err := errors.Join(account.Own(dir), p.install(account, dir)); err != nil {
		return nil, errors.Join(err, s.end())
	}
	for range attempts {
		s.port = processtest.FreePort(t)
		if err = s.run(); err == nil {
			return s, nil
		}
		if !strings.Contains(err.Error(), "in use") {
			break
		}
	}
	return nil, errors.Join(err, s.end())
}

// run starts the process and waits until it serves.
func (s *Server) run() error {
	p, ready, err := s.product.launch(s.account, s.dir, s.port)
	if err != nil {
		return err
	}
	s.process = p
	select {
	case <-p.Says(ready):
		return nil
	case <-p.Ended():
		return fmt.Errorf("%s ended (%w) when it was started; it said:\n%s", s.product.name(), p.Err(), p.Output())
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("%s does not serve after %v; it said:\n%s", s.product.name(), patience, p.Output()), p.Kill())
	}
}

// Addr is the server's address, host:port. It stays the same for ever.
func (s *Server) Addr() string { return processtest.Address(s.port) }

// URL names a database with user and password.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: s.product.scheme(), User: url.UserPassword(User, Password), Host: s.Addr(), Path: "/" + database}
	return u.String()
}

// Kill ends the server at once, as a crash does, and waits until it is gone.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if err := s.process.Kill(); err != nil {
		t.Fatal(err)
	}
}

// Restart starts a server anew that was killed, at the same address and with its
// data.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if !s.process.IsGone() {
		s.Kill(t)
	}
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
}

// end ends the server and removes its files.
func (s *Server) end() error {
	var err error
	if s.process != nil {
		err = s.process.Signal(s.product.quit())
		select {
		case <-s.process.Ended():
		case <-time.After(patience):
			err = errors.Join(err, fmt.Errorf("%s does not end after %v", s.product.name(), patience), s.process.Kill())
		}
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// finish runs a program to its end.
func finish(account processtest.Account, dir, program string, args ...string) error {
	p, err := processtest.LaunchAs(account, dir, program, args...)
	if err != nil {
		return err
	}
	select {
	case <-p.Ended():
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("%s does not end after %v; it said:\n%s", program, patience, p.Output()), p.Kill())
	}
	if err := p.Err(); err != nil {
		return fmt.Errorf("%s: %w; it said:\n%s", filepath.Base(program), err, p.Output())
	}
	return nil
}

// writeFile writes a file that the account can read.
func writeFile(account processtest.Account, name, text string) error {
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		return err
	}
	return account.Own(name)
}
