// Package docs_test holds the documentation to the tree: links lead somewhere,
// references are complete, and what a page tells to do works.
package docs_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the root of the repository, seen from this folder.
const root = ".."

// pages returns the pages of the repository by path, slashes in it.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	tree := os.DirFS(root)
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := path.Base(name); entry.IsDir() && name != "." && (base[0] == '.' || base == "testdata" || base == "node_modules" || base == "bin" || base == "dist") {
			return fs.SkipDir
		}
		if path.Ext(name) != ".md" {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		found[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found["README.md"] == "" || found["docs/architecture.md"] == "" {
		t.Fatalf("there are only %d pages below %s", len(found), root)
	}
	return found
}

// page returns one page.
func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	all := pages(t)
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for name, text := range all {
		for _, match := range link.FindAllStringSubmatch(withoutCode(text), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(match[1], "#")
			target := name
			if file != "" {
				target = path.Join(path.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(target))); err != nil {
				t.Errorf("%s links to %s: %v", name, match[1], err)
			} else if anchor != "" && !hasHeading(all[target], anchor) {
				t.Errorf("%s links to %s, but %s has no such heading", name, match[1], target)
			}
		}
	}
}

// withoutCode blanks fenced blocks, in which nothing is a link.
func withoutCode(text string) string {
	return regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(text, "")
}

// hasHeading says whether a page has the heading of an anchor.
func hasHeading(text, anchor string) bool {
	for line := range strings.Lines(withoutCode(text)) {
		heading := strings.TrimLeft(line, "#")
		if heading == line {
			continue
		}
		heading = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
		if strings.ReplaceAll(heading, " ", "-") == anchor {
			return true
		}
	}
	return false
}

func TestReadmeIsShort(t *testing.T) {
	t.Parallel()
	if lines := strings.Count(page(t, "README.md"), "\n"); lines >= 200 {
		t.Errorf("README.md has %d lines, want less than 200", lines)
	}
}

func TestArchitectureNamesEveryPackage(t *testing.T) {
	t.Parallel()
	text := page(t, "docs/architecture.md")
	for _, folder := range []string{"core", "core/registry", "runtime", "spi"} {
		entries, err := os.ReadDir(filepath.Join(root, filepath.FromSlash(folder)))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(folder), e.Name(), "*.go"))
			if err != nil {
				t.Fatal(err)
			}
			if name := path.Join(folder, e.Name()); len(files) > 0 && !strings.Contains(text, "["+name+"]") {
				t.Errorf("docs/architecture.md has no line for package %s", name)
			}
		}
	}
	scripts, err := filepath.Glob(filepath.Join(root, "core", "registry", "scripts", "*.lua"))
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		name := strings.TrimSuffix(filepath.Base(script), ".lua")
		isShared := strings.Contains(text, "`"+name+".lua`") // by other scripts
		if !isShared && !strings.Contains(text, "\n| "+name+" |") {
			t.Errorf("docs/architecture.md has no line for script %s", name)
		}
	}
}

func TestEveryDependencyHasAReason(t *testing.T) {
	t.Parallel()
	rationale := strings.ToLower(page(t, "docs/rationale.md"))
	require := regexp.MustCompile(`(?m)^\s*(?:require )?(\S+\.\S+/\S+) v\S+$`)
	direct := require.FindAllStringSubmatch(page(t, "go.mod"), -1)
	if len(direct) == 0 {
		t.Fatal("go.mod requires nothing directly")
	}
	for _, match := range direct {
		parts := strings.Split(regexp.MustCompile(`/v\d+$`).ReplaceAllString(match[1], ""), "/")
		if name := parts[len(parts)-1]; !strings.Contains(rationale, name) {
			t.Errorf("docs/rationale.md does not say why there is a dependency on %s", match[1])
		}
	}
}
