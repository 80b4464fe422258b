package dingtalk_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/dingtalk"
	"github.com/elasticjob-go/elasticjob/spi"
)

// group is a robot's service that refuses what is not signed with the secret,
// if it has one, and what lacks the keyword.
type group struct {
	secret, keyword string

	// texts are what it was told.
	texts []string
}

// ServeHTTP answers as DingTalk does.
func (g *group) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		MsgType string
		Text    struct{ Content string }
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	switch {
	case err != nil || body.MsgType != "text" || body.Text.Content == "":
		_, _ = io.WriteString(w, `{"errcode":40035,"errmsg":"no text"}`)
	case r.URL.Query().Get("access_token") != "s3cr3t-token":
		_, _ = io.WriteString(w, `{"errcode":300001,"errmsg":"token is not exist"}`)
	case g.secret != "" && !g.isSigned(r):
		_, _ = io.WriteString(w, `{"errcode":310000,"errmsg":"sign not match"}`)
	case !strings.Contains(body.Text.Content, g.keyword):
		_, _ = io.WriteString(w, `{"errcode":310000,"errmsg":"keywords not in content"}`)
	default:
		g.texts = append(g.texts, body.Text.Content)
		_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
	}
}

// isSigned checks the signature as the service does: by what arrives.
func (g *group) isSigned(r *http.Request) bool {
	query := r.URL.Query()
	if len(query["timestamp"]) != 1 || len(query["sign"]) != 1 {
		return false
	}
	milliseconds, err := strconv.ParseInt(query.Get("timestamp"), 10, 64)
	if err != nil || time.Since(time.UnixMilli(milliseconds)).Abs() > time.Hour {
		return false
	}
	mac := hmac.New(sha256.New, []byte(g.secret))
	fmt.Fprintf(mac, "%d\n%s", milliseconds, g.secret)
	got, err := base64.StdEncoding.DecodeString(query.Get("sign"))
	return err == nil && hmac.Equal(got, mac.Sum(nil))
}

// services are those of a built-in plugin.
type services struct {
	door *hostcall.Door

	records []spi.LogRecord
}

func (s *services) Log(_ context.Context, record spi.LogRecord) {
	s.records = append(s.records, record)
}

func (s *services) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	return s.door.Call(ctx, op, request)
}

// handle lets the handler tell the group; the path is that of its webhook.
func handle(t *testing.T, g *group, path string, given map[string]string, message string) (spi.Decision, []spi.LogRecord, error) {
	t.Helper()
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	host := hostcall.New(hostcall.Config{})
	t.Cleanup(host.Close)
	s := &services{door: host.Door(dingtalk.Type, hostcall.Terms{Trusted: true})}
	all := map[string]string{"dingtalk.webhook": server.URL + path}
	maps.Copy(all, given)
	plugin := dingtalk.Plugin()
	values, problems := plugin.Descriptor.Props.Resolve(all)
	if len(problems) > 0 {
		t.Fatalf("Resolve() = %v, want no problems", problems)
	}
	handler, err := plugin.ErrorHandler(t.Context(), values)
	if err != nil {
		t.Fatal(err)
	}
	response, err := handler.HandleError(t.Context(), spi.HandleErrorRequest{
		Context: spi.ShardingContext{JobName: "orders"}, Error: spi.NewError(spi.CodeFailed, message), Props: values, Services: s,
	})
	return response.Decision, s.records, err
}

const hook = "/robot/send?access_token=s3cr3t-token"

func TestTellsTheGroup(t *testing.T) {
	t.Parallel()
	const text = "Job 'orders' exception occur in job processing, caused by no such table"
	tests := []struct {
		name  string
		group group
		path  string
		given map[string]string
		want  string
	}{
		{"plain", group{}, hook, nil, text},
		{"with a keyword", group{keyword: "告警:"}, hook, map[string]string{"dingtalk.keyword": "告警:"}, "告警:" + text},
		{"signed", group{secret: "SEC+/=订单"}, hook, map[string]string{"dingtalk.secret": "SEC+/=订单"}, text},
		{"signed and with a keyword", group{secret: "SEC", keyword: "jobs"}, hook + "&", map[string]string{"dingtalk.secret": "SEC", "dingtalk.keyword": "jobs"}, "jobs" + text},
		{"an empty secret signs nothing", group{}, hook, map[string]string{"dingtalk.secret": ""}, text},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			decision, logged, err := handle(t, &test.group, test.path, test.given, "no such table")
			if err != nil || decision != spi.DecisionContinue {
				t.Errorf("HandleError() = %v, %v, want continue", decision, err)
			}
			if diff := cmp.Diff([]string{test.want}, test.group.texts); diff != "" {
				t.Errorf("the group reads (-want +got):\n%s", diff)
			}
			want := []spi.LogRecord{{Level: spi.LevelInfo, Line: "An exception has occurred in Job 'orders', an dingtalk message been sent successful."}}
			if diff := cmp.Diff(want, logged); diff != "" {
				t.Errorf("HandleError() logs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARefusalIsAnError(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		group group
		path  string
		given map[string]string
		want  string
	}{
		{"another secret", group{secret: "SEC"}, hook, map[string]string{"dingtalk.secret": "SECRET"}, "sign not match (errcode 310000)"},
		{"no secret", group{secret: "SEC"}, hook, nil, "sign not match (errcode 310000)"},
		{"no keyword", group{keyword: "jobs:"}, hook, nil, "keywords not in content (errcode 310000)"},
		// Where the webhook has no query, the signature begins one.
		{"no token", group{secret: "SEC"}, "/robot/send", map[string]string{"dingtalk.secret": "SEC"}, "token is not exist (errcode 300001)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, logged, err := handle(t, &test.group, test.path, test.given, "no such table")
			want := &spi.Error{Code: spi.CodeFailed, Message: "An exception has occurred in Job 'orders' but failed to send dingtalk because of: " + test.want}
			if diff := cmp.Diff(error(want), err); diff != "" {
				t.Errorf("HandleError() fails with (-want +got):\n%s", diff)
			}
			if logged != nil {
				t.Errorf("HandleError() logs %v, want nothing", logged)
			}
		})
	}
}

func TestCutsWhatDingTalkWouldRefuse(t *testing.T) {
	t.Parallel()
	var g group
	_, _, err := handle(t, &g, hook, map[string]string{"dingtalk.keyword": "告警"}, strings.Repeat("订单", 10_000))
	if err != nil || len(g.texts) != 1 {
		t.Fatalf("HandleError() = %v and the group reads %d texts, want one", err, len(g.texts))
	}
	text := g.texts[0]
	if len(text) > 20_000 || len(text) < 19_990 || !utf8.ValidString(text) || !strings.HasPrefix(text, "告警Job") || !strings.HasSuffix(text, "…") {
		t.Errorf("the group reads %d bytes that end with %q, want at most 20000 and a mark", len(text), text[len(text)-12:])
	}
}

func TestTheDescriptor(t *testing.T) {
	t.Parallel()
	plugin := dingtalk.Plugin()
	if err := plugin.Check(); err != nil {
		t.Errorf("Check() = %v, want nil", err)
	}
	for _, field := range plugin.Descriptor.Props {
		if secret := field.Name == "dingtalk.webhook" || field.Name == "dingtalk.secret"; field.Secret != secret {
			t.Errorf("%s is secret: %t, want %t", field.Name, field.Secret, secret)
		}
	}
	for _, want := range plugin.Descriptor.Wants {
		if err := hostcall.CheckHTTPGrant(want.Value); want.Op != spi.OpHTTPRequest || err != nil {
			t.Errorf("wants %+v, want a grant of hosts: %v", want, err)
		}
	}
}
