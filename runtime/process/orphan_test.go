package process

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/spi"
)

// hostVariable makes the test program a host of the plugin that it names.
const hostVariable = "ELASTICJOB_TEST_HOST"

// runHost loads a plugin, writes its process id, and waits to be killed.
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
	response, err := j.Execute(context.Background(), spi.ExecuteRequest{Context: spi.ShardingContext{JobParameter: "pid"}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(response.Message)
	select {}
}

// TestHostIsKilled kills a host by force: its plugin ends too, also one that
// cannot notice.
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
			if !lines.Scan() {
				t.Fatalf("the host has written nothing: %v", lines.Err())
			}
			pid := strings.TrimSpace(lines.Text())
			if !isRunning(pid) {
				t.Fatalf("process %s does not run", pid)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // it was killed
			if waitFor(func() bool { return !isRunning(pid) }) {
				t.Errorf("process %s outlives its host", pid)
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
