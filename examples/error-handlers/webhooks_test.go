//go:build unix

package main_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
)

// testWebhooks runs the handlers that call webhooks of any kind in all three
// places.
func testWebhooks(t *testing.T, homes []home) {
	t.Helper()
	host := hostcall.New(hostcall.Config{})
	t.Cleanup(host.Close)
	const text = "Job 'orders' exception occur in job processing, caused by no table <a>"
	for _, test := range []struct {
		kind, body, log string
		props           map[string]string
	}{
		{
			"SLACK", `{"text":"Job 'orders' exception occur in job processing, caused by no table &lt;a&gt;","channel":"#jobs","mrkdwn":false}`,
			"a slack message has been sent successfully.",
			map[string]string{"slack.channel": "#jobs"},
		},
		{
			"WEBHOOK", "orders: " + text, "a webhook has been called successfully.",
			map[string]string{"webhook.content.type": "text/plain", "webhook.template": "${jobName}: ${text}", "webhook.secret": "s3cr3t"},
		},
	} {
		for _, home := range homes {
			t.Run(home.name+": "+test.kind, func(t *testing.T) {
				t.Parallel()
				got := make(chan string, 1)
				server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					if test.kind == "WEBHOOK" && r.Header.Get("webhook-signature") == "" {
						t.Error("the request is not signed")
					}
					got <- string(body)
				}))
				t.Cleanup(server.Close)
				address := map[string]string{"SLACK": "slack.webhook", "WEBHOOK": "webhook.url"}[test.kind]
				given := map[string]string{address: server.URL + "/services/s3cr3t"}
				maps.Copy(given, test.props)
				s := &services{door: host.Door(test.kind, hostcall.Terms{Trusted: home.trusted, Grants: spi.Grants{HTTP: []string{"POST " + server.URL}}})}
				want := outcome{Decision: spi.DecisionContinue, Log: []string{"0 An exception has occurred in Job 'orders', " + test.log}, Told: []string{test.body}}
				have := handle(t, home.plugins[test.kind], given, s, "no table <a>")
				select {
				case body := <-got:
					have.Told = []string{body}
				default:
				}
				if diff := cmp.Diff(want, have); diff != "" {
					t.Errorf("HandleError() differs (-want +got):\n%s", diff)
				}
			})
		}
	}
}
