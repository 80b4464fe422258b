package docs_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestTheProgramOfThePageCompiles holds that the program of docs/embedding.md is
// one, and as short as it is said to be.
func TestTheProgramOfThePageCompiles(t *testing.T) {
	t.Parallel()
	_, rest, found := strings.Cut(page(t, "docs/embedding.md"), "<!-- program -->\n```go\n")
	program, _, ends := strings.Cut(rest, "```\n")
	if !found || !ends {
		t.Fatal("docs/embedding.md has no program")
	}
	file := t.TempDir() + "/main.go"
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "vet", file)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go vet of the program of docs/embedding.md: %v\n%s", err, out)
	}
	_, body, _ := strings.Cut(program, "func main() {\n")
	body, _, _ = strings.Cut(body, "\n}\n")
	if lines := strings.Count(body, "\n") + 1; lines > 10 {
		t.Errorf("its main has %d lines, want at most ten", lines)
	}
}
