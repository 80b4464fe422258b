package redistest

import (
	"fmt"
	"strconv"
	"strings"
)

// Option changes how a server is started.
type Option func(*options)

type options struct {
	password     string
	settings     []string
	tls          bool
	hosts        []string
	certificates Certificates
	sentinel     bool
	cluster      bool
}

// Setting sets a directive of redis.conf. It stands after those of this package
// and so wins over them.
func Setting(name string, values ...string) Option {
	return func(o *options) {
		words := []string{name}
		for _, v := range values {
			words = append(words, strconv.Quote(v))
		}
		o.settings = append(o.settings, strings.Join(words, " "))
	}
}

// AppendOnly makes the server write every change to disk before it answers, so
// that it comes back with its data also when it was killed.
func AppendOnly() Option {
	return func(o *options) {
		o.settings = append(o.settings, "appendonly yes", "appendfsync always")
	}
}

// Password protects the default user.
func Password(password string) Option {
	return func(o *options) { o.password = password }
}

// ACL makes a user who may do what the rules say, such as "+@all", "~*", "&*".
func ACL(user, password string, rules ...string) Option {
	return func(o *options) {
		o.settings = append(o.settings, fmt.Sprintf("user %s on >%s %s", user, password, strings.Join(rules, " ")))
	}
}

// TLS makes the server speak TLS only, with a certificate for the hosts of an
// authority of its own. Without hosts it is for 127.0.0.1 and localhost. It
// asks for no certificate of clients.
func TLS(hosts ...string) Option {
	return func(o *options) {
		o.tls = true
		o.hosts = hosts
		if len(hosts) == 0 {
			o.hosts = []string{"127.0.0.1", "localhost"}
		}
	}
}

// configuration is the server's file.
func (s *Server) configuration() string {
	lines := []string{
		"bind 127.0.0.1",
		fmt.Sprintf("dir %q", s.dir),
		"databases 16",
	}
	if s.o.tls {
		c := s.o.certificates
		lines = append(
			lines,
			"port 0", fmt.Sprintf("tls-port %d", s.port),
			fmt.Sprintf("tls-ca-cert-file %q", c.CAFile),
			fmt.Sprintf("tls-cert-file %q", c.CertFile),
			fmt.Sprintf("tls-key-file %q", c.KeyFile),
			"tls-auth-clients no", "tls-replication yes",
		)
	} else {
		lines = append(lines, fmt.Sprintf("port %d", s.port))
	}
	if s.o.password != "" {
		lines = append(lines, fmt.Sprintf("requirepass %q", s.o.password))
	}
	if !s.o.sentinel {
		lines = append(
			lines,
			`save ""`, "appendonly no",
			// A replica gets its copy at once.
			"repl-diskless-sync-delay 0",
		)
		if s.o.password != "" {
			lines = append(lines, fmt.Sprintf("masterauth %q", s.o.password))
		}
	}
	if s.o.cluster {
		lines = append(
			lines,
			"cluster-enabled yes", fmt.Sprintf("cluster-port %d", s.busPort),
			"cluster-config-file nodes.conf", "cluster-node-timeout 2000",
		)
		if s.o.tls {
			lines = append(lines, "tls-cluster yes")
		}
	}
	return strings.Join(append(lines, s.o.settings...), "\n") + "\n"
}
