package docs_test

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryPlaceOfAKindIsListed compares the page that adds an extension point
// with the packages whose code names the two kinds that came last.
func TestEveryPlaceOfAKindIsListed(t *testing.T) {
	t.Parallel()
	text := page(t, "docs/adding/extension-point.md")
	var listed []string
	for _, match := range regexp.MustCompile(`\]\(\.\./\.\./([^)]+)\)`).FindAllStringSubmatch(text, -1) {
		listed = append(listed, path.Dir(match[1]))
	}
	kinds := regexp.MustCompile(`\b(Kind)?(TracingSinks?|JobListeners?)\b`)
	found := make(map[string]bool)
	tree := os.DirFS(root)
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := path.Base(name); entry.IsDir() && name != "." && (base[0] == '.' || base == "testdata" || base == "node_modules" || base == "docs") {
			return fs.SkipDir
		}
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		code, err := fs.ReadFile(tree, name)
		if kinds.Match(code) {
			found[path.Dir(name)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 8 {
		t.Errorf("only %v name the kinds, want more", found)
	}
	for dir := range found {
		if !slices.ContainsFunc(listed, func(l string) bool { return dir == l || strings.HasPrefix(dir, l+"/") }) {
			t.Errorf("%s names a kind of plugin, but docs/adding/extension-point.md does not list it", dir)
		}
	}
}
