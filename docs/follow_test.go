//go:build unix

package docs_test

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// block is a fenced block of a page that stands below a comment, and what the
// comment says: <!-- what -->.
type block struct{ what, text string }

func blocks(page string) []block {
	var found []block
	for _, match := range regexp.MustCompile("(?ms)^<!-- (.*?) -->\n```[a-z]*\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		found = append(found, block{match[1], match[2]})
	}
	return found
}

// TestReadmeCommandsWork does what the README tells: it makes a module, builds
// it, tries it, and lets a node run it until an item has finished.
func TestReadmeCommandsWork(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// Beside the repository and in its bin/ is no place for a test to write.
	elsewhere := strings.NewReplacer("-o bin/", "-o "+dir+"/bin/", "$PWD/bin", dir+"/bin", "../orders", dir+"/orders")
	var script strings.Builder
	for _, b := range blocks(page(t, "README.md")) {
		if strings.HasPrefix(b.what, "run: ") {
			script.WriteString(elsewhere.Replace(b.text))
		}
	}
	const last = "elasticjob run -c elasticjob.yaml\n"
	before, ends := strings.CutSuffix(script.String(), last)
	if !ends || !strings.Contains(before, dir+"/bin") || !strings.Contains(before, dir+"/orders") {
		t.Fatalf("the commands of the README are not those that this test knows:\n%s", script.String())
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", before+"exec "+last)
	cmd.Dir = root
	// What the node keeps goes elsewhere too, but the go command stays as it is.
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+dir+"/state", "HOME="+dir, "GOFLAGS=-buildvcs=false")
	for _, name := range []string{"GOENV", "GOPATH", "GOCACHE"} {
		cmd.Env = append(cmd.Env, name+"="+goEnv(t, name))
	}
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	finished := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		if !finished && strings.Contains(lines.Text(), "item finished") && strings.Contains(lines.Text(), "run=2") {
			finished = true
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Errorf("interrupting the node: %v", err)
			}
		}
	}
	if err := cmd.Wait(); err != nil || !finished {
		t.Fatalf("the commands of the README end with %v, an item has finished: %t\n%s%s", err, finished, stdout.String(), log.String())
	}
	for _, want := range []string{"hello, Beijing", "hello, Shanghai", "no problems"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the commands of the README print\n%s\nwant %q in it", stdout.String(), want)
		}
	}
}

// goEnv returns a setting of the go command, which without HOME would differ.
func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestAddingPagesWork follows the pages that add something to the tree, each in
// a copy of it.
func TestAddingPagesWork(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sharding-strategy", "error-handler", "job-type"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addTo(t, page(t, "docs/adding/"+name+".md"))
		})
	}
}

// addTo does what a page tells, in the root of a copy of the tree.
func addTo(t *testing.T, text string) {
	t.Helper()
	dir := copyOfTree(t)
	shell := func(commands string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", commands)
		cmd.Dir = dir
		// Without the directory in it, what is compiled here is found in the
		// build cache next time. What a node keeps goes elsewhere.
		cmd.Env = append(os.Environ(), "GOFLAGS=-trimpath -buildvcs=false", "XDG_STATE_HOME="+dir+"-state")
		return cmd
	}
	var shown string
	ran := 0
	for _, b := range blocks(text) {
		verb, rest, _ := strings.Cut(b.what, " ")
		switch verb {
		case "file:":
			writeFile(t, filepath.Join(dir, filepath.FromSlash(rest)), b.text)
		case "insert:":
			name, after, _ := strings.Cut(rest, " after ")
			insertAfter(t, filepath.Join(dir, filepath.FromSlash(name)), strings.Trim(after, `"`), b.text)
		case "run":
			ran++
			cmd := shell(b.text)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s ends with %v\n%s%s", b.text, err, out, stderr.String())
			}
			shown = string(out)
		case "until:":
			ran++
			runUntil(t, shell("exec "+b.text), rest)
		case "shows":
			if !strings.HasSuffix(shown, b.text) {
				t.Errorf("the page shows\n%sbut the commands print\n%s", b.text, shown)
			}
		default:
			t.Errorf("the page has a block with the comment %q, which this test does not know", b.what)
		}
	}
	if ran == 0 {
		t.Error("the page has no commands")
	}
}

// runUntil runs a node until its log holds a text, and interrupts it.
func runUntil(t *testing.T, cmd *exec.Cmd, text string) {
	t.Helper()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	found := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		if !found && strings.Contains(lines.Text(), text) {
			found = true
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Errorf("interrupting the node: %v", err)
			}
		}
	}
	if err := cmd.Wait(); err != nil || !found {
		t.Fatalf("%v ends with %v, its log holds %q: %t\n%s", cmd.Args, err, text, found, log.String())
	}
}

// copyOfTree copies what the command is built of.
func copyOfTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, folder := range []string{"spi", "core", "plugins", "runtime", "internal", "sdk", "cmd"} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(root, folder))); err != nil {
			t.Fatal(err)
		}
	}
	tree := os.DirFS(root)
	sources, err := fs.Glob(tree, "*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(sources, "go.mod", "go.sum") {
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), string(text))
	}
	return dir
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// insertAfter inserts lines after the first line that holds a text.
func insertAfter(t *testing.T, name, after, lines string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, tail, found := strings.Cut(string(text), after)
	if !found {
		t.Fatalf("%s has no line with %q", name, after)
	}
	rest, tail, _ := strings.Cut(tail, "\n")
	writeFile(t, name, head+after+rest+"\n"+lines+tail)
}
