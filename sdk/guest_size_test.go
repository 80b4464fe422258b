package sdk_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The guest half is part of every module, so what it imports decides how
// large they are and how fast they start.
func TestGuestsContainNoLargePackages(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", ".")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, "github.com/elasticjob-go/elasticjob/sdk") {
		t.Fatalf("go list -deps = %v, want the sdk among them", deps)
	}
	for _, dep := range deps {
		root, _, _ := strings.Cut(dep, "/")
		if slices.Contains([]string{"fmt", "encoding", "reflect", "log", "regexp", "net", "os"}, root) {
			t.Errorf("a guest would contain %s", dep)
		}
	}
}

func TestAnEmptyJobIsSmall(t *testing.T) {
	t.Parallel()
	const most = 2_800_000
	info, err := os.Stat(buildModule(t, "empty"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("an empty job has %d bytes", info.Size())
	if info.Size() > most {
		t.Errorf("an empty job has %d bytes, want at most %d", info.Size(), most)
	}
}

// buildModule builds the program in testdata/name and returns the module's
// path.
func buildModule(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".wasm")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-ldflags", "-s -w", "-o", path, "./testdata/"+name)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", name, err, out)
	}
	return path
}
