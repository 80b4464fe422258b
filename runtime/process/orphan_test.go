package process

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

// hostVariable makes the test program a host of the plugin that it names.
const hostVariable = "ELASTICJOB_TEST_HOST"

// runHost loads a plugin, writes its process id and that of a process that it
// has started, and waits to be killed.
func runHost(path string) int {
	h := New(Config{LookupEnv: os.LookupEnv})
	b, err := h.Load(context.Background(), spi.LoadRequest{Path: path, Grants: spi.Grants{Env: []string{"MODE"}}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	j, err := b.Plugins[0].JobType(context.Background(), nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, command := range []string{"pid", "child"} {
		response, err := j.Execute(context.Background(), spi.ExecuteRequest{Context: spi.ShardingContext{JobParameter: command}})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Println(response.Message)
	}
	select {}
}

// TestHostIsKilled kills a host by force: its plugin ends too, also one that
// cannot notice, with what it has started. What the host leaves on disk is
// removed by the next one.
func TestHostIsKilled(t *testing.T) {
	t.Parallel()
	if goruntime.GOOS != "linux" {
		t.Log("only Linux tells which processes run")
		return
	}
	for _, mode := range []string{"", "deaf"} {
		t.Run("mode "+mode, func(t *testing.T) {
			t.Parallel()
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			// It leaves its directory behind.
			dir, err := os.MkdirTemp("", "host-") //nolint:usetesting // the name of t.TempDir is too long for a socket
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			cmd := exec.CommandContext(t.Context(), self)
			cmd.Env = append(os.Environ(), hostVariable+"="+pluginPath, "MODE="+mode, "TMPDIR="+dir)
			cmd.Stderr = t.Output()
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stdout)
			var pids []string
			for len(pids) < 2 && lines.Scan() {
				pids = append(pids, strings.TrimSpace(lines.Text()))
			}
			for _, pid := range pids {
				if !isRunning(pid) {
					t.Errorf("process %s does not run", pid)
				}
			}
			if len(pids) < 2 || t.Failed() {
				t.Fatalf("the host has written %v: %v", pids, lines.Err())
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // it was killed
			for _, pid := range pids {
				if waitFor(func() bool { return !isRunning(pid) }) {
					t.Errorf("process %s outlives its host", pid)
				}
			}
			left := glob(t, dir, workspacePrefix+"*")
			if len(left) != 1 {
				t.Fatalf("the host has left %v", left)
			}
			old := time.Now().Add(-2 * leftoverAge)
			if err := os.Chtimes(filepath.Join(left[0], workspaceLock), old, old); err != nil {
				t.Fatal(err)
			}
			newHost(t, nil, func(c *Config) { c.TempDir = dir }).load(t)
			if now := glob(t, dir, workspacePrefix+"*"); len(now) != 1 || now[0] == left[0] {
				t.Errorf("beside the next host there is %v, want its own directory only", now)
			}
		})
	}
}

// state is the state of a process as ps shows it.
func state(pid string) string {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return rest[:1]
}
