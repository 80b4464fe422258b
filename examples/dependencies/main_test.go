package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheProgramSaysWhatHasFollowed(t *testing.T) {
	t.Parallel()
	config := configuration()
	config.OverrideDataDir(filepath.Join(t.TempDir(), "data"))
	var out strings.Builder
	if err := run(t.Context(), config, &out); err != nil {
		t.Fatal(err)
	}
	want := `with nothing missing: report under the same run id: true
with orders missing: alarm under the same run id: true
before that, alarm was skipped as extract had succeeded
`
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```\n"+want+"```\n") {
		t.Errorf("README.md does not show\n%s", want)
	}
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("the program prints (-want +got):\n%s", diff)
	}
}
