package dial

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"time"
)

const (
	// witnessed is how many bytes tell one protocol from another.
	witnessed = 8
	// plainTimeout bounds the check whether a server speaks another protocol.
	plainTimeout = time.Second
)

// witness keeps the first bytes of a connection: they tell what answers there.
// It is safe for concurrent use.
type witness struct {
	mu    sync.Mutex
	first []byte
}

func (w *witness) see(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if room := witnessed - len(w.first); room > 0 {
		w.first = append(w.first, b[:min(room, len(b))]...)
	}
}

// explain says what answers if it is not Redis, nil if nothing speaks against
// that.
func (w *witness) explain(secure bool) *problem {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(w.first) == 0:
		return nil
	case bytes.HasPrefix(w.first, []byte("HTTP")):
		return lasting("answers in HTTP and is no Redis: check the port")
	case secure:
		return nil
	case len(w.first) > 1 && w.first[0] >= 0x14 && w.first[0] <= 0x17 && w.first[1] == 3:
		return lasting("speaks TLS only: set tls, or use the port without it")
	case !bytes.ContainsRune([]byte("+-:$*_#,(!=%~>|"), rune(w.first[0])):
		return lasting("does not answer as Redis does: check the address")
	}
	return nil
}

// witnessedConn is a connection with a witness, which ends with a context.
type witnessedConn struct {
	net.Conn

	witness *witness
	release func() bool
}

// watch has a witness see what comes, and closes the connection when ctx ends:
// a read that waits for an answer ends with it.
func watch(ctx context.Context, conn net.Conn, w *witness) net.Conn {
	// That it cannot be closed again matters to nobody.
	release := context.AfterFunc(ctx, func() { _ = conn.Close() })
	return &witnessedConn{Conn: conn, witness: w, release: release}
}

func (c *witnessedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.witness.see(b[:n])
	return n, err
}

func (c *witnessedConn) Close() error {
	c.release()
	return c.Conn.Close()
}

// speaksPlain says that the server answers a PING without TLS.
func (c Config) speaksPlain(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, plainTimeout)
	defer cancel()
	conn, err := c.dialTo(ctx, "tcp", addr, nil)
	if err != nil {
		return false
	}
	conn = watch(ctx, conn, new(witness))
	var first [1]byte
	_, err = conn.Write([]byte("PING\r\n"))
	if err == nil {
		_, err = conn.Read(first[:])
	}
	err = errors.Join(err, conn.Close())
	return err == nil && (first[0] == '+' || first[0] == '-')
}

// speaksTLS says that the server shows a certificate, whatever that is worth.
func (c Config) speaksTLS(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, plainTimeout)
	defer cancel()
	conn, err := c.dialTo(ctx, "tcp", addr, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()})
	if err == nil {
		return conn.Close() == nil
	}
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}
