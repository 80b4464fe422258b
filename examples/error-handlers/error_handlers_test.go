//go:build unix

package main_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/dingtalk"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/email"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/slack"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/webhook"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/wechat"
	"github.com/elasticjob-go/elasticjob/runtime/process"
	"github.com/elasticjob-go/elasticjob/spi"
)

const (
	token  = "s3cr3t+token/=="
	secret = "SEC+s3cr3t/订单"
)

// robots are the services of both makers. They keep what they were told, by
// the path at which they were told it.
type robots struct {
	mu sync.Mutex

	told map[string][]string
}

// ServeHTTP answers as the path says. What arrives at /signed/ must be signed.
func (s *robots) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		MsgType string `json:"msgtype"`
		Text    struct {
			Content string `json:"content"`
		} `json:"text"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Method != http.MethodPost || body.MsgType != "text" {
		http.Error(w, "no text", http.StatusBadRequest)
		return
	}
	answer := `{"errcode":0,"errmsg":"ok"}`
	kind, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch kind {
	case "signed":
		if why := signatureFault(r.URL.RawQuery, time.Now()); why != "" {
			answer = `{"errcode":310000,"errmsg":"` + why + `"}`
		}
	case "busy":
		answer = `{"errcode":130101,"errmsg":"send too fast with ` + token + `"}`
	case "away":
		w.WriteHeader(http.StatusServiceUnavailable)
	case "html":
		answer = "<html>a page of a proxy</html>"
	case "elsewhere":
		http.Redirect(w, r, "https://robots.invalid/", http.StatusTemporaryRedirect)
		return
	case "hangs":
		<-r.Context().Done()
		return
	}
	s.mu.Lock()
	s.told[path] = append(s.told[path], body.Text.Content)
	s.mu.Unlock()
	_, _ = io.WriteString(w, answer)
}

// signatureFault checks the signature of a query by the description of
// DingTalk: timestamp is the present in milliseconds, and sign is the base64 of
// the HMAC with SHA-256 of the timestamp, a line feed and the secret, with the
// secret as its key. All of it arrives percent-encoded.
func signatureFault(query string, now time.Time) string {
	got := make(map[string]string)
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if _, twice := got[name]; twice {
			return name + " is given twice"
		}
		// A plus sign would be a space to some servers and itself to others.
		if strings.ContainsAny(value, "+/=") {
			return name + " is not encoded"
		}
		plain, err := url.PathUnescape(value)
		if err != nil {
			return name + " is not encoded well"
		}
		got[name] = plain
	}
	milliseconds, err := strconv.ParseInt(got["timestamp"], 10, 64)
	if err != nil || now.Sub(time.UnixMilli(milliseconds)).Abs() > time.Hour {
		return "the timestamp is not the present"
	}
	hash := hmac.New(sha256.New, []byte(secret))
	hash.Write([]byte(got["timestamp"]))
	hash.Write([]byte{'\n'})
	hash.Write([]byte(secret))
	if got["sign"] != base64.StdEncoding.EncodeToString(hash.Sum(nil)) {
		return "sign not match"
	}
	if got["access_token"] != token {
		return "token is not exist"
	}
	return ""
}

// services are those of one call.
type services struct {
	door *hostcall.Door

	mu sync.Mutex

	lines []string
}

func (s *services) Log(_ context.Context, record spi.LogRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, strconv.Itoa(int(record.Level))+" "+record.Line)
}

func (s *services) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	return s.door.Call(ctx, op, request)
}

// home is a place where the handlers run.
type home struct {
	name    string
	trusted bool
	plugins map[string]spi.Plugin
}

// homes are the three places. What is built in has the names of this folder, so
// that it can be compared.
func homes(t *testing.T) []home {
	t.Helper()
	all := []home{{name: "built in", trusted: true, plugins: byType(dingtalk.Plugin(), wechat.Plugin(), email.Plugin(), slack.Plugin(), webhook.Plugin())}}
	programs := process.New(process.Config{})
	t.Cleanup(func() {
		if err := programs.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	modules, err := newModules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := modules.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	for _, from := range []struct {
		name   string
		loader spi.Loader
		path   string
	}{{"process", programs, program}, {"module", modules, module}} {
		bundle, err := from.loader.Load(t.Context(), spi.LoadRequest{Path: from.path})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := bundle.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		all = append(all, home{name: from.name, plugins: byType(bundle.Plugins...)})
	}
	return all
}

func byType(plugins ...spi.Plugin) map[string]spi.Plugin {
	m := make(map[string]spi.Plugin)
	for _, p := range plugins {
		m[strings.TrimPrefix(p.Descriptor.Type, "OWN_")] = p
	}
	return m
}

// outcome is all that comes of one failed item.
type outcome struct {
	Decision spi.Decision
	Error    *spi.Error
	Log      []string
	Told     []string
}

// TestNobodyCanTellWhere runs one table in all three places; "want" is the
// outcome in each of them.
func TestNobodyCanTellWhere(t *testing.T) {
	t.Parallel()
	group := &robots{told: make(map[string][]string)}
	server := httptest.NewTLSServer(group)
	t.Cleanup(server.Close)
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())
	host := hostcall.New(hostcall.Config{RootCAs: trusted})
	t.Cleanup(host.Close)
	at := strings.TrimPrefix(server.URL, "https://")
	granted := spi.Grants{HTTP: []string{"POST " + server.URL}}
	query := "?access_token=" + url.QueryEscape(token)
	const text = "Job 'orders' exception occur in job processing, caused by no table \"订单\"\nmain.run\n\tmain.go:7"
	sent := func(what string) []string { return []string{"0 An exception has occurred in Job 'orders', " + what} }
	failed := func(code spi.Code, message string) *spi.Error {
		return spi.NewError(code, "An exception has occurred in Job 'orders' but failed to send "+message)
	}
	tests := []struct {
		name, kind, path string
		props            map[string]string
		grants           spi.Grants
		message          string // of the failure; the usual one if empty
		want             outcome
		// denied is what differs: only what is built in needs no grant.
		denied *spi.Error
	}{
		{
			name: "DINGTALK", kind: "DINGTALK", path: "sent/", grants: granted,
			want: outcome{Decision: spi.DecisionContinue, Log: sent("an dingtalk message been sent successful."), Told: []string{text}},
		},
		{
			name: "DINGTALK signed, with a keyword", kind: "DINGTALK", path: "signed/", grants: granted,
			props: map[string]string{"dingtalk.secret": secret, "dingtalk.keyword": "告警: "},
			want:  outcome{Decision: spi.DecisionContinue, Log: sent("an dingtalk message been sent successful."), Told: []string{"告警: " + text}},
		},
		{
			name: "DINGTALK signed with another secret", kind: "DINGTALK", path: "signed/", grants: granted,
			props: map[string]string{"dingtalk.secret": "SEC"},
			want:  outcome{Error: failed(spi.CodeFailed, "dingtalk because of: sign not match (errcode 310000)"), Told: []string{text}},
		},
		{
			name: "WECHAT", kind: "WECHAT", path: "sent/", grants: granted,
			want: outcome{Decision: spi.DecisionContinue, Log: sent("an wechat message has been sent successful."), Told: []string{text}},
		},
		{
			name: "WECHAT, too long", kind: "WECHAT", path: "sent/", grants: granted, message: strings.Repeat("x", 3000),
			want: outcome{
				Decision: spi.DecisionContinue, Log: sent("an wechat message has been sent successful."),
				Told: []string{"Job 'orders' exception occur in job processing, caused by " + strings.Repeat("x", 2048-58-3) + "…"},
			},
		},
		{
			name: "too often", kind: "WECHAT", path: "busy/", grants: granted,
			want: outcome{Error: failed(spi.CodeRateLimited, "wechat because of: send too fast with *** (errcode 130101)"), Told: []string{text}},
		},
		{
			name: "away", kind: "WECHAT", path: "away/", grants: granted,
			want: outcome{Error: failed(spi.CodeUnavailable, "wechat because of: unexpected http response status: 503"), Told: []string{text}},
		},
		{
			name: "no JSON", kind: "WECHAT", path: "html/", grants: granted,
			want: outcome{Error: failed(spi.CodeFailed, "wechat because of: the response is no JSON object with an errcode"), Told: []string{text}},
		},
		{
			name: "too slow", kind: "WECHAT", path: "hangs/", grants: granted,
			props: map[string]string{"wechat.readTimeoutMilliseconds": "150"},
			want:  outcome{Error: failed(spi.CodeUnavailable, "wechat because of: http.request to "+at+": no whole response within 150ms")},
		},
		{
			name: "not granted", kind: "DINGTALK", path: "sent/", grants: spi.Grants{HTTP: []string{"oapi.dingtalk.com"}},
			want: outcome{Decision: spi.DecisionContinue, Log: sent("an dingtalk message been sent successful."), Told: []string{text}},
			denied: failed(spi.CodeDenied, "dingtalk because of: http.request to "+at+
				" is not granted: add it to grants.http of plugin DINGTALK"),
		},
		{
			name: "contradicting properties", kind: "WECHAT", path: "sent/", grants: granted,
			props: map[string]string{"wechat.readTimeout": "1", "wechat.readTimeoutMilliseconds": "2"},
			want: outcome{Error: &spi.Error{
				Code: spi.CodeInvalidProperties, Property: "wechat.readTimeout",
				Message: "wechat.readTimeout is 1, but wechat.readTimeoutMilliseconds, which is the same property, is 2",
			}},
		},
	}
	homes := homes(t)
	t.Run("EMAIL", func(t *testing.T) { testEmail(t, homes) })
	t.Run("webhooks", func(t *testing.T) { testWebhooks(t, homes) })
	for _, home := range homes {
		for i, test := range tests {
			t.Run(home.name+": "+test.name, func(t *testing.T) {
				t.Parallel()
				path := strings.ReplaceAll(home.name, " ", "-") + strconv.Itoa(i)
				given := map[string]string{strings.ToLower(test.kind) + ".webhook": server.URL + "/" + test.path + path + query}
				maps.Copy(given, test.props)
				s := &services{door: host.Door(test.kind, hostcall.Terms{Trusted: home.trusted, Grants: test.grants})}
				message := test.message
				if message == "" {
					message = `no table "订单"` + "\nmain.run\n\tmain.go:7"
				}
				got := handle(t, home.plugins[test.kind], given, s, message)
				group.mu.Lock()
				got.Told = group.told[path]
				group.mu.Unlock()
				want := test.want
				if test.denied != nil && !home.trusted {
					want = outcome{Error: test.denied}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("HandleError() differs (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// handle makes the handler of a job and hands one failure to it. The message
// may be followed by a stack.
func handle(t *testing.T, plugin spi.Plugin, given map[string]string, s *services, message string) outcome {
	t.Helper()
	values, problems := plugin.Descriptor.Props.Resolve(given)
	if len(problems) > 0 {
		t.Fatalf("Resolve(%v) = %v, want no problems", given, problems)
	}
	handler, err := plugin.ErrorHandler(t.Context(), values)
	if err != nil {
		return outcome{Error: spi.AsError(err)}
	}
	message, stack, _ := strings.Cut(message, "\n")
	response, err := handler.HandleError(t.Context(), spi.HandleErrorRequest{
		Context: spi.ShardingContext{
			JobName: "orders", TaskID: "task", ShardingTotalCount: 1, RunID: "1", FireTime: time.UnixMilli(0).UTC(),
			ExecutionSource: spi.SourceNormal, Attempt: 1, Props: values,
		},
		Error: &spi.Error{Code: spi.CodeFailed, Message: message, Stack: stack}, Props: values, Services: s,
	})
	return outcome{Decision: response.Decision, Error: spi.AsError(err), Log: s.lines}
}
