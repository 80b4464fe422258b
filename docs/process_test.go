package docs_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// TestProcessProtocolIsWhole holds the specification of the protocol to its
// names and numbers.
func TestProcessProtocolIsWhole(t *testing.T) {
	t.Parallel()
	text := page(t, "docs/plugins/process-protocol.md")
	want := []string{
		"`" + pluginpb.CookieKey + "` | `" + pluginpb.CookieValue + "`", "`" + pluginpb.EnvPath + "`",
		fmt.Sprintf("\n%d|%d|unix|", 1, pluginpb.ProtocolVersion), "`" + pluginpb.Plugin_ServiceDesc.ServiceName + "`", "`" + pluginpb.Host_ServiceDesc.ServiceName + "`",
		fmt.Sprintf("up to %d MiB in either direction", pluginpb.MaxFrame>>20), fmt.Sprintf("| a request, a response, and each of operations | %d MiB |", wire.MaxMessage>>20),
		fmt.Sprintf("| %d KiB, %d KiB, %d KiB | cut |", wire.MaxText>>10, wire.MaxStack>>10, wire.MaxText>>10),
		fmt.Sprintf("| elements of `data`, plugins | %d, %d |", wire.MaxData, wire.MaxPlugins),
		fmt.Sprintf("| log of one call | %d MiB |", wire.MaxCallLog>>20),
	}
	bounded := fmt.Sprintf("%.0f s", wire.CallTimeout.Seconds())
	for method, bound := range map[string]string{
		"Describe": fmt.Sprintf("%.0f s", wire.DescribeTimeout.Seconds()), "Shard": bounded, "HandleError": bounded, "Trace": bounded,
	} {
		if !regexp.MustCompile("(?m)^\\| `" + method + "` \\|.*\\| " + bound + " \\|$").MatchString(text) {
			t.Errorf("docs/plugins/process-protocol.md has no row of %s that ends within %s", method, bound)
		}
	}
	for _, method := range pluginpb.Plugin_ServiceDesc.Methods {
		if method.MethodName != "Attach" {
			want = append(want, "`"+method.MethodName+"`")
		}
	}
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("docs/plugins/process-protocol.md does not have %q", w)
		}
	}
}
