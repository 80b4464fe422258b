package email_test

import (
	"bufio"
	"net"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/email"
	"github.com/elasticjob-go/elasticjob/spi"
)

// TestChecksCertificates uses what TestMain makes this process trust, which
// only some systems allow.
func TestChecksCertificates(t *testing.T) {
	t.Parallel()
	for mode, useSSL := range map[string]string{"tls": "true", "starttls": "false"} {
		server := startServer(t, mode)
		handler := newHandler(t, server.properties(email.PropSSLTrust, "", email.PropUseSSL, useSSL, email.PropStartTLS, email.StartTLSRequired))
		if _, err := handler.HandleError(t.Context(), request(&services{})); err != nil {
			t.Errorf("HandleError() with a certificate that the system trusts (%s) = %v, want nil", mode, err)
		}
	}
}

// TestNoPasswordTravelsInTheClear speaks with an address of this machine that
// does not look like one.
func TestNoPasswordTravelsInTheClear(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 1)
	server := listen(t, "127.0.0.2:0", func(conn net.Conn) {
		var all strings.Builder
		_, _ = conn.Write([]byte("220 mail.test\r\n"))
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			all.WriteString(lines.Text() + "\n")
			answer := "250 OK\r\n"
			if strings.HasPrefix(lines.Text(), "EHLO") {
				answer = "250-mail.test\r\n250 AUTH PLAIN LOGIN\r\n"
			}
			_, _ = conn.Write([]byte(answer))
		}
		heard <- all.String()
	})
	handler := newHandler(t, server.properties(email.PropHost, "127.0.0.2", email.PropUseSSL, "false", email.PropUsername, "jobs", email.PropPassword, "hunter2"))
	_, err := handler.HandleError(t.Context(), request(&services{}))
	failsWith(t, err, spi.CodeFailed, "the server offers no encryption")
	if got := <-heard; strings.Contains(got, "AUTH") {
		t.Errorf("the server heard\n%s\nwant no login", got)
	}
}
