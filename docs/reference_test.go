package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/job"
)

// section returns the part of a page below a heading of the second level.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, part, found := strings.Cut(text, "\n## "+heading+"\n")
	if !found {
		t.Fatalf("there is no heading %q", heading)
	}
	part, _, _ = strings.Cut(part, "\n## ")
	return part
}

// firstColumn returns the names in code marks in the first column of tables.
func firstColumn(text string) []string {
	var names []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cell, _, _ := strings.Cut(line[1:], "|")
		for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
			names = append(names, match[1])
		}
	}
	slices.Sort(names)
	return names
}

func TestEveryKeyOfAJobIsDocumented(t *testing.T) {
	t.Parallel()
	want := []string{"jobExecutorServiceHandlerType", "elasticJobClass"} // other names of the pool and of the type
	for field := range reflect.TypeFor[job.Config]().Fields() {
		if key, _, _ := strings.Cut(field.Tag.Get("json"), ","); key != "jobName" { // it is the key of the job
			want = append(want, key)
		}
	}
	slices.Sort(want)
	got := firstColumn(section(t, page(t, "docs/reference/config.md"), "A job"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys of a job in docs/reference/config.md differ (-want +got):\n%s", diff)
	}
}

// TestDocumentedKeysAreTaken writes a file with every documented key of the
// node, of the registry center and of a plugin, most without a value: all must
// be known.
func TestDocumentedKeysAreTaken(t *testing.T) {
	t.Parallel()
	text := page(t, "docs/reference/config.md")
	node := firstColumn(section(t, text, "The node"))
	center := firstColumn(section(t, text, "regCenter"))
	plugin := firstColumn(section(t, text, "An element of plugins"))
	if len(node) < 10 || len(center) < 18 || len(plugin) < 5 {
		t.Fatalf("docs/reference/config.md has the keys %v, %v and %v, want more", node, center, plugin)
	}
	var file strings.Builder
	file.WriteString("elasticjob:\n")
	for _, key := range node {
		if key != "plugins" {
			file.WriteString("  " + key + ":\n")
		}
	}
	file.WriteString("  regCenter.serverLists: a:1\n  regCenter.namespace: n\n")
	for _, key := range center {
		if key != "serverLists" && key != "namespace" {
			file.WriteString("  regCenter." + key + ":\n")
		}
	}
	file.WriteString("  plugins:\n  - wasm: a.wasm\n")
	for _, key := range plugin {
		if key != "wasm" {
			file.WriteString("    " + key + ":\n")
		}
	}
	_, problems := config.Parse("keys.yaml", []byte(file.String()), func(string) (string, bool) { return "", false })
	for _, p := range problems {
		t.Errorf("a file with all documented keys: %s", p)
	}
}

func TestEveryRecordIsDocumented(t *testing.T) {
	t.Parallel()
	text := page(t, "docs/reference/log.md")
	got := append(firstColumn(section(t, text, "What scripts may rely on")), firstColumn(section(t, text, "The others"))...)
	// The reasons of item misfired stand in a table of their own.
	got = slices.DeleteFunc(got, func(name string) bool {
		return slices.Contains([]string{"still-running", "misfire-off", "not-running", "owner-lost", "disabled"}, name)
	})
	slices.Sort(got)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(messages(t))), got); diff != "" {
		t.Errorf("messages in docs/reference/log.md differ (-want +got):\n%s", diff)
	}
}

// messages returns the constant messages that the program logs: those of calls
// to something called logger.
func messages(t *testing.T) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	for _, folder := range []string{".", "core", "runtime", "internal", "cmd", "plugins"} {
		top := filepath.Join(root, folder)
		err := filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && (entry.Name() == "testdata" || folder == "." && name != top):
				return fs.SkipDir
			case filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for node := range ast.Preorder(file) {
				if message, ok := logged(node); ok {
					found[message] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// logged returns the message of a call to a logger.
func logged(node ast.Node) (string, bool) {
	call, ok := node.(*ast.CallExpr)
	if !ok {
		return "", false
	}
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	place, isLog := map[string]int{"Debug": 0, "Info": 0, "Warn": 0, "Error": 0, "LogAttrs": 2}[method.Sel.Name]
	if !isLog || len(call.Args) <= place || !strings.HasSuffix(strings.ToLower(nameOf(method.X)), "logger") {
		return "", false
	}
	literal, ok := call.Args[place].(*ast.BasicLit)
	if !ok {
		return "", false
	}
	message, err := strconv.Unquote(literal.Value)
	return message, err == nil
}

// nameOf returns the last name of an expression such as a.b.logger.
func nameOf(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	default:
		return ""
	}
}
