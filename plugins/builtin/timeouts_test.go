package builtin_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/spi"
)

// services are those that a node gives a built-in plugin.
type services struct{ *hostcall.Door }

func (services) Log(context.Context, spi.LogRecord) {}

// TestTimeoutsOfMessagesAreThoseOfTheProperties sends messages to a server that
// says nothing: over https the connection is never there, over http the response.
// Each handler heeds each of its names for the two time-outs.
func TestTimeoutsOfMessagesAreThoseOfTheProperties(t *testing.T) {
	t.Parallel()
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	host := hostcall.New(hostcall.Config{})
	t.Cleanup(host.Close)
	handlers := make(map[string]spi.Plugin)
	for _, p := range builtin.All() {
		handlers[p.Descriptor.Type] = p
	}
	const connect, read = "no connection within 20ms", "no whole response within 20ms"
	for _, test := range []struct{ handler, address, property, want string }{
		{"DINGTALK", "dingtalk.webhook", "dingtalk.connectTimeoutMilliseconds", connect},
		{"DINGTALK", "dingtalk.webhook", "dingtalk.connectTimeout", connect},
		{"DINGTALK", "dingtalk.webhook", "dingtalk.readTimeoutMilliseconds", read},
		{"DINGTALK", "dingtalk.webhook", "dingtalk.readTimeout", read},
		{"SLACK", "slack.webhook", "slack.connectTimeoutMilliseconds", connect},
		{"SLACK", "slack.webhook", "slack.readTimeoutMilliseconds", read},
		{"WEBHOOK", "webhook.url", "webhook.connectTimeoutMilliseconds", connect},
		{"WEBHOOK", "webhook.url", "webhook.readTimeoutMilliseconds", read},
		{"WECHAT", "wechat.webhook", "wechat.connectTimeoutMilliseconds", connect},
		{"WECHAT", "wechat.webhook", "wechat.connectTimeout", connect},
		{"WECHAT", "wechat.webhook", "wechat.readTimeoutMilliseconds", read},
		{"WECHAT", "wechat.webhook", "wechat.readTimeout", read},
	} {
		t.Run(test.property, func(t *testing.T) {
			t.Parallel()
			scheme := "http://"
			if test.want == connect {
				scheme = "https://"
			}
			plugin := handlers[test.handler]
			values, problems := plugin.Descriptor.Props.Resolve(map[string]string{test.address: scheme + silent.Addr().String(), test.property: "20"})
			if len(problems) > 0 {
				t.Fatalf("Resolve() = %v, want no problems", problems)
			}
			handler, err := plugin.ErrorHandler(t.Context(), values)
			if err != nil {
				t.Fatal(err)
			}
			_, err = handler.HandleError(t.Context(), spi.HandleErrorRequest{
				Error: spi.NewError(spi.CodeFailed, "no such table"), Props: values,
				Services: services{host.Door(test.handler, hostcall.Terms{Trusted: true})},
			})
			if err == nil || !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("HandleError() of %s with %s=20 = %v, want %s", test.handler, test.property, err, test.want)
			}
		})
	}
}
