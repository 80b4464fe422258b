package slack_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/slack"
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

// post is what arrives at a webhook.
type post struct {
	Text, Channel, Username string
	Mrkdwn                  *bool
}

// handle hands a failure to a handler of a webhook that answers as given.
func handle(t *testing.T, answer http.HandlerFunc, failure *spi.Error, more map[string]string) (got post, lines []string, err error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
			t.Errorf("the webhook gets %s %s, %v, want a POST of JSON", r.Method, r.Header.Get("Content-Type"), err)
		}
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	host := hostcall.New(hostcall.Config{})
	t.Cleanup(host.Close)
	given := map[string]string{slack.PropWebhook: server.URL + "/services/T000/B000/s3cr3t-s3cr3t-s3cr3t"}
	maps.Copy(given, more)
	values, problems := slack.Plugin().Descriptor.Props.Resolve(given)
	if len(problems) > 0 {
		t.Fatalf("Resolve() = %v, want no problems", problems)
	}
	handler, err := slack.Plugin().ErrorHandler(t.Context(), values)
	if err != nil {
		t.Fatal(err)
	}
	s := &services{door: host.Door(slack.Type, hostcall.Terms{Trusted: true})}
	_, err = handler.HandleError(t.Context(), spi.HandleErrorRequest{Context: spi.ShardingContext{JobName: "orders"}, Error: failure, Props: values, Services: s})
	server.Close() // waits for the request
	return got, s.lines, err
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

func TestTellsTheChannel(t *testing.T) {
	t.Parallel()
	failure := &spi.Error{Code: spi.CodeFailed, Message: "a & b: <!channel> *bold*", Stack: "main.run"}
	got, lines, err := handle(t, ok, failure, map[string]string{slack.PropChannel: "#jobs", slack.PropUsername: "elasticjob"})
	if err != nil {
		t.Fatalf("HandleError() = %v, want nil", err)
	}
	no := false
	want := post{"Job 'orders' exception occur in job processing, caused by a &amp; b: &lt;!channel&gt; *bold*\nmain.run", "#jobs", "elasticjob", &no}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the channel reads (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"An exception has occurred in Job 'orders', a slack message has been sent successfully."}, lines); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if got, _, err := handle(t, ok, failure, nil); err != nil || got.Channel != "" || got.Username != "" {
		t.Errorf("message without channel and username = %+v, error %v, want none in it", got, err)
	}
}

func TestTheAnswerSaysWhetherItWasSent(t *testing.T) {
	t.Parallel()
	const failed = "An exception has occurred in Job 'orders' but failed to send slack because of: unexpected http response status: "
	soon := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for _, test := range []struct {
		status           int
		retryAfter, body string
		want             spi.Error
		after            time.Duration
	}{
		{status: 404, body: "channel_not_found", want: spi.Error{Code: spi.CodeFailed, Message: failed + "404: channel_not_found"}},
		{status: 403, body: "invalid_token s3cr3t-s3cr3t-s3cr3t is in /services/T000/B000/s3cr3t-s3cr3t-s3cr3t", want: spi.Error{Code: spi.CodeFailed, Message: failed + "403: invalid_token *** is in ***"}},
		{status: 429, retryAfter: "30", body: "rate_limited", want: spi.Error{Code: spi.CodeRateLimited, Message: failed + "429: rate_limited", Retryable: true}, after: 30 * time.Second},
		{status: 429, retryAfter: soon, want: spi.Error{Code: spi.CodeRateLimited, Message: failed + "429", Retryable: true}, after: time.Hour},
		{status: 429, retryAfter: "soon", want: spi.Error{Code: spi.CodeRateLimited, Message: failed + "429", Retryable: true}},
		{status: 500, body: "rollup_error", want: spi.Error{Code: spi.CodeUnavailable, Message: failed + "500: rollup_error", Retryable: true}},
		{status: 204, want: spi.Error{Code: spi.CodeFailed, Message: failed + "204"}},
	} {
		_, _, err := handle(t, func(w http.ResponseWriter, _ *http.Request) {
			if test.retryAfter != "" {
				w.Header().Set("Retry-After", test.retryAfter)
			}
			w.WriteHeader(test.status)
			_, _ = io.WriteString(w, test.body)
		}, spi.NewError(spi.CodeFailed, "no such table"), nil)
		e := spi.AsError(err)
		if e == nil {
			t.Errorf("HandleError() with status %d = nil, want an error", test.status)
			continue
		}
		// A date is whole seconds, and some time has passed since it was written.
		if off := test.after - e.RetryAfter; off < 0 || off > time.Minute {
			t.Errorf("HandleError() with Retry-After %q asks to wait %v, want about %v", test.retryAfter, e.RetryAfter, test.after)
		}
		got := *e
		got.RetryAfter = 0
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("HandleError() with status %d fails with (-want +got):\n%s", test.status, diff)
		}
	}
}

func TestTimeoutsAreThoseOfTheProperties(t *testing.T) {
	t.Parallel()
	_, _, err := handle(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then a server sees that its client is gone
		<-r.Context().Done()
	},
		spi.NewError(spi.CodeFailed, "no such table"), map[string]string{"slack.readTimeoutMilliseconds": "50"})
	if e := spi.AsError(err); e == nil || !strings.Contains(e.Message, "no whole response within 50ms") {
		t.Errorf("HandleError() = %v, want no response within 50ms", err)
	}
}

func TestALongTextIsCut(t *testing.T) {
	t.Parallel()
	got, _, err := handle(t, ok, spi.NewError(spi.CodeFailed, strings.Repeat("<订>", 20_000)), nil)
	if err != nil || len(got.Text) > 40_000 || len(got.Text) < 39_980 || !strings.HasSuffix(got.Text, "…") {
		t.Errorf("HandleError() = %v and the channel reads %d bytes, want at most %d and a mark", err, len(got.Text), 40_000)
	}
}

func TestTheDescriptor(t *testing.T) {
	t.Parallel()
	plugin := slack.Plugin()
	if err := plugin.Check(); err != nil {
		t.Errorf("Check() = %v, want nil", err)
	}
	for _, want := range plugin.Descriptor.Wants {
		if err := hostcall.CheckHTTPGrant(want.Value); want.Op != spi.OpHTTPRequest || err != nil {
			t.Errorf("wants %+v, want a grant of hosts: %v", want, err)
		}
	}
}
