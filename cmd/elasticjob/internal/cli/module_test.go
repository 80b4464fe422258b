package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/spi"
)

func TestModuleNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ base, wantName, wantType string }{
		{"orders", "orders", "ORDERS"},
		{"My Orders!", "my-orders", "MY_ORDERS"},
		{"2orders", "2orders", "JOB_2ORDERS"},
		{"--a--b--", "a-b", "A_B"},
		{"a23456789012345678901234567890123456789012345678-b2345", "a23456789012345678901234567890123456789012345678-b", "A23456789012345678901234567890123456789012345678_B"},
	} {
		name := moduleName(tt.base)
		if name != tt.wantName || typeOf(name) != tt.wantType {
			t.Errorf("moduleName(%q), typeOf = %q, %q, want %q, %q", tt.base, name, typeOf(name), tt.wantName, tt.wantType)
		}
		if !spi.ValidType(typeOf(name)) {
			t.Errorf("typeOf(%q) = %q, which is no type name", name, typeOf(name))
		}
	}
	if got := moduleName("作业"); got != "" {
		t.Errorf(`moduleName("作业") = %q, want ""`, got)
	}
}

func TestQuotePath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/a/b":     "/a/b",
		"C:/a/b":   "C:/a/b",
		"/a b/c":   `"/a b/c"`,
		`/a"b`:     `"/a\"b"`,
		"/a//b":    `"/a//b"`,
		"/a,(b)/c": `"/a,(b)/c"`,
	} {
		if got := quotePath(path); got != want {
			t.Errorf("quotePath(%q) = %s, want %s", path, got, want)
		}
	}
}

func TestSourceTree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for content, want := range map[string]bool{
		"module " + modulePath + "\n\ngo 1.26\n":           true,
		"// comment\nmodule \"" + modulePath + "\" // x\n": false,
		"module " + modulePath + "/bench\n":                false,
		"module example.com/other\n":                       false,
		"":                                                 false,
	} {
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := isSourceTree(dir); got != want {
			t.Errorf("isSourceTree with %q = %v, want %v", content, got, want)
		}
	}
	if got, err := sourceTree(""); err != nil || !isSourceTree(got) {
		t.Errorf(`sourceTree("") = %q, %v, want the tree around this package`, got, err)
	}
}

func TestBuildFailure(t *testing.T) {
	t.Parallel()
	b := builder{tool: "go", dir: "/abs/orders", shown: "orders"}
	for _, tt := range []struct {
		name string
		text string
		want config.Problems
	}{
		{
			"places", "# example.com/orders\n./main.go:3:15: undefined: nothing\nsub/x.go:10:2: missing return\n",
			config.Problems{
				{File: "orders/main.go", Line: 3, Column: 15, Rule: ruleBuild, Message: "undefined: nothing"},
				{File: "orders/sub/x.go", Line: 10, Column: 2, Rule: ruleBuild, Message: "missing return"},
			},
		},
		{
			"no places", "go: updates to go.mod needed\n",
			config.Problems{{File: "orders", Rule: ruleBuild, Message: "go: updates to go.mod needed"}},
		},
		{
			"silence", "",
			config.Problems{{File: "orders", Rule: ruleBuild, Message: "go failed: exit status 2"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got *problemsError
			if !errors.As(b.failure(tt.text, errors.New("exit status 2")), &got) {
				t.Fatal("failure() is no problemsError")
			}
			if diff := cmp.Diff(tt.want, got.problems); diff != "" {
				t.Errorf("failure(%q) differs (-want +got):\n%s", tt.text, diff)
			}
			if got.status != exitFailed {
				t.Errorf("failure(%q) has status %d, want %d", tt.text, got.status, exitFailed)
			}
		})
	}
}

func TestModuleProblem(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	broken := fmt.Errorf("a.wasm: %w", spi.NewError(spi.CodeProtocol, "is broken"))
	var invalid *problemsError
	if err := moduleProblem(t.Context(), "a.wasm", broken); !errors.As(err, &invalid) || invalid.status != exitInvalid || invalid.problems[0].Message != "is broken" {
		t.Errorf("moduleProblem(a broken module) = %v, want invalid input", err)
	}
	if err := moduleProblem(cancelled, "a.wasm", broken); errors.As(err, &invalid) {
		t.Errorf("moduleProblem(interrupted) = %v, want a failure", err)
	}
	fault := fmt.Errorf("a.wasm: %w", spi.NewError(spi.CodeInternal, "fault"))
	if err := moduleProblem(t.Context(), "a.wasm", fault); !errors.Is(err, fault) {
		t.Errorf("moduleProblem(a fault of the host) = %v, want it as it is", err)
	}
}
