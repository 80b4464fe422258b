package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// secret is the value of a placeholder that no message may hold.
const secret = "hunter2"

// environment is what the files of testdata are read with.
func environment(name string) (string, bool) {
	value, ok := map[string]string{
		"HOME": "/home/ops", "USERPROFILE": `C:\Users\ops`, "DB_PASSWORD": secret, "THREE": "3", "TOO_MANY": "10001",
		"NOT_A_NUMBER": secret, "BAD_CRON": "0 " + secret + " * * * ?",
	}[name]
	return value, ok
}

// TestGolden compares the problems and notes of each file with its golden.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, path := range files {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			cfg, problems := config.Parse(name, data, environment)
			var b strings.Builder
			for _, p := range problems {
				b.WriteString(p.String() + "\n")
			}
			for _, p := range cfg.Notes {
				b.WriteString("note: " + p.String() + "\n")
			}
			got := b.String()
			checkPlaces(t, data, problems)
			if strings.Contains(got, secret) {
				t.Errorf("the problems hold the value of a placeholder:\n%s", got)
			}
			golden := strings.TrimSuffix(path, ".yaml") + ".problems"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("problems of %s differ (-want +got):\n%s", name, diff)
			}
		})
	}
}

// checkPlaces fails when a problem is not within its file.
func checkPlaces(t *testing.T, data []byte, problems config.Problems) {
	t.Helper()
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
	lines := strings.Split(strings.ReplaceAll(text, "\r", "\n"), "\n")
	for _, p := range problems {
		if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > utf8.RuneCountInString(lines[p.Line-1])+1 {
			t.Errorf("problem %q is not within the file", p)
		}
		if p.Rule == "" || p.Message == "" {
			t.Errorf("problem %+v lacks a rule or message", p)
		}
	}
}
