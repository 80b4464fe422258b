package sqltext

import (
	"strings"
	"testing"
)

// FuzzParse holds that a text is copied as it is written but for placeholders,
// of which there is one for each parameter.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"DELETE FROM t WHERE id % :shardingTotalCount = :shardingItem;", `SELECT E'\'', $a$ ; $a$, "a""b", 'c''d' -- e`, "SELECT `a`, [b], /* /* c */ */ :runId::int # d",
		"INSERT INTO t VALUES (:jobName); ; SELECT x$y$z", "SELECT ':", "$", "/*", "E'\\", ":a", "DO $$ a; $$;",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		const mark = "\x00" // no text has it
		for name, g := range map[string]Grammar{"PostgreSQL": PostgreSQL(), "MySQL": MySQL(), "SQLite": SQLite()} {
			g.placeholder = func(int) string { return mark }
			statements, err := Parse(text, g, func(string) error { return nil })
			if err != nil {
				continue
			}
			rest := text
			for _, s := range statements {
				parts := strings.Split(s.Text, mark)
				if len(parts) != len(s.Parameters)+1 {
					t.Fatalf("Parse(%q) of %s has %d placeholders for %q", text, name, len(parts)-1, s.Parameters)
				}
				for i, part := range parts {
					if i > 0 {
						part = ":" + s.Parameters[i-1] + part
					}
					// A space may be new before a placeholder.
					part = strings.TrimSuffix(part, " ")
					_, behind, found := strings.Cut(rest, part)
					if !found {
						t.Fatalf("Parse(%q) of %s has %q, which is not in the text", text, name, part)
					}
					rest = behind
				}
			}
		}
	})
}
