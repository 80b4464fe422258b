package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// problem is why a server cannot be used. It holds text only: an error of the
// client library may hold what a server said, and that may hold a password.
type problem struct {
	text    string
	passing bool // it may pass by itself
}

func passing(format string, args ...any) *problem {
	return &problem{text: fmt.Sprintf(format, args...), passing: true}
}

func lasting(format string, args ...any) *problem {
	return &problem{text: fmt.Sprintf(format, args...)}
}

// at says where a problem is.
func (p *problem) at(where string) *problem {
	return &problem{text: where + " " + p.text, passing: p.passing}
}

// login is who connects, and where the configuration says so.
type login struct {
	username, password         string
	usernameField, passwordKey string
}

// who is for people.
func (l login) who() string {
	if l.username == "" {
		return "the default user"
	}
	return fmt.Sprintf("user %q", l.username)
}

// explain says what an error of a server means and what to do about it.
func (c Config) explain(ctx context.Context, addr string, l login, seen *witness, err error) *problem {
	if p := c.explainTLS(ctx, addr, err); p != nil {
		return p
	}
	if p := seen.explain(c.TLS != nil); p != nil {
		return p
	}
	if reply, ok := errors.AsType[redis.Error](err); ok {
		return c.explainReply(l, reply.Error())
	}
	return c.explainNetwork(ctx, addr, err)
}

// explainTLS explains what goes wrong only with TLS, nil if it is not that.
func (c Config) explainTLS(ctx context.Context, addr string, err error) *problem {
	host, _, splitErr := net.SplitHostPort(addr)
	if splitErr != nil {
		host = addr
	}
	if c.TLS != nil && c.TLS.ServerName != "" {
		host = c.TLS.ServerName
	}
	if wrong, ok := errors.AsType[x509.HostnameError](err); ok {
		return lasting("shows a certificate that is not for %q but for %s: set tls.serverName to one of its names, or use an address that it is for",
			host, namesOf(wrong.Certificate))
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return lasting("shows a certificate of an authority that is not trusted here: set tls.caFile to the certificate of that authority")
	}
	if wrong, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return lasting("shows a certificate that is not valid: %v", wrong)
	}
	if wrong, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return lasting("shows a certificate that cannot be verified: %v", wrong.Err)
	}
	if wrong, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		if p := (&witness{first: wrong.RecordHeader[:]}).explain(true); p != nil {
			return p
		}
		return lasting("does not speak TLS: remove tls, or use the port that speaks it")
	}
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Op == "remote error" {
		return lasting("refuses the TLS connection (%v): if it asks for certificates of clients, set tls.certFile and tls.keyFile to one of an authority that it trusts", remote.Err)
	}
	if _, ok := errors.AsType[*handshakeError](err); ok && c.speaksPlain(ctx, addr) {
		return lasting("speaks Redis without TLS: remove tls, or use the port that speaks it")
	}
	return nil
}

// namesOf are the hosts that a certificate is for.
func namesOf(c *x509.Certificate) string {
	names := make([]string, 0, len(c.DNSNames)+len(c.IPAddresses))
	for _, name := range c.DNSNames {
		names = append(names, fmt.Sprintf("%q", name))
	}
	for _, ip := range c.IPAddresses {
		names = append(names, fmt.Sprintf("%q", ip))
	}
	if len(names) == 0 {
		return "no host at all"
	}
	return strings.Join(names, ", ")
}

// explainNetwork explains what keeps bytes from coming.
func (c Config) explainNetwork(ctx context.Context, addr string, err error) *problem {
	name, isName := errors.AsType[*net.DNSError](err)
	op, isOp := errors.AsType[*net.OpError](err)
	isDial := isOp && op.Op == "dial"
	switch {
	case isName && name.IsNotFound:
		return passing("is not known by name (%q): check the name and the name server", name.Name)
	case isName:
		return passing("cannot be resolved (%v): check the name server", name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return passing("refuses connections: check that Redis runs and listens there")
	case isDial && !isTimeout(err):
		return passing("cannot be reached (%v): check the address and the network", op.Err)
	case isDial:
		return passing("does not take connections (no answer within %v): check the address and firewalls", dialTimeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		if c.TLS == nil && c.speaksTLS(ctx, addr) {
			return lasting("speaks TLS only: set tls, or use the port without it")
		}
		return passing("closes the connection without an answer")
	case isTimeout(err):
		return passing("takes connections and does not answer: check that Redis runs there and is not overloaded")
	}
	return lasting("does not answer as Redis does: check the address")
}

// isTimeout says that time was over. A connection that is closed from this side
// is one that was watched too long.
func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, net.ErrClosed) {
		return true
	}
	network, ok := errors.AsType[net.Error](err)
	return ok && network.Timeout()
}

// explainReply explains an error that the server has answered.
func (c Config) explainReply(l login, reply string) *problem {
	code, _, _ := strings.Cut(reply, " ")
	lower := strings.ToLower(reply)
	said := c.redact(reply)
	switch code {
	case "LOADING":
		return passing("is still loading its data")
	case "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "NOREPLICAS", "READONLY", "UNKILLABLE":
		return passing("is not ready (%s)", said)
	case "NOAUTH":
		return lasting("wants a password, and none is configured: set %s", l.passwordKey)
	case "WRONGPASS":
		return lasting("refuses the password of %s, or has no such user: check %s and %s", l.who(), l.usernameField, l.passwordKey)
	case "NOPERM":
		return lasting("does not allow %s what is needed (%s): see docs/operations/redis.md for the permissions", l.who(), said)
	case "DENIED":
		return lasting("is in protected mode and takes connections from its own machine only: give it a password, or an address to bind to")
	}
	switch {
	case strings.Contains(lower, "max number of clients"):
		return passing("has as many clients as it takes: raise its maxclients")
	case strings.Contains(lower, "db index"), strings.Contains(lower, "invalid db"):
		return lasting("has no database %d: set database to one that it has", c.Database)
	case strings.Contains(lower, "select is not allowed in cluster"):
		return lasting("%s", noDatabases(c.Database))
	case strings.Contains(lower, "invalid password"):
		return lasting("refuses the password of %s: check %s", l.who(), l.passwordKey)
	case strings.Contains(lower, "without any password configured"), strings.Contains(lower, "no password is set"):
		return lasting("has no password, and one is configured: remove %s, or protect the server", l.passwordKey)
	}
	return lasting("answers with an error (%s)", said)
}

func noDatabases(database int) string {
	return fmt.Sprintf("belongs to a Cluster, which has no database but 0: remove database: %d", database)
}

// redact takes passwords out of what a server said: one that does not know a
// command repeats its arguments.
func (c Config) redact(text string) string {
	const most = 300
	for _, secret := range []string{c.Password, c.SentinelPassword} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "…")
		}
	}
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
}

// attempt is how long one look at the servers may take when so much time is
// left: a last one is not cut to nothing.
func attempt(left time.Duration) time.Duration {
	return min(max(left, lastAttempt), longestAttempt)
}
