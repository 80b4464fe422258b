//go:build unix

package email_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/email"
	"github.com/elasticjob-go/elasticjob/spi"
)

// failsWith checks the error of a handler.
func failsWith(t *testing.T, err error, code spi.Code, text string) {
	t.Helper()
	e, ok := errors.AsType[*spi.Error](err)
	if !ok || e.Code != code || !strings.Contains(e.Message, text) || e.Retryable != (code == spi.CodeUnavailable) ||
		!strings.HasPrefix(e.Message, "An exception has occurred in Job 'orders' but failed to send email because of: ") {
		t.Errorf("HandleError() fails with %+v, want code %v and %q", err, code, text)
	}
}

func TestSends(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, mode string
		login      []string
		properties []string
		want       delivered
	}{
		{"TLS first", "tls", nil, nil, delivered{Encrypted: true}},
		{"TLS first with login", "tls", []string{"jobs", "hunter2"}, []string{email.PropUsername, "jobs", email.PropPassword, "hunter2"}, delivered{Encrypted: true, User: "jobs"}},
		// None of the servers has a certificate for localhost.
		{"every certificate", "tls", nil, []string{email.PropHost, "localhost", email.PropSSLTrust, "*"}, delivered{Encrypted: true}},
		{"one certificate of several", "tls", nil, []string{email.PropHost, "localhost", email.PropSSLTrust, "mail.example.com LOCALHOST"}, delivered{Encrypted: true}},
		{"STARTTLS where it is offered", "starttls", []string{"jobs", "hunter2"}, []string{email.PropUseSSL, "false", email.PropUsername, "jobs", email.PropPassword, "hunter2"}, delivered{Encrypted: true, User: "jobs"}},
		{"STARTTLS required", "starttls", nil, []string{email.PropUseSSL, "false", email.PropStartTLS, email.StartTLSRequired}, delivered{Encrypted: true}},
		{"any certificate with STARTTLS", "starttls", nil, []string{email.PropHost, "localhost", email.PropSSLTrust, "a,localhost", email.PropUseSSL, "false"}, delivered{Encrypted: true}},
		{"no encryption", "plain", nil, []string{email.PropUseSSL, "false"}, delivered{}},
		{"no encryption, never", "plain", nil, []string{email.PropUseSSL, "false", email.PropStartTLS, email.StartTLSNever}, delivered{}},
		{"login at localhost", "plain", []string{"jobs", "hunter2"}, []string{email.PropUseSSL, "false", email.PropUsername, "jobs", email.PropPassword, "hunter2"}, delivered{User: "jobs"}},
	}
	servers := make(servers)
	for _, test := range tests {
		server := servers.start(t, test.mode, test.login...)
		var s services
		response, err := newHandler(t, server.properties(test.properties...)).HandleError(t.Context(), request(&s))
		if err != nil || response.Decision != spi.DecisionContinue {
			t.Errorf("%s: HandleError() = %v, %v, want continue", test.name, response, err)
			continue
		}
		if got, want := s.lines(spi.LevelInfo), "An exception has occurred in Job 'orders', an email has been sent successfully.\n"; got != want {
			t.Errorf("%s: HandleError() logs %q, want %q", test.name, got, want)
		}
		got := server.next(t)
		got.Mail = nil
		test.want.Sender, test.want.Recipients = "jobs@example.com", []string{"ann@example.com"}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: the server got (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestTheMail(t *testing.T) {
	t.Parallel()
	server := startServer(t, "tls")
	handler := newHandler(t, server.properties(
		email.PropFrom, "Elastic Jobs <jobs@example.com>", email.PropTo, " ann@example.com , Bob B <bob@example.com>,",
		email.PropCc, "cid@example.com,dan@example.com", email.PropBcc, "eve@example.com, fay@example.com", email.PropSubject, "失败 of jobs",
	))
	before := time.Now().Add(-time.Second)
	if _, err := handler.HandleError(t.Context(), request(&services{})); err != nil {
		t.Fatal(err)
	}
	got := server.next(t)
	want := []string{"ann@example.com", "bob@example.com", "cid@example.com", "dan@example.com", "eve@example.com", "fay@example.com"}
	if diff := cmp.Diff(want, got.Recipients); diff != "" {
		t.Errorf("recipients differ (-want +got):\n%s", diff)
	}
	m, err := mail.ReadMessage(bytes.NewReader(got.Mail))
	if err != nil {
		t.Fatalf("the mail is not well formed: %v\n%s", err, got.Mail)
	}
	var words mime.WordDecoder
	for name, want := range map[string]string{
		"From": `"Elastic Jobs" <jobs@example.com>`, "To": `<ann@example.com>, "Bob B" <bob@example.com>`, "Cc": "<cid@example.com>, <dan@example.com>",
		"Bcc": "", "Subject": "失败 of jobs", "Auto-Submitted": "auto-generated", "User-Agent": "elasticjob", "Content-Type": "text/html; charset=UTF-8",
	} {
		if text, err := words.DecodeHeader(m.Header.Get(name)); err != nil || text != want {
			t.Errorf("%s is %q, %v, want %q", name, text, err, want)
		}
	}
	if date, err := m.Header.Date(); err != nil || date.Before(before.Truncate(time.Second)) || date.After(time.Now()) {
		t.Errorf("Date is %v, %v, want now", date, err)
	}
	if m.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
		t.Errorf("Content-Transfer-Encoding is %q, want quoted-printable", m.Header.Get("Content-Transfer-Encoding"))
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	const text = "<pre>Job &#39;orders&#39; exception occur in job processing, caused by no table &#34;&lt;orders&gt;&#34; &amp; 订单\nmain.run</pre>"
	if plain := strings.ReplaceAll(string(body), "\r\n", "\n"); err != nil || !strings.Contains(plain, text) {
		t.Errorf("the mail says %q, %v, want %q in it", plain, err, text)
	}
}

func TestTheSubjectHasADefault(t *testing.T) {
	t.Parallel()
	server := startServer(t, "tls")
	if _, err := newHandler(t, server.properties()).HandleError(t.Context(), request(&services{})); err != nil {
		t.Fatal(err)
	}
	if got := server.next(t).Mail; !bytes.Contains(got, []byte("\nSubject: ElasticJob error message\r\n")) {
		t.Errorf("the mail is\n%s\nwant the subject ElasticJob error message", got)
	}
}

// TestEachJobHasItsOwnSettings holds that no session outlives its mail: in
// ElasticJob the settings of the first job are those of all.
func TestEachJobHasItsOwnSettings(t *testing.T) {
	t.Parallel()
	first, second := startServer(t, "tls", "ann", "secret one"), startServer(t, "starttls", "bob", "secret two")
	one := newHandler(t, first.properties(email.PropUsername, "ann", email.PropPassword, "secret one"))
	two := newHandler(t, second.properties(email.PropUsername, "bob", email.PropPassword, "secret two", email.PropUseSSL, "false"))
	for range 2 {
		for _, h := range []spi.ErrorHandler{one, two} {
			if _, err := h.HandleError(t.Context(), request(&services{})); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		if a, b := first.next(t).User, second.next(t).User; a != "ann" || b != "bob" {
			t.Errorf("the mails come from %s and %s, want ann and bob", a, b)
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, mode string
		login      []string
		properties []string
		code       spi.Code
		text       string
	}{
		{"no such mailbox", "tls", nil, []string{email.PropTo, "nobody@example.com"}, spi.CodeFailed, `550 "5.1.1 no such mailbox"`},
		{"mailbox full for now", "tls", nil, []string{email.PropTo, "full@example.com"}, spi.CodeUnavailable, `452 "4.2.2 mailbox full"`},
		{"wrong password", "tls", []string{"jobs", "hunter2"}, []string{email.PropUsername, "jobs", email.PropPassword, "wrong-password"}, spi.CodeFailed, "535"},
		{"login that the server lacks", "tls", nil, []string{email.PropUsername, "jobs", email.PropPassword, "hunter2"}, spi.CodeFailed, "AUTH"},
		{"no login where one is needed", "tls", []string{"jobs", "hunter2"}, nil, spi.CodeFailed, "530"},
		{"certificate of another name", "tls", nil, []string{email.PropHost, "localhost", email.PropSSLTrust, "127.0.0.1"}, spi.CodeFailed, "certificate"},
		{"the same with STARTTLS", "starttls", nil, []string{email.PropHost, "localhost", email.PropSSLTrust, "", email.PropUseSSL, "false"}, spi.CodeFailed, "certificate"},
		{"TLS first where none is spoken", "plain", nil, nil, spi.CodeFailed, "tls"},
		{"STARTTLS required and not offered", "plain", nil, []string{email.PropUseSSL, "false", email.PropStartTLS, email.StartTLSRequired}, spi.CodeFailed, "STARTTLS"},
		{"STARTTLS refused and needed", "starttls", nil, []string{email.PropUseSSL, "false", email.PropStartTLS, email.StartTLSNever}, spi.CodeFailed, "530"},
	}
	servers := make(servers)
	for _, test := range tests {
		server := servers.start(t, test.mode, test.login...)
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var s services
			_, err := newHandler(t, server.properties(test.properties...)).HandleError(t.Context(), request(&s))
			failsWith(t, err, test.code, test.text)
			if strings.Contains(err.Error(), "wrong-password") {
				t.Errorf("HandleError() fails with %v, want no password in it", err)
			}
			if logged := s.lines(spi.LevelInfo); logged != "" {
				t.Errorf("HandleError() logs %q, want nothing", logged)
			}
		})
	}
}

func TestDebugShowsTheDialogueWithoutTheLogin(t *testing.T) {
	t.Parallel()
	server := startServer(t, "tls", "jobs", "hunter2")
	var s services
	handler := newHandler(t, server.properties(email.PropUsername, "jobs", email.PropPassword, "hunter2", email.PropDebug, "true"))
	if _, err := handler.HandleError(t.Context(), request(&s)); err != nil {
		t.Fatal(err)
	}
	got := s.lines(spi.LevelDebug)
	for _, want := range []string{"client: RCPT TO:<ann@example.com>\n", "server: 250 OK\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("the dialogue is\n%s\nwant %q in it", got, want)
		}
	}
	for _, secret := range []string{"hunter2", "aHVudGVyMg", "AGpvYnMAaHVudGVyMg"} {
		if strings.Contains(got, secret) {
			t.Errorf("the dialogue is\n%s\nwant no password in it", got)
		}
	}
}

func TestEndsWithItsContext(t *testing.T) {
	t.Parallel()
	server := startServer(t, "tls")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// The server answers nothing more after this line of the dialogue.
	s := &services{watch: func(line string) {
		if strings.HasPrefix(line, "client: RCPT") {
			cancel()
		}
	}}
	_, err := newHandler(t, server.properties(email.PropTo, "slow@example.com", email.PropDebug, "true")).HandleError(ctx, request(s))
	failsWith(t, err, spi.CodeUnavailable, "sending: context canceled")
}

// listen accepts connections and serves each with a function.
func listen(t *testing.T, address string, serve func(net.Conn)) *smtpServer {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-ended
	})
	return &smtpServer{port: listener.Addr().(*net.TCPAddr).Port}
}

func TestAServerThatSaysNothing(t *testing.T) {
	t.Parallel()
	for _, useSSL := range []bool{true, false} {
		// The server waits until the handler gives up.
		server := listen(t, "127.0.0.1:0", func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, err := newHandler(t, server.properties(email.PropUseSSL, strconv.FormatBool(useSSL))).HandleError(ctx, request(&services{}))
		cancel()
		failsWith(t, err, spi.CodeUnavailable, "opening the session: context deadline exceeded")
	}
}

func TestAServerThatIsAway(t *testing.T) {
	t.Parallel()
	t.Run("not there", func(t *testing.T) {
		t.Parallel()
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &smtpServer{port: listener.Addr().(*net.TCPAddr).Port}
		listener.Close()
		_, err = newHandler(t, server.properties()).HandleError(t.Context(), request(&services{}))
		failsWith(t, err, spi.CodeUnavailable, "connection refused")
	})
	t.Run("hangs up", func(t *testing.T) {
		t.Parallel()
		server := listen(t, "127.0.0.1:0", func(conn net.Conn) { _, _ = conn.Write([]byte("220 mail.test\r\n")) })
		_, err := newHandler(t, server.properties(email.PropUseSSL, "false")).HandleError(t.Context(), request(&services{}))
		failsWith(t, err, spi.CodeUnavailable, "opening the session")
	})
	t.Run("not available for now", func(t *testing.T) {
		t.Parallel()
		server := listen(t, "127.0.0.1:0", func(conn net.Conn) { _, _ = conn.Write([]byte("421 too busy\r\n")) })
		_, err := newHandler(t, server.properties(email.PropUseSSL, "false")).HandleError(t.Context(), request(&services{}))
		failsWith(t, err, spi.CodeUnavailable, `421 "too busy"`)
	})
}

// TestNoConnectionStaysOpen lets a session fail half-way; the server sees the
// end of the connection although nobody said goodbye.
func TestNoConnectionStaysOpen(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	server := listen(t, "127.0.0.1:0", func(conn net.Conn) {
		_, _ = conn.Write([]byte("220 mail.test\r\n250 mail.test\r\n")) // and no STARTTLS
		_, _ = io.Copy(io.Discard, conn)
		close(closed)
	})
	_, err := newHandler(t, server.properties(email.PropUseSSL, "false", email.PropStartTLS, email.StartTLSRequired)).HandleError(t.Context(), request(&services{}))
	failsWith(t, err, spi.CodeFailed, "STARTTLS")
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("the connection stays open after HandleError() has failed")
	}
}
