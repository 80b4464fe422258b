//go:build unix

package email_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// certificateFile and keyFile are those of all servers of these tests, for
// 127.0.0.1.
var certificateFile, keyFile string

// TestMain makes this process trust the servers of its tests, where the system
// lets it: what it trusts is read once.
func TestMain(m *testing.M) {
	status := 1
	dir, err := os.MkdirTemp("", "email")
	if err == nil {
		certificateFile, keyFile = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
		err = errors.Join(writeCertificate(), os.Setenv("SSL_CERT_FILE", certificateFile))
	}
	if err == nil {
		status = m.Run()
	}
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		fmt.Fprintln(os.Stderr, "around the tests:", err)
		status = 1
	}
	os.Exit(status)
}

// writeCertificate writes the certificate that package httptest has.
func writeCertificate() error {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	certificate := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		return err
	}
	block := &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}
	if err := os.WriteFile(certificateFile, pem.EncodeToMemory(block), 0o600); err != nil {
		return err
	}
	return os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600)
}
