package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/config"
)

// FuzzParse reads files that nobody would write: no panic, problems within the
// file, the same problems each time, no value of a placeholder in them, and a
// configuration without problems that stays without.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, problems := config.Parse("fuzz.yaml", data, environment)
		checkPlaces(t, data, problems)
		if text := problems.Error() + cfg.Notes.Error(); strings.Contains(text, secret) && !strings.Contains(string(data), secret) {
			t.Errorf("the problems hold the value of a placeholder: %s", text)
		}
		_, again := config.Parse("fuzz.yaml", data, environment)
		if problems.Error() != again.Error() {
			t.Errorf("Parse = %v, then %v", problems, again)
		}
		if len(problems) == 0 {
			if later := cfg.Validate(); len(later) > 0 {
				t.Errorf("Validate() = %v after Parse found nothing", later)
			}
		}
	})
}
