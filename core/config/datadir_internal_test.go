package config

import (
	"path/filepath"
	"slices"
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
		got, used, faults := expand(test.text, getenv, 8)
		if (len(faults) > 0) != test.bad || !test.bad && (got != test.want || used != test.used) {
			t.Errorf("expand(%q) = %q, %v, %v, want %q, %v", test.text, got, used, faults, test.want, test.used)
		}
	}
}

func TestExpandFindsEveryFault(t *testing.T) {
	t.Parallel()
	_, _, faults := expand("é ${NONE} $${X} ${9} ${OPEN", func(string) (string, bool) { return "", false }, 100)
	var columns []int
	for _, fault := range faults {
		columns = append(columns, fault.column)
	}
	if want := []int{3, 17, 22}; !slices.Equal(columns, want) {
		t.Errorf("expand() finds faults in columns %v, want %v", columns, want)
	}
}
