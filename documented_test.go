package elasticjob_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryEntryHasAnExample holds that the functions and methods of this package
// are shown by an example that runs.
func TestEveryEntryHasAnExample(t *testing.T) {
	t.Parallel()
	entries, examples := map[string]bool{}, map[string]bool{}
	for name, file := range parsePackage(t) {
		for _, declaration := range file.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			switch {
			case !ok:
			case strings.HasSuffix(name, "_test.go"):
				if example, is := strings.CutPrefix(f.Name.Name, "Example"); is {
					examples[example] = true
				}
			case f.Name.IsExported():
				if entry, of := entryOf(f); of {
					entries[entry] = true
				}
			}
		}
	}
	if len(entries) < 25 {
		t.Fatalf("this package has the entries %v, want more", entries)
	}
	for entry := range entries {
		if !examples[entry] {
			t.Errorf("there is no Example%s in example_test.go", entry)
		}
	}
}

// entryOf returns the name that an example of a function or method has, false
// for a method of a type that is not exported.
func entryOf(f *ast.FuncDecl) (string, bool) {
	if f.Recv == nil {
		return f.Name.Name, true
	}
	receiver := f.Recv.List[0].Type
	if pointer, ok := receiver.(*ast.StarExpr); ok {
		receiver = pointer.X
	}
	of, ok := receiver.(*ast.Ident)
	if !ok || !of.IsExported() {
		return "", false
	}
	return of.Name + "_" + f.Name.Name, true
}

// parsePackage parses the files of this package.
func parsePackage(t *testing.T) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	names, err := filepath.Glob("*.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("no files: %v", err)
	}
	set := token.NewFileSet()
	for _, name := range names {
		if files[name], err = parser.ParseFile(set, name, nil, parser.SkipObjectResolution); err != nil {
			t.Fatal(err)
		}
	}
	return files
}
