//go:build unix

package builtin_test

import (
	"cmp"
	"maps"
	"path/filepath"
	"testing"

	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/spi/spitest"
)

// TestEveryPluginKeepsTheContract runs what holds for any plugin on all that are
// built in. Addresses lead nowhere, so what sends something meets failure. A plugin
// that is not in the table gets examples of what it requires.
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
			values := maps.Clone(given[p.Descriptor.Type])
			if values == nil {
				values = make(map[string]string)
			}
			for _, field := range p.Descriptor.Props {
				if _, ok := values[field.Name]; field.Required && !ok {
					values[field.Name] = cmp.Or(field.Example, "x")
				}
			}
			spitest.Contract(t, p, values)
		})
	}
}
