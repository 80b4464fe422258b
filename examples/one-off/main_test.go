package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob"
)

func TestTheProgramSaysWhatBecameOfItsTriggers(t *testing.T) {
	t.Parallel()
	config := configuration()
	config.OverrideDataDir(filepath.Join(t.TempDir(), "data"))
	var out strings.Builder
	if err := run(t.Context(), config, &out); err != nil {
		t.Fatal(err)
	}
	want := `everything: accepted [0 1 2]
once more:  refused true
everything: succeeded [0 1] failed [2]
again:      succeeded [2] failed []
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

// TestTheJobWithoutANode runs one item with a parameter, as unit tests may.
func TestTheJobWithoutANode(t *testing.T) {
	t.Parallel()
	config := configuration()
	config.OverrideDataDir(filepath.Join(t.TempDir(), "data"))
	items, err := elasticjob.RunLocal(t.Context(), config, elasticjob.LocalRun{Items: []int{2}}, elasticjob.WithFunc("rebuildIndex", rebuild))
	if err != nil || len(items) != 1 {
		t.Fatalf("RunLocal() = %+v, %v, want one item", items, err)
	}
	if got := items[0].Error; got == nil || got.Message != "too many orders: say since when" {
		t.Errorf("item 2 ends with %v, want that the parameter is missed", got)
	}
}
