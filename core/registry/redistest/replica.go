package redistest

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// StartReplica starts a replica of a server, with the server's password and
// TLS, and waits until it has a copy of the server's data.
func StartReplica(t testing.TB, of *Server, opts ...Option) *Server {
	t.Helper()
	inherited := []Option{Setting("replicaof", hostAndPort(of)...)}
	if of.o.password != "" {
		inherited = append(inherited, Password(of.o.password))
	}
	if of.o.tls {
		inherited = append(inherited, withCertificates(of.o))
	}
	s := Start(t, append(inherited, opts...)...)
	of.awaitReplica(s)
	return s
}

// awaitReplica waits until another server is a replica of this one with a copy
// of its data.
func (s *Server) awaitReplica(other *Server) {
	s.t.Helper()
	want := strconv.Itoa(s.port)
	other.await("it follows "+s.Addr(), func() bool {
		text, err := other.client.Info(s.t.Context(), "replication").Result()
		return err == nil && strings.Contains(text, "master_link_status:up") && strings.Contains(text, "master_port:"+want+"\r\n")
	})
}

func hostAndPort(s *Server) []string {
	host, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		s.t.Fatal(err)
	}
	return []string{host, port}
}

// withCertificates makes a server use what another has.
func withCertificates(of options) Option {
	return func(o *options) { o.tls, o.hosts, o.certificates = true, of.hosts, of.certificates }
}

// await waits until something is so.
func (s *Server) await(what string, isSo func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !isSo(); {
		if time.Now().After(deadline) {
			s.t.Fatalf("waiting for the server at %s until %s: not so after %v; it said:\n%s", s.Addr(), what, patience, s.Output())
		}
		<-time.After(10 * time.Millisecond)
	}
}
