package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/webhook"
	"github.com/elasticjob-go/elasticjob/spi"
)

// services are those of a built-in plugin.
type services struct {
	door  *hostcall.Door
	lines []string
}

func (s *services) Log(_ context.Context, record spi.LogRecord) {
	s.lines = append(s.lines, record.Line)
}

func (s *services) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	return s.door.Call(ctx, op, request)
}

// received is a request as the server of a webhook sees it.
type received struct {
	Method, Path string
	Header       http.Header
	Body         string
}

// receiver is a server that answers with a status and keeps what it gets.
type receiver struct {
	*httptest.Server

	status int
	header http.Header
	body   string
	got    []received
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{status: http.StatusNoContent}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		r.got = append(r.got, received{req.Method, req.URL.String(), req.Header, string(body)})
		maps.Copy(w.Header(), r.header)
		w.WriteHeader(r.status)
		_, _ = io.WriteString(w, r.body)
	}))
	t.Cleanup(r.Close)
	return r
}

// sample is a failure of which nothing is empty.
func sample() spi.HandleErrorRequest {
	at := time.Date(2026, 11, 21, 10, 4, 25, 120e6, time.UTC)
	return spi.HandleErrorRequest{
		Context: spi.ShardingContext{
			JobName: "orders", TaskID: "task", RunID: "run", FireTime: at, ExecutionSource: spi.SourceNormal, Attempt: 2,
			ShardingItem: 5, ShardingParameter: "北京", ShardingTotalCount: 9, JobParameter: `"a"<b>&c`,
		},
		Error: &spi.Error{Code: 1001, Message: "no \"table\" <orders>\n", Stack: "main.run\n\tmain.go:7"},
		Count: 3, First: at, Last: at.Add(time.Minute), Items: []int{4, 5},
	}
}

// construct makes the handler as the host does: of checked properties.
func construct(t *testing.T, given map[string]string) (spi.ErrorHandler, error) {
	t.Helper()
	values, problems := webhook.Plugin().Descriptor.Props.Resolve(given)
	if len(problems) > 0 {
		t.Fatalf("Resolve(%v) = %v, want no problems", given, problems)
	}
	return webhook.Plugin().ErrorHandler(t.Context(), values)
}

// call hands the sample to a handler for the receiver.
func (r *receiver) call(t *testing.T, more map[string]string) ([]string, error) {
	t.Helper()
	given := map[string]string{"webhook.url": r.URL + "/hook?key=s3cr3t"}
	maps.Copy(given, more)
	handler, err := construct(t, given)
	if err != nil {
		t.Fatal(err)
	}
	host := hostcall.New(hostcall.Config{})
	t.Cleanup(host.Close)
	req := sample()
	s := &services{door: host.Door(webhook.Type, hostcall.Terms{Trusted: true})}
	req.Services = s
	response, err := handler.HandleError(t.Context(), req)
	if err == nil && response.Decision != spi.DecisionContinue {
		t.Errorf("HandleError() = %q, want to continue", response.Decision)
	}
	return s.lines, err
}

func TestSendsAllFactsAsJSON(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	lines, err := r.call(t, nil)
	if err != nil {
		t.Fatalf("HandleError() = %v, want nil", err)
	}
	if diff := cmp.Diff([]string{"An exception has occurred in Job 'orders', a webhook has been called successfully."}, lines); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	got := r.got[0]
	if got.Method != "POST" || got.Path != "/hook?key=s3cr3t" || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("request = %+v, want a POST of JSON", got)
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(got.Body), &body); err != nil {
		t.Fatalf("the body is %s: %v", got.Body, err)
	}
	want := map[string]any{
		"id": got.Header.Get("webhook-id"), "jobName": "orders", "taskId": "task", "runId": "run", "fireTime": "2026-11-21T10:04:25.120Z",
		"executionSource": "NORMAL_TRIGGER", "attempt": 2.0, "shardingItem": 5.0, "shardingParameter": "北京", "shardingTotalCount": 9.0,
		"jobParameter": `"a"<b>&c`, "code": 1001.0, "message": "no \"table\" <orders>\n", "stack": "main.run\n\tmain.go:7",
		"count": 3.0, "first": "2026-11-21T10:04:25.120Z", "last": "2026-11-21T10:05:25.120Z", "items": []any{4.0, 5.0},
		"text": "Job 'orders' exception occur in job processing, caused by no \"table\" <orders>\n" +
			"\nThis is the last of 3 failures from 2026-11-21T10:04:25Z to 2026-11-21T10:05:25Z, of the items 4-5.\nmain.run\n\tmain.go:7",
	}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestSendsATemplate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ contentType, template, want string }{
		{"application/json", `{"a": "${message}", "n": ${count}, "literal": "$${x}"}`, `{"a": "no \"table\" <orders>\u000a", "n": 3, "literal": "${x}"}`},
		{"application/problem+json; charset=utf-8", `"${jobParameter}"`, `"\"a\"<b>&c"`},
		{"application/x-www-form-urlencoded", "job=${jobName}&p=${jobParameter}&where=${shardingParameter}", "job=orders&p=%22a%22%3Cb%3E%26c&where=%E5%8C%97%E4%BA%AC"},
		{"text/html", "<b>${jobParameter}</b>", "<b>&#34;a&#34;&lt;b&gt;&amp;c</b>"},
		{"text/plain", "${jobParameter} ${items} ${first} ${last} ${code}${attempt}", `"a"<b>&c 4-5 2026-11-21T10:04:25.120Z 2026-11-21T10:05:25.120Z 10012`},
		{"text/plain", "${taskId} ${runId} ${fireTime} ${executionSource} ${shardingItem}/${shardingTotalCount}", "task run 2026-11-21T10:04:25.120Z NORMAL_TRIGGER 5/9"},
		{"text/plain", "all of it", "all of it"},
	} {
		r := newReceiver(t)
		if _, err := r.call(t, map[string]string{"webhook.content.type": test.contentType, "webhook.template": test.template}); err != nil {
			t.Fatalf("HandleError() = %v, want nil", err)
		}
		if got := r.got[0]; got.Body != test.want || got.Header.Get("Content-Type") != test.contentType {
			t.Errorf("template %s sends %q as %s, want %q as %s", test.template, got.Body, got.Header.Get("Content-Type"), test.want, test.contentType)
		}
	}
}

func TestMethodAndHeadersAreThoseOfTheProperties(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	if _, err := r.call(t, map[string]string{"webhook.method": "PUT", "webhook.headers.Authorization": "Bearer t0ken", "webhook.headers.X-Team": "a"}); err != nil {
		t.Fatal(err)
	}
	got := r.got[0]
	if got.Method != "PUT" || got.Header.Get("Authorization") != "Bearer t0ken" || got.Header.Get("X-Team") != "a" {
		t.Errorf("request = %+v, want the method and the headers of the properties", got)
	}
}

// TestSignatures checks signatures by the descriptions of both forms.
func TestSignatures(t *testing.T) {
	t.Parallel()
	sum := func(key, text string) []byte {
		mac := hmac.New(sha256.New, []byte(key))
		_, _ = io.WriteString(mac, text)
		return mac.Sum(nil)
	}
	for _, test := range []struct{ name, secret, key string }{
		{"base64", "whsec_" + base64.StdEncoding.EncodeToString([]byte("the key")), "the key"},
		{"text", "s3cr3t订单", "s3cr3t订单"},
	} {
		r := newReceiver(t)
		for range 2 {
			if _, err := r.call(t, map[string]string{"webhook.secret": test.secret}); err != nil {
				t.Fatal(err)
			}
		}
		got := r.got[0]
		id, at := got.Header.Get("webhook-id"), got.Header.Get("webhook-timestamp")
		seconds, err := strconv.ParseInt(at, 10, 64)
		if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > time.Hour {
			t.Errorf("timestamp = %q, want the present in seconds", at)
		}
		if want := "v1," + base64.StdEncoding.EncodeToString(sum(test.key, id+"."+at+"."+got.Body)); got.Header.Get("webhook-signature") != want || id == "" {
			t.Errorf("%s: signature of %q = %q, want %q", test.name, id, got.Header.Get("webhook-signature"), want)
		}
		if again := r.got[1].Header.Get("webhook-id"); again != id {
			t.Errorf("id of the same message again = %q, want %q", again, id)
		}
	}
	r := newReceiver(t)
	if _, err := r.call(t, map[string]string{"webhook.secret": "whsec_key", "webhook.signature": "github"}); err != nil {
		t.Fatal(err)
	}
	got := r.got[0]
	if want := "sha256=" + hex.EncodeToString(sum("whsec_key", got.Body)); got.Header.Get("X-Hub-Signature-256") != want {
		t.Errorf("signature = %q, want %q", got.Header.Get("X-Hub-Signature-256"), want)
	}
	r = newReceiver(t)
	if _, err := r.call(t, nil); err != nil {
		t.Fatal(err)
	}
	if h := r.got[0].Header; h.Get("webhook-signature") != "" || h.Get("X-Hub-Signature-256") != "" {
		t.Errorf("header without a secret = %v, want no signature", h)
	}
}

func TestTheStatusSaysWhetherItWasSent(t *testing.T) {
	t.Parallel()
	const failed = "An exception has occurred in Job 'orders' but failed to send webhook because of: "
	for _, test := range []struct {
		status int
		header http.Header
		body   string
		want   *spi.Error
	}{
		{200, nil, "", nil},
		{299, nil, "", nil},
		{302, http.Header{"Location": {"/login"}}, "", &spi.Error{Code: spi.CodeFailed, Message: failed + "unexpected http response status: 302"}},
		{403, nil, "no key s3cr3t, no Bearer t0ken\n", &spi.Error{Code: spi.CodeFailed, Message: failed + "unexpected http response status: 403: no key ***, no ***"}},
		{403, nil, "the token t0ken is unknown", &spi.Error{Code: spi.CodeFailed, Message: failed + "unexpected http response status: 403: the token *** is unknown"}},
		{429, http.Header{"Retry-After": {"90"}}, "", &spi.Error{
			Code: spi.CodeRateLimited, Message: failed + "unexpected http response status: 429", Retryable: true, RetryAfter: 90 * time.Second,
		}},
		{503, nil, strings.Repeat("x", 10_000), &spi.Error{
			Code: spi.CodeUnavailable, Message: failed + "unexpected http response status: 503: " + strings.Repeat("x", 253) + "…", Retryable: true,
		}},
	} {
		r := newReceiver(t)
		r.status, r.header, r.body = test.status, test.header, test.body
		_, err := r.call(t, map[string]string{"webhook.headers.Authorization": "Bearer t0ken"})
		got := spi.AsError(err)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("HandleError() with status %d fails with (-want +got):\n%s", test.status, diff)
		}
		if len(r.got) != 1 {
			t.Errorf("requests with status %d = %d, want 1", test.status, len(r.got))
		}
	}
}

func TestTimeoutsAreThoseOfTheProperties(t *testing.T) {
	t.Parallel()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then a server sees that its client is gone
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	r := &receiver{Server: silent}
	_, err := r.call(t, map[string]string{"webhook.readTimeoutMilliseconds": "50"})
	if e := spi.AsError(err); e == nil || !strings.Contains(e.Message, "no whole response within 50ms") || !e.Retryable {
		t.Errorf("HandleError() = %v, want no response within 50ms", err)
	}
}

func TestRefusesProperties(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, value, want string }{
		{"webhook.template", "${jobname}", "did you mean jobName?"},
		{"webhook.template", "${hunter2}", "is none of jobName"},
		{"webhook.template", "${jobName", "without a }"},
		{"webhook.content.type", "text/plain", "needs a webhook.template"},
		{"webhook.content.type", "application/json\r\nX: y", "control characters"},
		{"webhook.headers.Content-Type", "a/b", "is the property webhook.content.type"},
		{"webhook.headers.host", "a", "the node sets"},
		{"webhook.headers.Webhook-Signature", "a", "of the signature"},
		{"webhook.headers.X Y", "hunter2", "is not the name of a header field"},
		{"webhook.headers.X", "hunter2\n", "control characters"},
		{"webhook.secret", "whsec_hunter2!", "not base64"},
	} {
		_, err := construct(t, map[string]string{"webhook.url": "https://hooks.test/hunter2", test.name: test.value})
		e := spi.AsError(err)
		if e == nil || e.Code != spi.CodeInvalidProperties || e.Property != test.name || !strings.Contains(e.Message, test.want) || strings.Contains(e.Message, "hunter2") {
			t.Errorf("ErrorHandler(%s = %q) fails with %+v, want it refused with %q and without its value", test.name, test.value, e, test.want)
		}
	}
	_, err := construct(t, map[string]string{"webhook.url": "https://hooks.test", "webhook.headers.X-Key": "1", "webhook.headers.x-key": "2"})
	if e := spi.AsError(err); e == nil || e.Property != "webhook.headers.x-key" || !strings.Contains(e.Message, "given twice") {
		t.Errorf("ErrorHandler() with a header field twice fails with %+v, want it refused", e)
	}
	for name, value := range map[string]string{"webhook.method": "GET", "webhook.signature": "md5", "webhook.url": "hooks.test"} {
		if _, problems := webhook.Plugin().Descriptor.Props.Resolve(map[string]string{"webhook.url": "https://hooks.test", name: value}); len(problems) != 1 {
			t.Errorf("Resolve(%s = %q) = %v, want one problem", name, value, problems)
		}
	}
}

func TestTheDescriptor(t *testing.T) {
	t.Parallel()
	if err := webhook.Plugin().Check(); err != nil {
		t.Errorf("Check() = %v, want nil", err)
	}
}

func TestNoPartOfASecretWhereTheAnswerIsCut(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("k", 90) + "!"
	r := newReceiver(t)
	r.status, r.body = http.StatusForbidden, strings.Repeat(key, 20)
	_, err := r.call(t, map[string]string{"webhook.headers.X-Key": key})
	if message := spi.AsError(err).Message; !strings.HasSuffix(message, ": "+strings.Repeat("***", 11)+"…") {
		t.Errorf("the message is %q, want no part of the key", message)
	}
}
