package robot_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/robot"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// services are those of a built-in plugin of a node that trusts the server.
type services struct{ door *hostcall.Door }

func (services) Log(context.Context, spi.LogRecord) {}

func (s services) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	return s.door.Call(ctx, op, request)
}

func servicesFor(t *testing.T, server *httptest.Server) spi.Services {
	t.Helper()
	config := hostcall.Config{RootCAs: x509.NewCertPool()}
	if certificate := server.Certificate(); certificate != nil {
		config.RootCAs.AddCert(certificate)
	}
	host := hostcall.New(config)
	t.Cleanup(host.Close)
	return services{host.Door("WECHAT", hostcall.Terms{Trusted: true})}
}

// newRobot makes a robot as the host does: of checked properties.
func newRobot(t *testing.T, given map[string]string) *robot.Robot {
	t.Helper()
	values, problems := robot.Schema("wechat").Resolve(given)
	if len(problems) > 0 {
		t.Fatalf("Resolve() = %v, want no problems", problems)
	}
	r, err := robot.New("wechat", values)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func webhook(address string) map[string]string { return map[string]string{"wechat.webhook": address} }

func TestSendPosts(t *testing.T) {
	t.Parallel()
	type received struct{ Method, URL, ContentType, Body string }
	got := make(chan received, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		got <- received{r.Method, r.URL.String(), r.Header.Get("Content-Type"), string(body)}
		_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
	}))
	t.Cleanup(server.Close)
	s := servicesFor(t, server)
	tests := []struct{ webhook, query, want string }{
		{"/robot/send?access_token=t%2B1", "", "/robot/send?access_token=t%2B1"},
		{"/robot/send?access_token=t", "sign=a%2Bb", "/robot/send?access_token=t&sign=a%2Bb"},
		{"/robot/send?access_token=t&", "sign=a", "/robot/send?access_token=t&sign=a"},
		{"/robot/send?", "sign=a", "/robot/send?sign=a"},
		{"/robot/send", "sign=a", "/robot/send?sign=a"},
		{"", "sign=a", "/?sign=a"},
		{"/robot/send?access_token=t#part", "sign=a", "/robot/send?access_token=t&sign=a"},
	}
	for _, test := range tests {
		const text = "no table \"orders\"\n\t订单 \\ \x01"
		if err := newRobot(t, webhook(server.URL+test.webhook)).Send(t.Context(), s, test.query, text); err != nil {
			t.Fatalf("Send() to %s = %v, want nil", test.webhook, err)
		}
		request := <-got
		var body map[string]any
		if err := json.Unmarshal([]byte(request.Body), &body); err != nil {
			t.Errorf("Send() posts %s: %v", request.Body, err)
		}
		if diff := cmp.Diff(map[string]any{"msgtype": "text", "text": map[string]any{"content": text}}, body); diff != "" {
			t.Errorf("Send() posts (-want +got):\n%s", diff)
		}
		request.Body = ""
		if diff := cmp.Diff(received{http.MethodPost, test.want, "application/json; charset=utf-8", ""}, request); diff != "" {
			t.Errorf("Send() with the webhook %s and query %s requests (-want +got):\n%s", test.webhook, test.query, diff)
		}
	}
}

func TestSendReadsTheAnswer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		body   string
		want   *spi.Error
	}{
		{"sent", 200, `{"errcode":0,"errmsg":"ok"}`, nil},
		{"sent, as a text", 200, `{"errcode":"0"}`, nil},
		{"refused", 200, `{"errcode":93000,"errmsg":"invalid webhook url"}`, &spi.Error{Code: spi.CodeFailed, Message: "invalid webhook url (errcode 93000)"}},
		{"busy", 200, `{"errcode":-1,"errmsg":"system busy"}`, &spi.Error{Code: spi.CodeUnavailable, Message: "system busy (errcode -1)", Retryable: true}},
		{"too often at WeCom", 200, `{"errcode":45009,"errmsg":"api freq out of limit"}`, &spi.Error{Code: spi.CodeRateLimited, Message: "api freq out of limit (errcode 45009)", Retryable: true}},
		{"too often at DingTalk", 200, `{"errcode":130101,"errmsg":"send too fast"}`, &spi.Error{Code: spi.CodeRateLimited, Message: "send too fast (errcode 130101)", Retryable: true}},
		{"no errcode", 200, `{}`, &spi.Error{Code: spi.CodeFailed, Message: "the response is no JSON object with an errcode"}},
		{"no JSON", 200, `<html>login</html>`, &spi.Error{Code: spi.CodeFailed, Message: "the response is no JSON object with an errcode"}},
		{"nothing", 200, ``, &spi.Error{Code: spi.CodeFailed, Message: "the response is no JSON object with an errcode"}},
		{"not found", 404, `{"errcode":0}`, &spi.Error{Code: spi.CodeFailed, Message: "unexpected http response status: 404"}},
		{"no content", 204, ``, &spi.Error{Code: spi.CodeFailed, Message: "unexpected http response status: 204"}},
		{"too many", 429, ``, &spi.Error{Code: spi.CodeRateLimited, Message: "unexpected http response status: 429", Retryable: true}},
		{"broken gateway", 502, ``, &spi.Error{Code: spi.CodeUnavailable, Message: "unexpected http response status: 502", Retryable: true}},
		{"its key in the message", 200, `{"errcode":1,"errmsg":"key s3cr3t/key is unknown, as is s3cr3t%2Fkey"}`, &spi.Error{Code: spi.CodeFailed, Message: "key *** is unknown, as is *** (errcode 1)"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			t.Cleanup(server.Close)
			err := newRobot(t, webhook(server.URL+"/cgi-bin/webhook/send?key=s3cr3t%2Fkey")).Send(t.Context(), servicesFor(t, server), "", "text")
			if test.want == nil {
				if err != nil {
					t.Errorf("Send() = %v, want nil", err)
				}
				return
			}
			if diff := cmp.Diff(error(test.want), err); diff != "" {
				t.Errorf("Send() fails with (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALongAnswerIsCut(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"errcode":`+strings.Repeat("9", 10_000)+`,"errmsg":"`+strings.Repeat("x", 1<<20)+`"}`)
	}))
	t.Cleanup(server.Close)
	err := newRobot(t, webhook(server.URL)).Send(t.Context(), servicesFor(t, server), "", "text")
	if err == nil || len(err.Error()) > 1200 {
		t.Errorf("Send() fails with %d bytes, want at most 1200", len(err.Error()))
	}
}

func TestAServerThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	wait := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-wait:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(wait) })
	s := servicesFor(t, server)
	t.Run("within its timeouts", func(t *testing.T) {
		t.Parallel()
		given := webhook(server.URL)
		given["wechat.readTimeoutMilliseconds"] = "50"
		began := time.Now()
		err := newRobot(t, given).Send(t.Context(), s, "", "text")
		if e := spi.AsError(err); e == nil || e.Code != spi.CodeTimeout || !strings.Contains(e.Message, "50ms") || !e.Retryable {
			t.Errorf("Send() = %v, want a timeout after 50ms", err)
		}
		if took := time.Since(began); took < 50*time.Millisecond {
			t.Errorf("Send() gives up after %v, want 50ms", took)
		}
	})
	t.Run("within its call", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(20*time.Millisecond, func() { cancel(spi.ErrTimeout) })
		if err := newRobot(t, webhook(server.URL)).Send(ctx, s, "", "text"); !errors.Is(err, spi.ErrTimeout) {
			t.Errorf("Send() = %v, want %v", err, spi.ErrTimeout)
		}
	})
}

// hostOf answers every operation with an error.
type hostOf struct{ err error }

func (hostOf) Log(context.Context, spi.LogRecord) {}

func (h hostOf) Call(context.Context, string, []byte) ([]byte, error) { return nil, h.err }

// TestNoErrorShowsTheWebhook uses a host that repeats what it was asked for.
func TestNoErrorShowsTheWebhook(t *testing.T) {
	t.Parallel()
	const address = "https://user:pa55word@robots.test:8443/hook/T0K3N/send?key=s3cr3t%2Fkey&x=1"
	r := newRobot(t, webhook(address))
	for _, told := range []string{
		address, address + "&sign=abcdef", "/hook/T0K3N/send?key=s3cr3t%2Fkey&x=1", "/hook/T0K3N/send", "key=s3cr3t%2Fkey&x=1", "s3cr3t%2Fkey", "s3cr3t/key", "pa55word",
	} {
		err := r.Send(t.Context(), hostOf{spi.NewError(spi.CodeUnavailable, `Post "`+told+`": connection refused`)}, "sign=abcdef", "text")
		if e := spi.AsError(err); e == nil || e.Code != spi.CodeUnavailable || e.Message != `Post "***": connection refused` {
			t.Errorf("Send() with a host that says %q fails with %v, want nothing of it", told, err)
		}
	}
}

func TestHostErrorsKeepTheirCode(t *testing.T) {
	t.Parallel()
	denied := spi.NewError(spi.CodeDenied, "http.request to https://robots.test is not granted")
	err := newRobot(t, webhook("https://robots.test/x")).Send(t.Context(), hostOf{denied}, "", "text")
	if diff := cmp.Diff(error(denied), err); diff != "" {
		t.Errorf("Send() fails with (-want +got):\n%s", diff)
	}
	if err := newRobot(t, webhook("https://robots.test/x")).Send(t.Context(), nil, "", "text"); spi.AsError(err).Code != spi.CodeUnsupported {
		t.Errorf("Send() without services = %v, want %v", err, spi.CodeUnsupported)
	}
}

func TestTheSchemaRefuses(t *testing.T) {
	t.Parallel()
	schema := robot.Schema("wechat")
	if err := schema.Check(); err != nil {
		t.Fatalf("Check() = %v, want nil", err)
	}
	tests := []struct{ name, value, rule string }{
		{"wechat.webhook", "", "required"},
		{"wechat.webhook", "robots.test/s3cr3t", "type"},
		{"wechat.webhook", "ftp://robots.test/s3cr3t", "pattern"},
		{"wechat.connectTimeoutMilliseconds", "0", "min"},
		{"wechat.connectTimeout", "3s", "type"},
		{"wechat.readTimeoutMilliseconds", "-1", "min"},
		{"wechat.readTimeout", "2147483648", "max"},
		{"wechat.timeout", "1", "unknown-property"},
	}
	for _, test := range tests {
		given := webhook("https://robots.test/s3cr3t")
		given[test.name] = test.value
		_, problems := schema.Resolve(given)
		if len(problems) != 1 || problems[0].Property != test.name || problems[0].Rule != test.rule {
			t.Errorf("Resolve(%s=%q) = %v, want rule %s", test.name, test.value, problems, test.rule)
		}
		for _, p := range problems {
			if strings.Contains(p.Message, "s3cr3t") {
				t.Errorf("Resolve(%s=%q) says %q, want no secret in it", test.name, test.value, p.Message)
			}
		}
	}
}

func TestTimeoutsHaveTwoNames(t *testing.T) {
	t.Parallel()
	tests := []struct{ milliseconds, short, refused string }{
		{"", "", ""},
		{"3000", "", ""},
		{"", "4000", ""},
		{"4000", "4000", ""},
		// A default in the schema would look like the first of these.
		{"3000", "4000", "wechat.connectTimeout is 4000, but wechat.connectTimeoutMilliseconds, which is the same property, is 3000"},
		{"5000", "4000", "wechat.connectTimeout is 4000, but wechat.connectTimeoutMilliseconds, which is the same property, is 5000"},
	}
	for _, test := range tests {
		given := webhook("https://robots.test/x")
		for name, value := range map[string]string{"wechat.connectTimeoutMilliseconds": test.milliseconds, "wechat.connectTimeout": test.short} {
			if value != "" {
				given[name] = value
			}
		}
		values, problems := robot.Schema("wechat").Resolve(given)
		if len(problems) > 0 {
			t.Fatalf("Resolve(%v) = %v, want no problems", given, problems)
		}
		_, err := robot.New("wechat", values)
		if test.refused == "" {
			if err != nil {
				t.Errorf("New(%v) = %v, want nil", given, err)
			}
			continue
		}
		want := &spi.Error{Code: spi.CodeInvalidProperties, Property: "wechat.connectTimeout", Message: test.refused}
		if diff := cmp.Diff(error(want), err); diff != "" {
			t.Errorf("New(%v) fails with (-want +got):\n%s", given, diff)
		}
	}
}

// timeouts are what a robot asks its host for, in milliseconds.
type timeouts struct{ TimeoutMs, ConnectTimeoutMs, ReadTimeoutMs float64 }

func timeoutsOf(t *testing.T, more map[string]string) (got timeouts) {
	t.Helper()
	given := webhook("https://robots.test/x")
	maps.Copy(given, more)
	_ = newRobot(t, given).Send(t.Context(), asked(func(request []byte) {
		if err := json.Unmarshal(request, &got); err != nil {
			t.Errorf("the request is %s: %v", request, err)
		}
	}), "", "text")
	return got
}

// asked is a host that hands on the requests and answers nothing.
type asked func(request []byte)

func (asked) Log(context.Context, spi.LogRecord) {}

func (a asked) Call(_ context.Context, _ string, request []byte) ([]byte, error) {
	a(request)
	return nil, spi.NewError(spi.CodeUnavailable, "nobody is here")
}

func TestTimeoutsAreThoseOfTheProperties(t *testing.T) {
	t.Parallel()
	tests := []struct {
		given map[string]string
		want  timeouts
	}{
		{nil, timeouts{8000, 3000, 5000}},
		{map[string]string{"wechat.connectTimeoutMilliseconds": "100"}, timeouts{5100, 100, 5000}},
		{map[string]string{"wechat.connectTimeout": "200"}, timeouts{5200, 200, 5000}},
		{map[string]string{"wechat.readTimeoutMilliseconds": "100"}, timeouts{3100, 3000, 100}},
		{map[string]string{"wechat.readTimeout": "200"}, timeouts{3200, 3000, 200}},
		{map[string]string{"wechat.connectTimeout": "1", "wechat.readTimeout": "2"}, timeouts{3, 1, 2}},
	}
	for _, test := range tests {
		if got := timeoutsOf(t, test.given); got != test.want {
			t.Errorf("Send() of %v asks for %+v, want %+v", test.given, got, test.want)
		}
	}
}

// TestAServerThatTakesNoConnection listens and says nothing, so that TLS waits.
func TestAServerThatTakesNoConnection(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	given := webhook("https://" + listener.Addr().String())
	given["wechat.connectTimeoutMilliseconds"] = "50"
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	err = newRobot(t, given).Send(t.Context(), servicesFor(t, server), "", "text")
	if e := spi.AsError(err); e == nil || e.Code != spi.CodeTimeout || !strings.HasSuffix(e.Message, "no connection within 50ms") {
		t.Errorf("Send() = %v, want no connection within 50ms", err)
	}
}

func TestNewRefusesAWebhookThatIsNone(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "robots.test", "https://robots.test:s3cr3t", "https://%zz"} {
		_, err := robot.New("wechat", props.Values{"wechat.webhook": address})
		if e := spi.AsError(err); e == nil || e.Code != spi.CodeInvalidProperties || e.Property != "wechat.webhook" || strings.Contains(e.Message, "s3cr3t") {
			t.Errorf("New(%q) fails with %+v, want it to refuse wechat.webhook without showing it", address, err)
		}
	}
}
