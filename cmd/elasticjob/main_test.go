package main

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite what the stories in testdata/script expect")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"elasticjob": main})
}

// TestStories runs the stories in testdata/script against this test binary as
// the command elasticjob. Beside the commands of testscript they use:
//
//	status N COMMAND…   run a command that must end with that status
//	json stdout|stderr  check that every line is a JSON document, or all together are one
//	node …              see node_test.go
func TestStories(t *testing.T) {
	t.Parallel()
	repository, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	modules, err := filepath.Abs(filepath.Join("testdata", "module"))
	if err != nil {
		t.Fatal(err)
	}
	binary, err := exec.LookPath("elasticjob")
	if err != nil {
		t.Fatal(err)
	}
	environment := append(goEnvironment(t),
		"REPOSITORY="+repository,
		"MODULES="+modules,
		"ELASTICJOB="+binary,
		"XDG_STATE_HOME="+t.TempDir(), // stories share the cache of compiled modules
		"TZ=Asia/Shanghai",
		"LC_ALL=C",
	)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, environment...)
			n := &node{}
			env.Values[nodeKey{}] = n
			env.Defer(n.kill)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": cmdStatus,
			"json":   cmdJSON,
			"node":   cmdNode,
		},
	})
}

// goEnvironment returns the variables without which a story, whose home is
// empty, would build everything anew or reach for the network.
func goEnvironment(t *testing.T) []string {
	t.Helper()
	names := []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOTOOLCHAIN"}
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	values := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	environment := []string{"GOPROXY=off", "GOFLAGS="}
	for i, name := range names {
		environment = append(environment, name+"="+values[i])
	}
	return environment
}

func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("running %s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("status of %s = %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: json stdout|stderr|FILE")
	}
	text := ts.ReadFile(args[0])
	if json.Valid([]byte(text)) {
		return
	}
	for line := range strings.Lines(text) {
		if !json.Valid([]byte(line)) {
			ts.Fatalf("line of %s is no JSON: %s", args[0], line)
		}
	}
	if text == "" {
		ts.Fatalf("%s is empty, want JSON", args[0])
	}
}

// TestRunsWithoutAZoneDatabase makes sure that the zones are linked in.
func TestRunsWithoutAZoneDatabase(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "elasticjob", "cron", "next", "0 0 12 * * ?", "--tz", "Asia/Shanghai", "-n", "1", "--from", "2026-01-01T00:00:00Z")
	cmd.Env = append(os.Environ(), "ZONEINFO="+filepath.Join(t.TempDir(), "none"))
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "2026-01-01T12:00:00+08:00") {
		t.Errorf("cron next = %q, %v, want noon in Shanghai", out, err)
	}
}
