package httpjob

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

// longest is how long what should happen soon may take on a busy machine.
const longest = 30 * time.Second

// readRequest reads the header of a request.
func readRequest(c net.Conn) {
	var got []byte
	buffer := make([]byte, 4096)
	for !strings.Contains(string(got), "\r\n\r\n") {
		n, err := c.Read(buffer)
		got = append(got, buffer[:n]...)
		if err != nil {
			return
		}
	}
}

func TestServersThatFail(t *testing.T) {
	t.Parallel()
	silent, plain := listen(t, func(net.Conn) {}), serve(t, answer(200, ""))
	for _, test := range []struct {
		name    string
		handle  func(net.Conn)
		address string
		want    string
		code    spi.Code
	}{
		{"hangs", func(c net.Conn) { readRequest(c) }, "", "no response within 100ms (http.read.timeout.milliseconds)", spi.CodeUnavailable},
		{"hangs in the header", func(c net.Conn) { readRequest(c); _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ") }, "", "no response within 100ms", spi.CodeUnavailable},
		{"hangs in the body", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
		}, "", "no more of the response within 100ms", spi.CodeUnavailable},
		{"resets", func(c net.Conn) {
			readRequest(c)
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}, "", "read: ", spi.CodeUnavailable},
		{"closes", func(c net.Conn) { readRequest(c); _ = c.Close() }, "", "the server closed the connection", spi.CodeUnavailable},
		{"closes in the body", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
			_ = c.Close()
		}, "", "the server closed the connection", spi.CodeUnavailable},
		{"speaks something else", func(c net.Conn) { readRequest(c); _, _ = io.WriteString(c, "SSH-2.0-hunter2\r\n"); _ = c.Close() }, "", "the connection broke, or what came was no response", spi.CodeUnavailable},
		{"has an endless header", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ")
			for line := strings.Repeat("x", 64<<10); ; {
				if _, err := io.WriteString(c, line); err != nil {
					return
				}
			}
		}, "", "the connection broke, or what came was no response", spi.CodeUnavailable},
		{"refuses", nil, "http://127.0.0.1:1", "dial: ", spi.CodeUnavailable},
		{"does not speak TLS", nil, strings.Replace(plain.URL, "http://", "https://", 1), "the server does not speak TLS", spi.CodeUnavailable},
		{"hangs in the handshake", nil, strings.Replace(silent, "http://", "https://", 1), "no connection within 150ms (http.connect.timeout.milliseconds)", spi.CodeUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			address := test.address
			if test.handle != nil {
				address = listen(t, test.handle)
			}
			limits := []string{PropConnectTimeout, "20000", PropReadTimeout, "100"}
			switch test.name {
			case "hangs in the handshake":
				limits = []string{PropConnectTimeout, "150", PropReadTimeout, "20000"}
			case "does not speak TLS", "resets", "closes", "closes in the body", "speaks something else", "has an endless header":
				limits = nil
			}
			begin := time.Now()
			_, err := execute(t.Context(), t, properties(address+"/x?token=hunter2", limits...))
			got := spi.AsError(err)
			if got == nil || got.Code != test.code || got.Retryable != test.code.Retryable() ||
				!strings.HasPrefix(got.Message, "GET "+address+"/x?token=***: ") || !strings.Contains(got.Message, test.want) || strings.Contains(got.Message, "hunter2") {
				t.Errorf("Execute() = %v, want %v %q", err, test.code, test.want)
			}
			if took := time.Since(begin); took > longest {
				t.Errorf("Execute() took %s", took)
			}
		})
	}
}

// TestAResponseThatGoesOnIsAwaited: the read timeout is about silence.
func TestAResponseThatGoesOnIsAwaited(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 5 {
			_, _ = io.WriteString(w, "working\n")
			w.(http.Flusher).Flush()
			time.Sleep(300 * time.Millisecond)
		}
	})
	if _, err := execute(t.Context(), t, properties(s.URL, PropReadTimeout, "1200")); err != nil {
		t.Errorf("Execute() = %v, want nil", err)
	}
}

func TestAnEndlessBodyIsLeft(t *testing.T) {
	t.Parallel()
	wrote := make(chan int64, 1)
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		total := int64(0)
		for chunk := strings.Repeat("x", 64<<10); ; {
			n, err := io.WriteString(w, chunk)
			total += int64(n)
			if err != nil {
				wrote <- total
				return
			}
		}
	})
	if _, err := execute(t.Context(), t, properties(s.URL)); err != nil {
		t.Errorf("Execute() = %v, want nil", err)
	}
	if got := <-wrote; got < maxBody || got > 4*maxBody {
		t.Errorf("the server could write %d bytes, want some more than %d", got, maxBody)
	}
}

func TestARequestEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{spi.ErrTimeout, spi.ErrLeaseLost, spi.ErrStopping} {
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := make(chan struct{})
		address := listen(t, func(c net.Conn) {
			readRequest(c)
			cancel(cause)
			_, _ = io.Copy(io.Discard, c) // ends with the connection
			close(gone)
		})
		if _, err := execute(ctx, t, properties(address, PropReadTimeout, "600000")); !errors.Is(err, cause) {
			t.Errorf("Execute() = %v, want %v", err, cause)
		}
		select {
		case <-gone:
		case <-time.After(longest):
			t.Error("the connection goes on")
		}
		// Nothing is sent afterwards.
		s := serve(t, answer(200, ""))
		if _, err := execute(ctx, t, properties(s.URL)); !errors.Is(err, cause) || s.last().method != "" {
			t.Errorf("Execute() after the end = %v and sends %+v, want %v and nothing", err, s.last(), cause)
		}
	}
}

// secretFields are what must not get to another origin.
var secretFields = []string{"Authorization", "shardingContext", "X-Token", "Cookie", "Referer"}

func TestRedirects(t *testing.T) {
	t.Parallel()
	last := serve(t, answer(200, ""))
	var here *server
	here = serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/same":
			http.Redirect(w, r, "/end?a=b", http.StatusFound)
		case "/same307":
			http.Redirect(w, r, here.URL+"/end", http.StatusTemporaryRedirect)
		case "/other":
			http.Redirect(w, r, last.URL+"/end", http.StatusFound)
		case "/other308":
			http.Redirect(w, r, last.URL+"/end", http.StatusPermanentRedirect)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}
	})
	send := func(path string, more ...string) error {
		more = append(more, PropMethod, "POST", PropData, "a=b", "http.headers.Authorization", "Bearer hunter2", "http.headers.X-Token", "t", "http.headers.Cookie", "c=d")
		_, err := execute(t.Context(), t, properties(here.URL+path+"?secret=query", more...))
		return err
	}
	for _, test := range []struct {
		path           string
		at             *server
		method, body   string
		keeps, arrives bool
	}{
		{"/same", here, "GET", "", true, true},
		{"/same307", here, "POST", "a=b", true, true},
		{"/other", last, "GET", "", false, true},
		{"/other308", last, "POST", "a=b", false, true},
	} {
		if err := send(test.path); err != nil {
			t.Errorf("Execute(%s) = %v, want nil", test.path, err)
			continue
		}
		got := test.at.last()
		if got.method != test.method || got.body != test.body || !strings.HasPrefix(got.uri, "/end") {
			t.Errorf("after %s comes %s %s with %q, want %s /end with %q", test.path, got.method, got.uri, got.body, test.method, test.body)
		}
		for _, name := range secretFields {
			if has := got.header.Get(name) != ""; has != (test.keeps && name != "Referer") {
				t.Errorf("after %s the field %s is %q, want it: %t", test.path, name, got.header.Get(name), test.keeps)
			}
		}
	}
	if err := send("/loop"); err == nil || !strings.Contains(err.Error(), "more than 10 redirects") {
		t.Errorf("Execute(/loop) = %v, want that it ends", err)
	}
	if err := send("/file"); err == nil || !strings.Contains(err.Error(), "a redirect to something else than http is not followed") {
		t.Errorf("Execute(/file) = %v, want that it is not followed", err)
	}
	if err := send("/same", PropFollowRedirects, "false"); err != nil || here.last().uri != "/same?secret=query" {
		t.Errorf("Execute(/same) that follows no redirects = %v and asks for %s", err, here.last().uri)
	}
	if err := send("/same", PropFollowRedirects, "false", PropSuccessStatus, "200-299"); spi.AsError(err).Code != spi.CodeFailed {
		t.Errorf("Execute(/same) that follows no redirects = %v, want a failure for its status", err)
	}
}

// TestARedirectAwayAndBackBringsNothingBack: another origin could learn from it,
// and choose the address.
func TestARedirectAwayAndBackBringsNothingBack(t *testing.T) {
	t.Parallel()
	var here, there *server
	there = serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, here.URL+"/end", http.StatusFound)
	})
	here = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/start" {
			http.Redirect(w, r, there.URL, http.StatusFound)
		}
	})
	if _, err := execute(t.Context(), t, properties(here.URL+"/start", "http.headers.Authorization", "Bearer hunter2")); err != nil {
		t.Fatal(err)
	}
	got := here.last()
	for _, name := range secretFields {
		if value := got.header.Get(name); value != "" || got.uri != "/end" {
			t.Errorf("%s has the field %s %q, want none", got.uri, name, value)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	plain := serve(t, answer(200, ""))
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" {
			http.Redirect(w, r, plain.URL, http.StatusFound)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of the client that does not trust it
	s.StartTLS()
	t.Cleanup(s.Close)
	_, err := execute(t.Context(), t, properties(s.URL))
	if got := spi.AsError(err); got == nil || got.Code != spi.CodeFailed || got.Retryable || !strings.Contains(got.Message, "certificate") {
		t.Errorf("Execute() without trust = %v, want a failure that names the certificate", err)
	}
	trusting := func(path string) error {
		j := newJobOf(t.Context(), t, properties(s.URL+path))
		config := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AddCert(s.Certificate())
		j.transport.TLSClientConfig = config
		_, err := j.Execute(t.Context(), spi.ExecuteRequest{Context: context3()})
		return err
	}
	if err := trusting("/"); err != nil {
		t.Errorf("Execute() with trust = %v, want nil", err)
	}
	if err := trusting("/down"); err == nil || !strings.Contains(err.Error(), "a redirect from https to http is not followed") {
		t.Errorf("Execute(/down) = %v, want that it is not followed", err)
	}
}
