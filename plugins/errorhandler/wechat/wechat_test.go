package wechat_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/wechat"
	"github.com/elasticjob-go/elasticjob/spi"
)

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

// handled is what comes of one failure.
type handled struct {
	text     string // what the robot was told
	decision spi.Decision
	logged   []spi.LogRecord
}

// handle lets a robot that gives one answer tell of the failure.
func handle(t *testing.T, answer string, failure *spi.Error) (handled, error) {
	t.Helper()
	var h handled
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			MsgType string
			Text    struct{ Content string }
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.MsgType != "text" {
			t.Errorf("the robot gets %+v, %v, want a text", body, err)
		}
		h.text = body.Text.Content
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	host := hostcall.New(hostcall.Config{})
	t.Cleanup(host.Close)
	s := &services{door: host.Door(wechat.Type, hostcall.Terms{Trusted: true})}
	plugin := wechat.Plugin()
	values, problems := plugin.Descriptor.Props.Resolve(map[string]string{"wechat.webhook": server.URL + "/cgi-bin/webhook/send?key=s3cr3t-key"})
	if len(problems) > 0 {
		t.Fatalf("Resolve() = %v, want no problems", problems)
	}
	handler, err := plugin.ErrorHandler(t.Context(), values)
	if err != nil {
		t.Fatal(err)
	}
	response, err := handler.HandleError(t.Context(), spi.HandleErrorRequest{
		Context: spi.ShardingContext{JobName: "orders"}, Error: failure, Props: values, Services: s,
	})
	h.decision, h.logged = response.Decision, s.records
	return h, err
}

func TestTellsTheGroup(t *testing.T) {
	t.Parallel()
	got, err := handle(t, `{"errcode":0,"errmsg":"ok"}`, &spi.Error{Code: spi.CodeFailed, Message: "no such table", Stack: "main.run"})
	if err != nil {
		t.Fatalf("HandleError() = %v, want nil", err)
	}
	want := handled{
		"Job 'orders' exception occur in job processing, caused by no such table\nmain.run", spi.DecisionContinue,
		[]spi.LogRecord{{Level: spi.LevelInfo, Line: "An exception has occurred in Job 'orders', an wechat message has been sent successful."}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(handled{})); diff != "" {
		t.Errorf("HandleError() does (-want +got):\n%s", diff)
	}
}

func TestCutsWhatWeComWouldRefuse(t *testing.T) {
	t.Parallel()
	got, err := handle(t, `{"errcode":0}`, &spi.Error{Code: spi.CodeFailed, Message: strings.Repeat("订单", 10_000)})
	text := got.text
	if err != nil || len(text) > 2048 || len(text) < 2040 || !utf8.ValidString(text) || !strings.HasSuffix(text, "订…") && !strings.HasSuffix(text, "单…") {
		t.Errorf("HandleError() = %v and the group reads %d bytes that end with %q, want at most 2048 and a mark", err, len(text), text[max(0, len(text)-12):])
	}
}

func TestARefusalIsAnError(t *testing.T) {
	t.Parallel()
	got, err := handle(t, `{"errcode":93000,"errmsg":"invalid webhook url s3cr3t-key"}`, spi.NewError(spi.CodeFailed, "no such table"))
	want := &spi.Error{Code: spi.CodeFailed, Message: "An exception has occurred in Job 'orders' but failed to send wechat because of: invalid webhook url *** (errcode 93000)"}
	if diff := cmp.Diff(error(want), err); diff != "" {
		t.Errorf("HandleError() fails with (-want +got):\n%s", diff)
	}
	if got.logged != nil {
		t.Errorf("HandleError() logs %v, want nothing", got.logged)
	}
}

func TestTheDescriptor(t *testing.T) {
	t.Parallel()
	plugin := wechat.Plugin()
	if err := plugin.Check(); err != nil {
		t.Errorf("Check() = %v, want nil", err)
	}
	for _, want := range plugin.Descriptor.Wants {
		if err := hostcall.CheckHTTPGrant(want.Value); want.Op != spi.OpHTTPRequest || err != nil {
			t.Errorf("wants %+v, want a grant of hosts: %v", want, err)
		}
	}
}

func TestContradictingPropertiesAreRefused(t *testing.T) {
	t.Parallel()
	values, problems := wechat.Plugin().Descriptor.Props.Resolve(map[string]string{
		"wechat.webhook": "https://robots.test", "wechat.readTimeout": "1", "wechat.readTimeoutMilliseconds": "2",
	})
	if len(problems) > 0 {
		t.Fatalf("Resolve() = %v, want no problems", problems)
	}
	_, err := wechat.Plugin().ErrorHandler(t.Context(), values)
	if e, ok := errors.AsType[*spi.Error](err); !ok || e.Property != "wechat.readTimeout" {
		t.Errorf("ErrorHandler() fails with %+v, want it to refuse wechat.readTimeout", err)
	}
}
