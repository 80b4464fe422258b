//go:build unix

package builtin_test

import (
	"path/filepath"
	"testing"

	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/spi/spitest"
)

// TestEveryPluginKeepsTheContract runs what holds for any plugin on all that are
// built in. Addresses lead nowhere, so what sends something meets failure.
func TestEveryPluginKeepsTheContract(t *testing.T) {
	t.Parallel()
	const nowhere = "http://127.0.0.1:1/x"
	given := map[string]map[string]string{
		"DINGTALK": {"dingtalk.webhook": nowhere},
		"EMAIL": {
			"email.host": "127.0.0.1", "email.port": "1", "email.username": "u", "email.password": "p",
			"email.from": "from@example.com", "email.to": "to@example.com",
		},
		"FILE":    {"file.action": "checksum", "file.source": t.TempDir(), "file.target": t.TempDir()},
		"HTTP":    {"http.uri": nowhere},
		"LABEL":   {"label.selector": "!nowhere"},
		"SCRIPT":  {"script.command.line": "echo"},
		"SLACK":   {"slack.webhook": nowhere},
		"SQL":     {"sql.url": "sqlite:" + filepath.Join(t.TempDir(), "contract.db"), "sql.statement": "SELECT 1"},
		"WEBHOOK": {"webhook.url": nowhere},
		"WECHAT":  {"wechat.webhook": nowhere},
	}
	for _, p := range builtin.All() {
		t.Run(string(p.Descriptor.Kind)+" "+p.Descriptor.Type, func(t *testing.T) {
			t.Parallel()
			spitest.Contract(t, p, given[p.Descriptor.Type])
		})
	}
}
