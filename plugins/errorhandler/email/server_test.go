//go:build unix

package email_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/email"
	"github.com/elasticjob-go/elasticjob/spi"
)

// delivered is one mail as the server got it.
type delivered struct {
	Port       int
	Sender     string
	Recipients []string
	User       string
	Encrypted  bool
	Mail       []byte
}

// smtpServer is a server of aiosmtpd that runs as long as its test.
type smtpServer struct {
	port  int
	lines *bufio.Scanner
}

func startServer(t *testing.T, mode string, login ...string) *smtpServer {
	t.Helper()
	cmd := exec.Command(python(t), append([]string{"testdata/smtp_server.py", mode, certificateFile, keyFile}, login...)...) //nolint:noctx // its standard input ends it
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_, _ = io.Copy(io.Discard, stdout)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the SMTP server ends with %v\n%s", err, stderr.String())
		}
	})
	s := &smtpServer{lines: bufio.NewScanner(stdout)}
	s.lines.Buffer(nil, 1<<20)
	s.port = s.next(t).Port
	return s
}

// servers are those of one test, one for each mode and login.
type servers map[string]*smtpServer

func (s servers) start(t *testing.T, mode string, login ...string) *smtpServer {
	t.Helper()
	key := strings.Join(append(login, mode), " ")
	if s[key] == nil {
		s[key] = startServer(t, mode, login...)
	}
	return s[key]
}

// next returns the next mail.
func (s *smtpServer) next(t *testing.T) delivered {
	t.Helper()
	if !s.lines.Scan() {
		t.Fatalf("the SMTP server ends before its next line: %v", s.lines.Err())
	}
	var d delivered
	if err := json.Unmarshal(s.lines.Bytes(), &d); err != nil {
		t.Fatalf("the SMTP server says %q: %v", s.lines.Text(), err)
	}
	return d
}

// properties returns the least that a job must say to use the server, and more.
func (s *smtpServer) properties(more ...string) map[string]string {
	p := map[string]string{
		email.PropHost: "127.0.0.1", email.PropPort: strconv.Itoa(s.port), email.PropSSLTrust: "127.0.0.1",
		email.PropFrom: "jobs@example.com", email.PropTo: "ann@example.com",
	}
	for i := 0; i < len(more); i += 2 {
		p[more[i]] = more[i+1]
	}
	return p
}

// python returns an interpreter that has aiosmtpd. The first of the PATH may be
// another one than the system's, whose packages it lacks.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), name, "-c", "import aiosmtpd").Run() == nil {
			return name
		}
	}
	t.Fatal("no python3 has the package aiosmtpd, whose SMTP server these tests use; make test-tools installs it")
	return ""
}

// services keep what is logged, and show it to watch if there is one.
type services struct {
	watch func(line string)

	mu sync.Mutex

	records []spi.LogRecord
}

func (s *services) Log(_ context.Context, record spi.LogRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, record)
	if s.watch != nil {
		s.watch(record.Line)
	}
}

func (s *services) Call(context.Context, string, []byte) ([]byte, error) {
	return nil, spi.NewError(spi.CodeUnsupported, "no operations here")
}

func (s *services) lines(level spi.Level) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines strings.Builder
	for _, r := range s.records {
		if r.Level == level {
			lines.WriteString(r.Line + "\n")
		}
	}
	return lines.String()
}

// newHandler makes a handler as the host does: with checked properties.
func newHandler(t *testing.T, given map[string]string) spi.ErrorHandler {
	t.Helper()
	plugin := email.Plugin()
	values, problems := plugin.Descriptor.Props.Resolve(given)
	if len(problems) > 0 {
		t.Fatalf("Resolve(%v) = %v, want no problems", given, problems)
	}
	handler, err := plugin.ErrorHandler(t.Context(), values)
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

func request(s spi.Services) spi.HandleErrorRequest {
	return spi.HandleErrorRequest{
		Context:  spi.ShardingContext{JobName: "orders"},
		Error:    &spi.Error{Code: spi.CodeFailed, Message: `no table "<orders>" & 订单`, Stack: "main.run"},
		Services: s,
	}
}
