// Package redistest runs real Redis servers for tests: one server, a replica,
// sentinels, a cluster.
//
// The servers are those of the redis-server that the PATH has. Without it the
// test fails, as what it would show cannot be shown otherwise. Each listens on
// a free port of the loopback interface, keeps its files in a directory of the
// test, and ends with the test, also with one that fails or, on Linux, whose
// process is killed.
package redistest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/elasticjob-go/elasticjob/core/service/processtest"
)

const (
	// program is the name of the server.
	program = "redis-server"
	// patience is how long a test waits for what takes milliseconds on an idle
	// machine.
	patience = 30 * time.Second
	// attempts is how often a server is started when others take its port.
	attempts = 10
)

// Server is one running redis-server. Its methods are not safe for concurrent
// use, except Addr, Client and Output.
type Server struct {
	t       testing.TB
	program string
	o       options
	dir     string
	port    int
	busPort int
	process *processtest.Process
	client  *redis.Client
}

// Start starts a server, waits until it serves, and ends it with the test. It
// keeps nothing on disk unless an option says so.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := newServer(t, opts)
	s.start()
	return s
}

func newServer(t testing.TB, opts []Option) *Server {
	t.Helper()
	found, err := exec.LookPath(program)
	if err == nil {
		found, err = filepath.Abs(found)
	}
	if err != nil {
		t.Fatalf("this test needs Redis, and %s is not installed (%v): run `make test-tools`", program, err)
	}
	s := &Server{t: t, program: found, dir: t.TempDir()}
	for _, option := range opts {
		option(&s.o)
	}
	if s.o.tls && s.o.certificates == (Certificates{}) {
		s.o.certificates = writeCertificates(t, s.dir, s.o.hosts)
	}
	t.Cleanup(s.cleanUp)
	return s
}

// start starts the server on a port that nobody has.
func (s *Server) start() {
	s.t.Helper()
	var why string
	for range attempts {
		s.port, s.busPort = processtest.FreePort(s.t), processtest.FreePort(s.t)
		// Once only: the server itself rewrites its file when its role changes.
		if err := os.WriteFile(s.file(), []byte(s.configuration()), 0o600); err != nil {
			s.t.Fatal(err)
		}
		if why = s.run(); why == "" {
			s.client = s.NewClient()
			return
		}
		if !strings.Contains(why, "in use") {
			break
		}
	}
	s.t.Fatal(why)
}

// run starts the process and waits until it serves; it returns why it does not.
func (s *Server) run() string {
	s.t.Helper()
	args := []string{s.file()}
	ready := "Ready to accept connections"
	if s.o.sentinel {
		args, ready = append(args, "--sentinel"), "Sentinel ID is"
	}
	p, err := processtest.Launch(s.program, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.process = p
	select {
	case <-p.Says(ready):
		return ""
	case <-p.Ended():
		return fmt.Sprintf("%s ended (%v) when it was started; it said:\n%s", s.program, p.Err(), p.Output())
	case <-time.After(patience):
		s.Kill()
		return fmt.Sprintf("%s does not serve after %v; it said:\n%s", s.program, patience, p.Output())
	}
}

// file is the server's configuration.
func (s *Server) file() string { return filepath.Join(s.dir, "redis.conf") }

// Addr is the server's address, host:port. It stays the same for ever.
func (s *Server) Addr() string { return processtest.Address(s.port) }

// Dir is the directory that the server keeps its files in.
func (s *Server) Dir() string { return s.dir }

// Client is a client of the server as its default user, closed with the test.
func (s *Server) Client() *redis.Client { return s.client }

// NewClient is one more client as [Server.Client] is, with connections of its
// own.
func (s *Server) NewClient() *redis.Client {
	s.t.Helper()
	config := s.TLS()
	if config != nil {
		config.ServerName = s.o.hosts[0]
	}
	c := redis.NewClient(&redis.Options{
		Addr:                     s.Addr(),
		Password:                 s.o.password,
		TLSConfig:                config,
		ContextTimeoutEnabled:    true,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	s.t.Cleanup(func() {
		if err := c.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
			s.t.Errorf("closing a client of %s: %v", s.Addr(), err)
		}
	})
	return c
}

// TLS is what a client needs to trust the server and, if it asks for one, to
// show a certificate; nil for a server without TLS.
func (s *Server) TLS() *tls.Config {
	s.t.Helper()
	if !s.o.tls {
		return nil
	}
	return s.o.certificates.config(s.t)
}

// Certificates are the files of a server with TLS.
func (s *Server) Certificates() Certificates { return s.o.certificates }

// Output is the end of what the server has written to its log.
func (s *Server) Output() string { return s.process.Output() }

// PID is the id of the server's process.
func (s *Server) PID() int { return s.process.PID() }

// Stop asks the server to end, as an operator does, and waits until it has. A
// server that keeps data writes it first.
func (s *Server) Stop() {
	s.t.Helper()
	s.Resume()
	if err := s.process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	select {
	case <-s.process.Ended():
	case <-time.After(patience):
		s.t.Fatalf("the server at %s does not end after %v; it said:\n%s", s.Addr(), patience, s.Output())
	}
}

// Kill ends the server at once, as a crash does, and waits until it is gone.
func (s *Server) Kill() {
	s.t.Helper()
	if err := s.process.Kill(); err != nil {
		s.t.Fatal(err)
	}
}

// Restart starts the server anew at the same address and on the same
// directory, after stopping one that still runs. It comes back empty unless it
// keeps data.
func (s *Server) Restart() {
	s.t.Helper()
	if !s.process.IsGone() {
		s.Stop()
	}
	if why := s.run(); why != "" {
		s.t.Fatal(why)
	}
}

// Flush removes all data of the server.
func (s *Server) Flush() {
	s.t.Helper()
	if err := s.client.FlushAll(s.t.Context()).Err(); err != nil {
		s.t.Fatalf("flushing the server at %s: %v", s.Addr(), err)
	}
}

// Pause stops the server's process where it is: connections stay open and are
// accepted, and nothing is answered.
func (s *Server) Pause() {
	s.t.Helper()
	if err := s.process.Pause(); err != nil {
		s.t.Fatal(err)
	}
}

// Resume lets a paused server go on. Others are left as they are.
func (s *Server) Resume() {
	s.t.Helper()
	if err := s.process.Resume(); err != nil {
		s.t.Fatal(err)
	}
}

// cleanUp ends the server with the test and shows what it said if the test has
// failed.
func (s *Server) cleanUp() {
	if s.process == nil {
		return
	}
	if err := s.process.Kill(); err != nil {
		s.t.Error(err)
		return
	}
	if s.t.Failed() {
		s.t.Logf("the server at %s said:\n%s", s.Addr(), s.Output())
	}
}
