package hostcall_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

func TestRequest(t *testing.T) {
	t.Parallel()
	type seen struct {
		Method, Path, Query, Host, Body string
		Length                          int64
		Header                          http.Header
	}
	requests := make(chan seen, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		requests <- seen{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Host, string(body), r.ContentLength, r.Header}
		w.Header()["Date"] = nil
		w.Header().Add("X-Answer", "a")
		w.Header().Add("X-Answer", "b")
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte{0xff, 0, 'x'})
	}))
	t.Cleanup(server.Close)
	door := open(t, hostcall.Config{}, "POST "+place(t, server))

	got, err := ask(t.Context(), door, wire.HTTPRequest{
		Method: "post", URL: server.URL + "/a%2fb?q=1#fragment", Body: []byte("{}"),
		Headers: map[string][]string{"content-type": {"application/json"}, "X-Many": {"1", "2"}, "user-agent": {"orders/1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := wire.HTTPResponse{
		Status: 418, Body: []byte{0xff, 0, 'x'},
		Headers: map[string][]string{"Content-Length": {"3"}, "Content-Type": {"application/octet-stream"}, "X-Answer": {"a", "b"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the response differs (-want +got):\n%s", diff)
	}
	wantSeen := seen{
		Method: "POST", Path: "/a%2fb", Query: "q=1", Host: place(t, server), Body: "{}", Length: 2,
		Header: http.Header{
			"Accept-Encoding": {"gzip"}, "Content-Length": {"2"}, "Content-Type": {"application/json"}, "User-Agent": {"orders/1"}, "X-Many": {"1", "2"},
		},
	}
	if diff := cmp.Diff(wantSeen, <-requests); diff != "" {
		t.Errorf("the server's request differs (-want +got):\n%s", diff)
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	at := raw(t, func(conn net.Conn) {
		head := readHead(conn)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n")
		if strings.HasPrefix(head, "HEAD / ") && strings.Contains(head, "\r\nUser-Agent: elasticjob\r\n") {
			_, _ = io.WriteString(conn, "X-Seen: yes\r\n")
		}
		_, _ = io.WriteString(conn, "\r\n")
	})
	got, err := ask(t.Context(), open(t, hostcall.Config{}, at), wire.HTTPRequest{Method: "HEAD", URL: "http://" + at})
	want := wire.HTTPResponse{Status: 200, Headers: map[string][]string{"Content-Length": {"1000000000000"}, "X-Seen": {"yes"}}}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
		t.Errorf("the response to HEAD, %v, differs (-want +got):\n%s", err, diff)
	}
}

func TestRequestsThatCannotBeSent(t *testing.T) {
	t.Parallel()
	server, n := counting(t)
	door := open(t, hostcall.Config{}, place(t, server), "*")
	header := func(name, value string) wire.HTTPRequest {
		return wire.HTTPRequest{URL: server.URL, Headers: map[string][]string{name: {value}}}
	}
	for _, test := range []struct {
		name    string
		request wire.HTTPRequest
		code    spi.Code
		text    string
	}{
		{"a path alone", wire.HTTPRequest{URL: "/v1"}, spi.CodeFailed, "absolute URL of http or https"},
		{"another scheme", wire.HTTPRequest{URL: "file:///etc/passwd"}, spi.CodeFailed, "absolute URL of http or https"},
		{"no URL", wire.HTTPRequest{URL: "http://[::1"}, spi.CodeFailed, "absolute URL of http or https"},
		{"user information", wire.HTTPRequest{URL: "http://user:hunter2@example.com/"}, spi.CodeFailed, "without user information"},
		{"a number for a host", wire.HTTPRequest{URL: "http://2130706433/"}, spi.CodeFailed, "neither a host name nor an address"},
		{"a long URL", wire.HTTPRequest{URL: server.URL + "/" + strings.Repeat("x", 16<<10)}, spi.CodeTooLarge, "more than 16384 bytes"},
		{"a method for proxies", wire.HTTPRequest{Method: "CONNECT", URL: server.URL}, spi.CodeFailed, `"CONNECT"`},
		{"no method", wire.HTTPRequest{Method: "GET /x HTTP/1.1\r\nA: b", URL: server.URL}, spi.CodeFailed, "cannot be sent"},
		{"another host", header("host", "admin.internal"), spi.CodeFailed, "Host is set by the host"},
		{"a length", header("Content-Length", "3"), spi.CodeFailed, "Content-Length is set by the host"},
		{"framing", header("Transfer-Encoding", "chunked"), spi.CodeFailed, "Transfer-Encoding is set by the host"},
		{"the connection", header("Connection", "close"), spi.CodeFailed, "Connection is set by the host"},
		{"an upgrade", header("upgrade", "websocket"), spi.CodeFailed, "Upgrade is set by the host"},
		{"a proxy's credentials", header("Proxy-Authorization", "hunter2"), spi.CodeFailed, "Proxy-Authorization is set by the host"},
		{"a name with a space", header("A B", "c"), spi.CodeFailed, "not the name of a header field"},
		{"an empty name", header("", "c"), spi.CodeFailed, "not the name of a header field"},
		{"a line in a value", header("A", "hunter2\r\nB: c"), spi.CodeFailed, "control characters"},
		{"a large header", header("A", strings.Repeat("x", 64<<10)), spi.CodeTooLarge, "more than 65536 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := ask(t.Context(), door, test.request)
			wantError(t, "http.request", err, test.code, test.text)
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("http.request = %q, want no secret in it", err)
			}
		})
	}
	t.Cleanup(func() {
		if got := n.Load(); got != 0 {
			t.Errorf("the server got %d requests, want none", got)
		}
	})
}

func TestBrokenMessages(t *testing.T) {
	t.Parallel()
	door := open(t, hostcall.Config{}, "*:*")
	for _, test := range []struct {
		op, request string
		code        spi.Code
		text        string
	}{
		{"http.request", ``, spi.CodeProtocol, "http.request request"},
		{"http.request", `{}`, spi.CodeProtocol, "url"},
		{"http.request", `{"url":7}`, spi.CodeProtocol, "a string, not a number"},
		{"http.request", `{"url":"http://a","body":"*"}`, spi.CodeProtocol, "base64"},
		{"http.request", `{"url":"http://a","timeoutMs":-1}`, spi.CodeProtocol, "timeoutMs"},
		{"http.request", `{"url":"http://a","headers":{"a":"b"}}`, spi.CodeProtocol, "headers"},
		{"http.request", strings.Repeat(" ", wire.MaxMessage+1), spi.CodeTooLarge, "more than 16777216 bytes"},
		{"secret.get", `{}`, spi.CodeProtocol, "name"},
		{"secret.get", `{"name":"x"`, spi.CodeProtocol, "secret.get request"},
		{"checkpoint.save", `{"data":""}`, spi.CodeUnsupported, "checkpoint.save"},
		{"", ``, spi.CodeUnsupported, "not available here"},
	} {
		_, err := door.Call(t.Context(), test.op, []byte(test.request))
		wantError(t, test.op+" of "+wire.Cut(test.request, 40), err, test.code, test.text)
	}
}

func TestDenied(t *testing.T) {
	t.Parallel()
	server, n := counting(t)
	at := place(t, server)
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		grants []string
		method string
		url    string
		want   string // part of the message; "" if it is granted
	}{
		{"nothing granted", nil, "GET", "http://" + at, "http.request to " + at + " is not granted: add it to grants.http of plugin ORDERS"},
		{"the address", []string{at}, "GET", "http://" + at, ""},
		{"the network", []string{"127.0.0.0/8:" + port}, "GET", "http://" + at, ""},
		{"the mapped address", []string{at}, "GET", "http://[::ffff:127.0.0.1]:" + port, ""},
		{"every host", []string{"*:*"}, "GET", "http://" + at, "127.0.0.1 is not a public address; add " + at + " or its network"},
		{"localhost", []string{"localhost:" + port}, "GET", "http://LOCALHOST.:" + port, ""},
		{"localhost by its address", []string{"localhost:" + port}, "GET", "http://" + at, "http.request to " + at + " is not granted"},
		{"the default port", []string{"127.0.0.1"}, "GET", "http://" + at, "http.request to " + at + " is not granted"},
		{"another method", []string{"GET " + at}, "POST", "http://" + at, "http.request to POST " + at + " is not granted"},
		{"another scheme", []string{"https://" + at}, "GET", "http://" + at, "http.request to http://" + at + " is not granted"},
		{"this network", []string{"*:*", at}, "GET", "http://0.0.0.0:" + port, "0.0.0.0 is not a public address"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := ask(t.Context(), open(t, hostcall.Config{}, test.grants...), wire.HTTPRequest{Method: test.method, URL: test.url})
			if test.want != "" {
				wantError(t, "http.request", err, spi.CodeDenied, test.want)
			} else if err != nil || got.Status != http.StatusOK {
				t.Errorf("http.request = %d, %v, want 200", got.Status, err)
			}
		})
	}
	t.Cleanup(func() {
		if got := n.Load(); got != 4 {
			t.Errorf("the server got %d requests, want those of 4 cases", got)
		}
	})
}

func TestTrustedPluginsNeedNoGrants(t *testing.T) {
	t.Parallel()
	server, _ := counting(t)
	host := hostcall.New(hostcall.Config{})
	t.Cleanup(host.Close)
	got, err := get(t, host.Door("WECHAT", hostcall.Terms{Trusted: true}), server.URL)
	if err != nil || got.Status != http.StatusOK {
		t.Errorf("http.request = %d, %v, want 200", got.Status, err)
	}
}

func TestInvalidEntriesGrantNothing(t *testing.T) {
	t.Parallel()
	server, _ := counting(t)
	host := hostcall.New(hostcall.Config{})
	t.Cleanup(host.Close)
	door := host.Door("ORDERS", hostcall.Terms{Grants: spi.Grants{HTTP: []string{"", server.URL + "/", "**"}}})
	_, err := get(t, door, server.URL)
	wantError(t, "http.request", err, spi.CodeDenied, "is not granted")
}

// TestNamesThatLeadInside moves a granted name to an address that is not: what
// was looked at before the connection says nothing.
func TestNamesThatLeadInside(t *testing.T) {
	t.Parallel()
	server, n := counting(t)
	_, port, err := net.SplitHostPort(place(t, server))
	if err != nil {
		t.Fatal(err)
	}
	resolver := names(t, func(name string) []netip.Addr {
		if strings.HasSuffix(name, "inside.example") {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
		}
		return nil
	})
	address := "http://inside.example:" + port
	_, err = get(t, open(t, hostcall.Config{Resolver: resolver}, "inside.example:"+port), address)
	wantError(t, "http.request", err, spi.CodeDenied, "http.request to inside.example is not granted: 127.0.0.1 is not a public address; add 127.0.0.1:"+port)
	_, err = get(t, open(t, hostcall.Config{Resolver: resolver}, "127.0.0.1:"+port), address)
	wantError(t, "http.request", err, spi.CodeDenied, "http.request to inside.example:"+port+" is not granted: add it")
	_, err = get(t, open(t, hostcall.Config{Resolver: resolver}, "*:*"), "http://nowhere.example:"+port)
	wantError(t, "http.request", err, spi.CodeUnavailable, "resolving the name: no such host")
	if got := n.Load(); got != 0 {
		t.Errorf("the server got %d requests, want none", got)
	}
	got, err := get(t, open(t, hostcall.Config{Resolver: resolver}, "inside.example:"+port, "127.0.0.1:"+port), address)
	if err != nil || got.Status != http.StatusOK {
		t.Errorf("http.request with both granted = %d, %v, want 200", got.Status, err)
	}
}

// TestConnectionsAreNotShared asks with less terms after a connection exists.
func TestConnectionsAreNotShared(t *testing.T) {
	t.Parallel()
	server, n := counting(t)
	at := place(t, server)
	resolver := names(t, func(string) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} })
	host := hostcall.New(hostcall.Config{Resolver: resolver})
	t.Cleanup(host.Close)
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	door := func(plugin string, trusted bool, grants ...string) *hostcall.Door {
		return host.Door(plugin, hostcall.Terms{Trusted: trusted, Grants: spi.Grants{HTTP: grants}})
	}
	address := "http://inside.example:" + port
	for _, allowed := range []*hostcall.Door{door("A", true), door("A", false, "*:*", at), door("A", false, "*:*", "GET "+at)} {
		if _, err := get(t, allowed, address); err != nil {
			t.Fatal(err)
		}
	}
	for _, denied := range []*hostcall.Door{door("A", false, "*:*"), door("B", false, "*:*"), door("A", false, "*:*", "10.0.0.0/8:*")} {
		_, err := get(t, denied, address)
		wantError(t, "http.request", err, spi.CodeDenied, "127.0.0.1 is not a public address")
	}
	_, err = ask(t.Context(), door("A", false, "*:*", "GET "+at), wire.HTTPRequest{Method: "POST", URL: address})
	wantError(t, "http.request", err, spi.CodeDenied, "127.0.0.1 is not a public address")
	if got := n.Load(); got != 3 {
		t.Errorf("the server got %d requests, want 3", got)
	}
}

func TestConnectionsAreUsedAgainAndClosed(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	closed := make(chan struct{}, 8)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			opened.Add(1)
		case http.StateClosed:
			closed <- struct{}{}
		default:
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	host := hostcall.New(hostcall.Config{})
	t.Cleanup(host.Close)
	// Two doors, as of two jobs.
	for range 5 {
		for range 2 {
			door := host.Door("ORDERS", hostcall.Terms{Grants: spi.Grants{HTTP: []string{place(t, server)}}})
			if _, err := get(t, door, server.URL); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := opened.Load(); got != 1 {
		t.Errorf("10 requests opened %d connections, want 1", got)
	}
	host.Close()
	host.Close()
	select {
	case <-closed:
	case <-time.After(20 * time.Second): // less than a connection may be idle
		t.Error("Close left the connection open")
	}
	_, err := get(t, host.Door("ORDERS", hostcall.Terms{Trusted: true}), server.URL)
	wantError(t, "http.request after Close", err, spi.CodeCancelled, "the node is stopping")
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	listener, err := listen(t, "tcp6", "[::1]:0")
	if err != nil {
		t.Logf("this machine has no IPv6: %v", err)
		return
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	if _, err := get(t, open(t, hostcall.Config{}, place(t, server)), server.URL); err != nil {
		t.Errorf("http.request to the granted %s = %v", server.URL, err)
	}
	_, err = get(t, open(t, hostcall.Config{}, "*:*", "127.0.0.0/8:*"), server.URL)
	wantError(t, "http.request", err, spi.CodeDenied, "::1 is not a public address; add "+place(t, server))
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	server.Config.ErrorLog = log.New(t.Output(), "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	at := place(t, server)
	got, err := get(t, open(t, hostcall.Config{RootCAs: roots}, "https://"+at), server.URL)
	if err != nil || string(got.Body) != "ok" {
		t.Errorf("http.request = %q, %v, want ok", got.Body, err)
	}
	_, err = get(t, open(t, hostcall.Config{RootCAs: x509.NewCertPool()}, at), server.URL)
	wantError(t, "http.request without its authority", err, spi.CodeUnavailable, "certificate")

	plain, _ := counting(t)
	_, err = get(t, open(t, hostcall.Config{}, place(t, plain)), "https://"+place(t, plain))
	wantError(t, "https to a server of http", err, spi.CodeUnavailable, "does not speak TLS")
}

func TestProxiesOfTheEnvironmentAreNotUsed(t *testing.T) {
	proxy, n := counting(t)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	server, _ := counting(t)
	_, port, err := net.SplitHostPort(place(t, server))
	if err != nil {
		t.Fatal(err)
	}
	resolver := names(t, func(string) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} })
	door := open(t, hostcall.Config{Resolver: resolver}, "a.example:"+port, "127.0.0.1:"+port)
	if _, err := get(t, door, "http://a.example:"+port); err != nil {
		t.Fatal(err)
	}
	if got := n.Load(); got != 0 {
		t.Errorf("the proxy got %d requests, want none", got)
	}
}

func TestTheEndOfTheCallEndsTheRequest(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 4)
	at := raw(t, func(conn net.Conn) {
		readHead(conn)
		arrived <- struct{}{}
		readHead(conn)
	})
	door := open(t, hostcall.Config{}, at)
	for _, test := range []struct {
		cause error
		code  spi.Code
	}{
		{spi.ErrLeaseLost, spi.CodeLeaseLost},
		{spi.ErrStopping, spi.CodeCancelled},
		{spi.ErrTimeout, spi.CodeTimeout},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			<-arrived
			cancel(test.cause)
		}()
		_, err := ask(ctx, door, wire.HTTPRequest{URL: "http://" + at})
		wantError(t, "http.request", err, test.code, test.cause.Error())
		_, err = ask(ctx, door, wire.HTTPRequest{URL: "http://" + at})
		wantError(t, "http.request of an ended call", err, test.code, test.cause.Error())
	}
}

func TestServersThatMisbehave(t *testing.T) {
	t.Parallel()
	flood := func(head, part string) func(net.Conn) {
		return func(conn net.Conn) {
			readHead(conn)
			_, err := io.WriteString(conn, head)
			for many := strings.Repeat(part, 1000); err == nil; {
				_, err = io.WriteString(conn, many)
			}
		}
	}
	say := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			readHead(conn)
			_, _ = io.WriteString(conn, text)
		}
	}
	sayAndHang := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			readHead(conn)
			_, _ = io.WriteString(conn, text)
			readHead(conn)
		}
	}
	for _, test := range []struct {
		name    string
		serve   func(net.Conn)
		timeout time.Duration
		code    spi.Code
		text    string
	}{
		{"silent", sayAndHang(""), 100 * time.Millisecond, spi.CodeTimeout, "no whole response within 100ms"},
		{"slow header", sayAndHang("HTTP/1.1 200 OK\r\nX-Slow: "), 100 * time.Millisecond, spi.CodeTimeout, "no whole response within 100ms"},
		{"slow body", sayAndHang("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), 100 * time.Millisecond, spi.CodeTimeout, "no whole response within 100ms"},
		{"closing", say(""), 0, spi.CodeUnavailable, "the server closed the connection"},
		{"short body", say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), 0, spi.CodeUnavailable, "the server closed the connection"},
		{"resetting", func(conn net.Conn) {
			readHead(conn)
			_ = conn.(*net.TCPConn).SetLinger(0)
		}, 0, spi.CodeUnavailable, ""},
		{"not HTTP", say("SSH-2.0-hunter2\r\n\r\n"), 0, spi.CodeUnavailable, "the response is broken"},
		{"endless body", flood("HTTP/1.1 200 OK\r\n\r\n", "0123456789"), 0, spi.CodeTooLarge, "more than 12320768 bytes"},
		{"endless chunks", flood("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n"), 0, spi.CodeTooLarge, "more than 12320768 bytes"},
		{"announced body", say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"), 0, spi.CodeTooLarge, "more than 12320768 bytes"},
		{"endless header", flood("HTTP/1.1 200 OK\r\n", "A: b\r\n"), 0, spi.CodeUnavailable, "its header has more than 65536 bytes"},
		{"endless header line", flood("HTTP/1.1 200 OK\r\nA: ", "xxxx"), 0, spi.CodeUnavailable, "its header has more than 65536 bytes"},
		{"endless early hints", flood("", "HTTP/1.1 103 Early Hints\r\n\r\n"), 0, spi.CodeUnavailable, ""},
		{"large header", say("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 80<<10) + "\r\n\r\n"), 0, spi.CodeUnavailable, "its header has more than 65536 bytes"},
		{"many fields", say("HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 1001) + "\r\n"), 0, spi.CodeTooLarge, "more than 1000 header fields"},
		{"switching protocols", sayAndHang("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), 0, spi.CodeUnavailable, "switched protocols"},
		{"broken gzip", say("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 7\r\n\r\nhunter2"), 0, spi.CodeUnavailable, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			at := raw(t, test.serve)
			_, err := ask(t.Context(), open(t, hostcall.Config{}, at), wire.HTTPRequest{URL: "http://" + at + "/?key=hunter2", Timeout: test.timeout})
			wantError(t, "http.request", err, test.code, test.text)
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("http.request = %q, want neither the query nor the response in it", err)
			}
		})
	}
}

// TestBothPartsOfARequestHaveTheirOwnBound has servers that are slow in one part:
// to take a connection, which includes TLS, or to respond on one.
func TestBothPartsOfARequestHaveTheirOwnBound(t *testing.T) {
	t.Parallel()
	silent := raw(t, func(conn net.Conn) { readHead(conn); readHead(conn) })
	slowBody := raw(t, func(conn net.Conn) {
		readHead(conn)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
		readHead(conn)
	})
	moved := httptest.NewServer(http.RedirectHandler("http://"+silent, http.StatusFound))
	t.Cleanup(moved.Close)
	const short, long = 50 * time.Millisecond, time.Minute
	for _, test := range []struct {
		name, url, text string
		request         wire.HTTPRequest
	}{
		{"connect", "https://" + silent, "no connection within 50ms", wire.HTTPRequest{ConnectTimeout: short, ReadTimeout: long}},
		{"connect alone", "https://" + silent, "no connection within 50ms", wire.HTTPRequest{ConnectTimeout: short}},
		{"read", "http://" + silent, "no whole response within 50ms", wire.HTTPRequest{ConnectTimeout: long, ReadTimeout: short}},
		{"read a body", "http://" + slowBody, "no whole response within 50ms", wire.HTTPRequest{ReadTimeout: short}},
		{"read after a redirect", moved.URL, "no whole response within 50ms", wire.HTTPRequest{ReadTimeout: short}},
		{"both", "http://" + silent, "no whole response within 70ms", wire.HTTPRequest{ConnectTimeout: long, ReadTimeout: long, Timeout: 70 * time.Millisecond}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.request.URL = test.url
			_, err := ask(t.Context(), open(t, hostcall.Config{}, silent, slowBody, place(t, moved)), test.request)
			wantError(t, "http.request", err, spi.CodeTimeout, test.text)
		})
	}
	server, _ := counting(t)
	door := open(t, hostcall.Config{}, place(t, server))
	for range 2 {
		if _, err := ask(t.Context(), door, wire.HTTPRequest{URL: server.URL, ConnectTimeout: long, ReadTimeout: long}); err != nil {
			t.Errorf("http.request of a server that answers = error %v, want none", err)
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	listener, err := listen(t, "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := listener.Addr().String()
	listener.Close()
	_, err = get(t, open(t, hostcall.Config{}, at), "http://"+at)
	wantError(t, "http.request", err, spi.CodeUnavailable, "http.request to "+at+": dial: ")
	if e, ok := errors.AsType[*spi.Error](err); ok && !e.Retryable {
		t.Error("an unreachable server is not retryable, want it to be")
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	zipped := func(size int) []byte {
		var b bytes.Buffer
		w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(w, zeros{}, int64(size)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	bodies := map[string][]byte{"/small": zipped(1000), "/bomb": zipped(hostcall.MaxBody + 1)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bodies[r.URL.Path])
	}))
	t.Cleanup(server.Close)
	door := open(t, hostcall.Config{}, place(t, server))

	got, err := get(t, door, server.URL+"/small")
	if err != nil || !slices.Equal(got.Body, make([]byte, 1000)) {
		t.Errorf("http.request = %d bytes, %v, want 1000 zeros", len(got.Body), err)
	}
	_, err = get(t, door, server.URL+"/bomb")
	wantError(t, "http.request", err, spi.CodeTooLarge, "more than 12320768 bytes")
	// A plugin that unpacks by itself gets what was sent.
	got, err = ask(t.Context(), door, wire.HTTPRequest{URL: server.URL + "/bomb", Headers: map[string][]string{"Accept-Encoding": {"gzip"}}})
	if err != nil || !slices.Equal(got.Body, bodies["/bomb"]) {
		t.Errorf("http.request with Accept-Encoding = %d bytes, %v, want %d bytes", len(got.Body), err, len(bodies["/bomb"]))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestTheLargestResponseIsAMessage has the largest body and a header whose
// bytes take the most room in JSON.
func TestTheLargestResponseIsAMessage(t *testing.T) {
	t.Parallel()
	head := "HTTP/1.1 200 OK\r\nContent-Length: " + "12320768" + "\r\n" + strings.Repeat("A:\xff\r\n", 998)
	head += "B: " + strings.Repeat("\xff", 64<<10-len(head)-64) + "\r\n\r\n"
	at := raw(t, func(conn net.Conn) {
		readHead(conn)
		_, _ = io.WriteString(conn, head)
		_, _ = conn.Write(make([]byte, hostcall.MaxBody))
	})
	message, err := open(t, hostcall.Config{}, at).Call(t.Context(), spi.OpHTTPRequest, wire.AppendHTTPRequest(nil, wire.HTTPRequest{URL: "http://" + at}))
	if err != nil {
		t.Fatal(err)
	}
	// Not decoded: the race detector makes that slow.
	fields := bytes.Count(message, []byte("\ufffd"))
	if len(message) > wire.MaxMessage || len(message) < hostcall.MaxBody/3*4 || fields < 60_000 || !bytes.HasSuffix(message, []byte(`A="}`)) {
		t.Errorf("the response has %d bytes with %d replaced, want a whole message of at most %d", len(message), fields, wire.MaxMessage)
	}
}
