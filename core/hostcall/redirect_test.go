package hostcall_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// redirecting returns a server that redirects to what the query says.
func redirecting(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := r.URL.Query().Get("to")
		if to == "long" {
			to = "/" + strings.Repeat("x", 17<<10)
		}
		w.Header().Set("Location", to)
		status := map[string]int{"/301": 301, "/302": 302, "/303": 303, "/307": 307, "/308": 308, "/300": 300}[r.URL.Path]
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	type seen struct{ Method, Body, Type, Length, Key, Referer string }
	first := redirecting(t)
	second := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		h := r.Header
		w.Header().Set("X-Method", r.Method)
		_, _ = io.WriteString(w, strings.Join([]string{string(body), h.Get("Content-Type"), h.Get("Content-Md5"), h.Get("X-Api-Key"), h.Get("Referer")}, "|"))
	}))
	t.Cleanup(second.Close)
	door := open(t, hostcall.Config{}, place(t, first), place(t, second))
	for _, test := range []struct {
		status, method string
		want           seen
	}{
		{"/301", "POST", seen{Method: "GET"}},
		{"/302", "PUT", seen{Method: "GET"}},
		{"/303", "POST", seen{Method: "GET"}},
		{"/303", "HEAD", seen{Method: "HEAD"}},
		{"/307", "POST", seen{Method: "POST", Body: "body", Type: "text/x"}},
		{"/308", "PUT", seen{Method: "PUT", Body: "body", Type: "text/x"}},
	} {
		got, err := ask(t.Context(), door, wire.HTTPRequest{
			Method: test.method, URL: first.URL + test.status + "?to=" + second.URL + "/x", Body: []byte("body"),
			Headers: map[string][]string{"Content-Type": {"text/x"}, "Content-Md5": {"sum"}, "X-Api-Key": {"hunter2"}},
		})
		if err != nil {
			t.Errorf("%s with %s: %v", test.method, test.status, err)
			continue
		}
		parts := append(strings.Split(string(got.Body), "|"), make([]string, 5)...)
		result := seen{Method: got.Headers["X-Method"][0], Body: parts[0], Type: parts[1], Length: parts[2], Key: parts[3], Referer: parts[4]}
		if diff := cmp.Diff(test.want, result); diff != "" {
			t.Errorf("%s with %s reaches the second server differently (-want +got):\n%s", test.method, test.status, diff)
		}
	}
}

func TestARedirectThatIsNotFollowedIsTheResponse(t *testing.T) {
	t.Parallel()
	server := redirecting(t)
	door := open(t, hostcall.Config{}, place(t, server))
	got, err := ask(t.Context(), door, wire.HTTPRequest{Method: "POST", URL: server.URL + "/307?to=/elsewhere", NoRedirects: true})
	if err != nil || got.Status != 307 || got.Headers["Location"][0] != "/elsewhere" {
		t.Errorf("http.request = %+v, error %v, want the redirect itself", got, err)
	}
}

func TestRedirectsAreChecked(t *testing.T) {
	t.Parallel()
	first := redirecting(t)
	inside, n := counting(t)
	_, port, err := net.SplitHostPort(place(t, inside))
	if err != nil {
		t.Fatal(err)
	}
	at := place(t, first)
	for _, test := range []struct {
		name     string
		grants   []string
		location string
		code     spi.Code
		text     string
	}{
		{"another host", []string{at}, inside.URL, spi.CodeDenied, "http.request to " + place(t, inside) + " is not granted, to which " + at + " redirects: add it"},
		{"an address inside", []string{at, "*:*"}, inside.URL, spi.CodeDenied, "127.0.0.1 is not a public address"},
		{"an address inside in another form", []string{at, "*:*"}, "http://[::ffff:127.0.0.1]:" + port, spi.CodeDenied, "127.0.0.1 is not a public address"},
		{"the method that it becomes", []string{at, "POST 127.0.0.1:" + port}, inside.URL, spi.CodeDenied, "http.request to GET 127.0.0.1:" + port + " is not granted"},
		{"user information", []string{at, "127.0.0.1:" + port}, "http://user:hunter2@127.0.0.1:" + port, spi.CodeUnavailable, "without user information"},
		{"another scheme", []string{at, "127.0.0.1:" + port}, "file:///etc/passwd", spi.CodeUnavailable, "http or https"},
		{"a number for a host", []string{at, "*:*"}, "http://2130706433:" + port, spi.CodeUnavailable, "neither a host name nor an address"},
		{"no URL", []string{at}, "http://[::1/hunter2", spi.CodeUnavailable, "to what is no URL"},
		{"a long URL", []string{at}, "long", spi.CodeUnavailable, "to a URL that is too long"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			door := open(t, hostcall.Config{}, test.grants...)
			_, err := ask(t.Context(), door, wire.HTTPRequest{Method: "POST", URL: first.URL + "/302?to=" + test.location})
			wantError(t, "http.request", err, test.code, test.text)
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("http.request = %q, want no secret in it", err)
			}
		})
	}
	t.Cleanup(func() {
		if got := n.Load(); got != 0 {
			t.Errorf("the server inside got %d requests, want none", got)
		}
	})
}

func TestRedirectLoops(t *testing.T) {
	t.Parallel()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "/again", http.StatusFound)
	}))
	t.Cleanup(server.Close)
	_, err := get(t, open(t, hostcall.Config{}, place(t, server)), server.URL)
	wantError(t, "http.request", err, spi.CodeUnavailable, "more than 10 redirects")
	if asked != 11 {
		t.Errorf("the server was asked %d times, want 11", asked)
	}
}

func TestWhatIsNoRedirect(t *testing.T) {
	t.Parallel()
	server := redirecting(t)
	door := open(t, hostcall.Config{}, place(t, server))
	for path, want := range map[string]int{"/300?to=/x": 300, "/302": 302} {
		got, err := get(t, door, server.URL+path)
		if err != nil || got.Status != want {
			t.Errorf("http.request of %s = %d, %v, want %d", path, got.Status, err, want)
		}
	}
}

// TestHeadersStayWithTheirOrigin follows redirects on one server and back from
// another.
func TestHeadersStayWithTheirOrigin(t *testing.T) {
	t.Parallel()
	var first *httptest.Server
	second := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, first.URL+"/end", http.StatusFound)
	}))
	t.Cleanup(second.Close)
	first = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/same":
			http.Redirect(w, r, "/end", http.StatusFound)
		case "/round":
			http.Redirect(w, r, second.URL, http.StatusFound)
		default:
			_, _ = io.WriteString(w, r.Header.Get("Authorization")+r.Header.Get("Cookie")+r.Header.Get("Accept"))
		}
	}))
	t.Cleanup(first.Close)
	door := open(t, hostcall.Config{}, place(t, first), place(t, second))
	for path, want := range map[string]string{"/same": "authcookietext/x", "/round": "text/x"} {
		got, err := ask(t.Context(), door, wire.HTTPRequest{
			URL: first.URL + path, Headers: map[string][]string{"authorization": {"auth"}, "cookie": {"cookie"}, "accept": {"text/x"}},
		})
		if err != nil || string(got.Body) != want {
			t.Errorf("http.request of %s = %q, %v, want %q", path, got.Body, err, want)
		}
	}
}

// TestRedirectsAreNotReadToTheirEnd follows one whose body never comes.
func TestRedirectsAreNotReadToTheirEnd(t *testing.T) {
	t.Parallel()
	server, _ := counting(t)
	at := raw(t, func(conn net.Conn) {
		readHead(conn)
		_, _ = io.WriteString(conn, "HTTP/1.1 302 Found\r\nLocation: "+server.URL+"\r\nContent-Length: 5\r\n\r\nab")
		readHead(conn)
	})
	got, err := get(t, open(t, hostcall.Config{}, at, place(t, server)), "http://"+at)
	if err != nil || string(got.Body) != "ok" {
		t.Errorf("http.request = %q, %v, want ok", got.Body, err)
	}
}
