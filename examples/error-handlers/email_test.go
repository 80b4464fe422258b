//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
)

// mail is what the SMTP server says of one mail, and of itself first.
type mail struct {
	Port       int
	Recipients []string
	User       string
	Mail       []byte
}

// startMailServer starts the SMTP server of the tests of EMAIL, on this
// machine and without encryption. It has one user, jobs.
func startMailServer(t *testing.T) (port int, next func() mail) {
	t.Helper()
	cmd := exec.Command(python(t), "../../plugins/errorhandler/email/testdata/smtp_server.py", "plain", "", "", "jobs", "hunter2") //nolint:noctx // its standard input ends it
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
	lines := bufio.NewScanner(stdout)
	next = func() (m mail) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the SMTP server ends before its next line: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatalf("the SMTP server says %q: %v", lines.Text(), err)
		}
		return m
	}
	return next().Port, next
}

// python returns an interpreter that has aiosmtpd, which the first of the PATH
// may lack.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), name, "-c", "import aiosmtpd").Run() == nil {
			return name
		}
	}
	t.Fatal("no python3 has the package aiosmtpd, whose SMTP server this test uses; make test-tools installs it")
	return ""
}

// testEmail holds that EMAIL is the same in the two places where it runs.
func testEmail(t *testing.T, homes []home) {
	t.Helper()
	t.Parallel()
	port, next := startMailServer(t)
	given := func(to, password string) map[string]string {
		return map[string]string{
			"email.host": "127.0.0.1", "email.port": strconv.Itoa(port), "email.useSsl": "false", "email.username": "jobs",
			"email.password": password, "email.from": "jobs@example.com", "email.to": to,
		}
	}
	ran := 0
	for _, home := range homes {
		plugin, runs := home.plugins["EMAIL"]
		if runs == (home.name == "module") {
			t.Errorf("%s: there is an EMAIL: %t", home.name, runs)
		}
		if !runs {
			continue
		}
		ran++
		want := outcome{Decision: spi.DecisionContinue, Log: []string{"0 An exception has occurred in Job 'orders', an email has been sent successfully."}}
		if diff := cmp.Diff(want, handle(t, plugin, given("ann@example.com, bob@example.com", "hunter2"), &services{}, "no <table>")); diff != "" {
			t.Fatalf("%s: HandleError() differs (-want +got):\n%s", home.name, diff)
		}
		got := next()
		if !strings.Contains(string(got.Mail), "no &lt;table&gt;") {
			t.Errorf("%s: the mail is\n%s\nwant the failure, escaped", home.name, got.Mail)
		}
		got.Mail = nil
		if diff := cmp.Diff(mail{Recipients: []string{"ann@example.com", "bob@example.com"}, User: "jobs"}, got); diff != "" {
			t.Errorf("%s: the server got (-want +got):\n%s", home.name, diff)
		}
		const failed = "An exception has occurred in Job 'orders' but failed to send email because of: "
		refusal := handle(t, plugin, given("ann@example.com", "hunter3"), &services{}, "no table").Error
		if refusal == nil || refusal.Code != spi.CodeFailed || !strings.HasPrefix(refusal.Message, failed+"opening the session: ") ||
			!strings.Contains(refusal.Message, "535") || strings.Contains(refusal.Message, "hunter3") {
			t.Errorf("%s: HandleError() with a wrong password fails with %+v, want 535 and no password", home.name, refusal)
		}
		want = outcome{Error: &spi.Error{Code: spi.CodeInvalidProperties, Property: "email.to", Message: "email.to holds nobody, which is no mail address"}}
		if diff := cmp.Diff(want, handle(t, plugin, given("nobody", "hunter2"), &services{}, "no table")); diff != "" {
			t.Errorf("%s: a handler that cannot be made differs (-want +got):\n%s", home.name, diff)
		}
	}
	if ran != 2 {
		t.Errorf("EMAIL ran in %d places, want 2", ran)
	}
}
