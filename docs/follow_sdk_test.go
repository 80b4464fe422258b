//go:build unix

package docs_test

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestPageOfTheGoSDKWorks follows the page from an empty folder to a node that
// runs a plugin of every kind.
func TestPageOfTheGoSDKWorks(t *testing.T) {
	t.Parallel()
	shown := follow(t, "docs/plugins/sdk-go.md", "shipping")
	for _, want := range []string{"shardingStrategy  REVERSE", "tracingSink", "shipped to Shanghai", "no problems"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the commands of the page print\n%s\nwant %q in it", shown, want)
		}
	}
}

// TestPageOfTheCSDKWorks follows the page from an empty folder to a node that
// spreads items by a strategy in C.
func TestPageOfTheCSDKWorks(t *testing.T) {
	t.Parallel()
	shown := follow(t, "docs/plugins/sdk-c.md", "spread")
	for _, want := range []string{"shardingStrategy  SPREAD", "hello, Shanghai", "10.0.0.2", "no problems"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the commands of the page print\n%s\nwant %q in it", shown, want)
		}
	}
}

// TestPageOfNodeWorks follows the page from an empty folder to a node that runs
// a job in JavaScript.
func TestPageOfNodeWorks(t *testing.T) {
	t.Parallel()
	shown := follow(t, "docs/plugins/node.md", "greetings")
	for _, want := range []string{"jobType GREETING: Greets", "no problems"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the commands of the page print\n%s\nwant %q in it", shown, want)
		}
	}
}

// follow does what a page tells: it writes its files into the project beside
// the repository, runs its commands, and runs its node until the log holds what
// the page says. It returns what the commands print.
func follow(t *testing.T, name, project string) string {
	t.Helper()
	dir := t.TempDir()
	env := environment(t, dir)
	elsewhere := strings.NewReplacer("../"+project, filepath.Join(dir, project))
	at := root
	var shown strings.Builder
	nodes := 0
	for _, b := range blocks(page(t, name)) {
		verb, rest, _ := strings.Cut(b.what, " ")
		switch verb {
		case "file:":
			writeFile(t, filepath.Join(dir, project, filepath.FromSlash(rest)), b.text)
		case "run":
			cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", elsewhere.Replace(b.text))
			cmd.Dir, cmd.Env = at, env
			out, err := cmd.CombinedOutput()
			shown.Write(out)
			if err != nil {
				t.Fatalf("%s ends with %v\n%s", b.text, err, out)
			}
			if strings.Contains(b.text, "\ncd ../"+project) {
				at = filepath.Join(dir, project)
			}
		case "node:":
			nodes++
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			cmd := exec.CommandContext(ctx, "sh", "-e", "-c", "exec "+b.text)
			cmd.Dir, cmd.Env = at, env
			defer cancel()
			runNode(t, cmd, regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(rest, -1))
		default:
			t.Errorf("%s has a block with the comment %q, which this test does not know", name, b.what)
		}
	}
	if nodes == 0 || at == root {
		t.Errorf("%s runs no node in %s", name, project)
	}
	return shown.String()
}

// environment builds the command and returns an environment that finds it and
// keeps in dir what a node keeps.
func environment(t *testing.T, dir string) []string {
	t.Helper()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "bin")+"/", "./cmd/elasticjob")
	build.Dir = root
	build.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the command: %v\n%s", err, out)
	}
	env := append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "XDG_STATE_HOME="+dir+"/state", "HOME="+dir, "GOFLAGS=-buildvcs=false")
	for _, name := range []string{"GOENV", "GOPATH", "GOCACHE"} {
		env = append(env, name+"="+goEnv(t, name))
	}
	return env
}

// runNode runs a node until its log holds all texts, and ends it.
func runNode(t *testing.T, cmd *exec.Cmd, wanted [][]string) {
	t.Helper()
	if len(wanted) == 0 {
		t.Fatal("the page does not say what its node logs")
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
	missing := make(map[string]bool)
	for _, match := range wanted {
		missing[match[1]] = true
	}
	var log strings.Builder
	asked := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		for text := range missing {
			if strings.Contains(lines.Text(), text) {
				delete(missing, text)
			}
		}
		if len(missing) == 0 && !asked {
			asked = true
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Errorf("interrupting the node: %v", err)
			}
		}
	}
	if err := cmd.Wait(); err != nil || len(missing) > 0 {
		t.Fatalf("the node ends with %v, and its log lacks %v\n%s%s", err, missing, stdout.String(), log.String())
	}
}
