package config

import (
	"path/filepath"
	"testing"
)

func TestDataDirOn(t *testing.T) {
	t.Parallel()
	root := t.TempDir() // absolute on the system at hand
	tests := []struct {
		system string
		env    map[string]string
		want   string
	}{
		{"linux", map[string]string{"HOME": root}, filepath.Join(root, ".local", "state", "elasticjob")},
		{"linux", map[string]string{"HOME": "/other", "XDG_STATE_HOME": root}, filepath.Join(root, "elasticjob")},
		{"linux", map[string]string{"HOME": root, "XDG_STATE_HOME": "relative"}, filepath.Join(root, ".local", "state", "elasticjob")},
		{"darwin", map[string]string{"HOME": root}, filepath.Join(root, "Library", "Application Support", "elasticjob")},
		{"windows", map[string]string{"LOCALAPPDATA": root}, filepath.Join(root, "elasticjob")},
		{"windows", map[string]string{"USERPROFILE": root}, filepath.Join(root, "AppData", "Local", "elasticjob")},
		{"linux", nil, ""},
		{"windows", map[string]string{"HOME": root}, ""},
	}
	for _, test := range tests {
		getenv := func(name string) (string, bool) { value, ok := test.env[name]; return value, ok }
		got, ok := dataDirOn(test.system, getenv)
		if got != test.want || ok != (test.want != "") {
			t.Errorf("dataDirOn(%s, %v) = %q, %v, want %q", test.system, test.env, got, ok, test.want)
		}
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	getenv := func(name string) (string, bool) {
		value, ok := map[string]string{"A": "1", "EMPTY": "", "AGAIN": "${A}", "_x9": "9"}[name]
		return value, ok
	}
	tests := []struct {
		text, want string
		used, bad  bool
	}{
		{text: "plain $A {A}", want: "plain $A {A}"},
		{text: "${A}${A}-${_x9}", want: "11-9", used: true},
		{text: "<${EMPTY}>", want: "<>", used: true},
		{text: "${EMPTY:d}", want: "", used: true},
		{text: "${NONE:}", want: "", used: true},
		{text: "${NONE:a:b c}", want: "a:b c", used: true},
		{text: "${AGAIN}", want: "${A}", used: true},
		{text: "$${A}", want: "${A}"},
		{text: "$$${A}", want: "$${A}"},
		{text: "$${A} ${A}", want: "${A} 1", used: true},
		{text: "$$A", want: "$$A"},
		{text: "${NONE}", bad: true},
		{text: "${A", bad: true},
		{text: "${A B}", bad: true},
		{text: "${9A}", bad: true},
		{text: "${:d}", bad: true},
		{text: "${NONE:${A}}", bad: true},
		{text: "${A}" + "${A}${A}${A}${A}${A}${A}${A}${A}", bad: true}, // 9 bytes, and there is room for 8
	}
	for _, test := range tests {
		got, used, err := expand(test.text, getenv, 8)
		if (err != nil) != test.bad || !test.bad && (got != test.want || used != test.used) {
			t.Errorf("expand(%q) = %q, %v, %v, want %q, %v", test.text, got, used, err, test.want, test.used)
		}
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"ca", "abc", 3}, {"kitten", "sitting", 3}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
