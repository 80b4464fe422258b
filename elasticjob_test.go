package elasticjob_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// guest is a module whose behaviour the job parameter chooses; see its source
// beside it.
const guest = "runtime/wasm/testdata/guest.wasm"

// records collects log records as a script would read them.
type records struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.data.Write(p)
}

func (r *records) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// with returns the records with a message, of a job if it is not "".
func (r *records) with(t *testing.T, message, name string) []map[string]any {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []map[string]any
	for line := range strings.Lines(r.data.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("log line %q is not JSON: %v", line, err)
		}
		if record["msg"] == message && (name == "" || record["job"] == name) {
			found = append(found, record)
		}
	}
	return found
}

// waitFor waits until there are so many records, or fails after a minute.
func (r *records) waitFor(t *testing.T, message, name string, count int) []map[string]any {
	t.Helper()
	var found []map[string]any
	r.waitUntil(t, fmt.Sprintf("there are %d records %q of job %q", count, message, name), func() bool {
		found = r.with(t, message, name)
		return len(found) >= count
	})
	return found
}

// waitUntil waits until a condition holds, or fails after a minute with the log.
func (r *records) waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			r.mu.Lock()
			defer r.mu.Unlock()
			t.Fatalf("it does not hold within a minute that %s; the log:\n%s", what, r.data.String())
		}
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, text string) elasticjob.Config {
	t.Helper()
	dir := t.TempDir()
	c, problems := elasticjob.LoadFile(write(t, dir, "elasticjob.yaml", text))
	if len(problems) > 0 {
		t.Fatalf("LoadFile() = %v, want no problem", problems)
	}
	c.OverrideDataDir(filepath.Join(dir, "data"))
	return c
}

func start(t *testing.T, c elasticjob.Config, options ...elasticjob.Option) (*elasticjob.Node, *records) {
	t.Helper()
	log := &records{}
	node, err := elasticjob.New(t.Context(), c, append(options, elasticjob.WithLogger(log.logger()))...)
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Stop() = %v, want nil", err)
		}
	})
	return node, log
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func TestARunawayGuestDiesAtItsTimeoutAndHarmsNobody(t *testing.T) {
	t.Parallel()
	c := load(t, fmt.Sprintf(`
elasticjob:
  jobs:
    runaway: {elasticJobType: WASM, every: 1s, shardingTotalCount: 2, timeout: 300ms, jobParameter: loop, props: {wasm.module: %[1]q}}
    bomb: {elasticJobType: WASM, every: 1s, shardingTotalCount: 1, jobParameter: bomb, props: {wasm.module: %[1]q}}
    trap: {elasticJobType: WASM, every: 1s, shardingTotalCount: 1, jobParameter: trap, props: {wasm.module: %[1]q}}
    well: {elasticJobType: WASM, every: 1s, shardingTotalCount: 1, props: {wasm.module: %[1]q}}
    other: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 1}
`, absolute(t, guest)))
	_, log := start(t, c)
	for _, name := range []string{"runaway", "bomb", "trap"} {
		want := map[string]spi.Code{"runaway": spi.CodeTimeout, "bomb": spi.CodeLimit, "trap": spi.CodeTrap}[name]
		for _, e := range log.waitFor(t, "item finished", name, 6) {
			if e["outcome"] != "failure" || e["code"] != float64(want) {
				t.Errorf("%s finished with %v, code %v (%v), want a failure of code %d", name, e["outcome"], e["code"], e["err"], want)
			}
		}
	}
	for _, e := range log.waitFor(t, "item finished", "well", 3) {
		if e["outcome"] != "success" {
			t.Errorf("well finished with %v (%v), want success: a broken guest must not harm another", e["outcome"], e["err"])
		}
	}
	for _, e := range log.with(t, "item finished", "other") {
		if e["outcome"] != "success" {
			t.Errorf("other finished with %v, want success", e["outcome"])
		}
	}
	// Each instant of the other job was started once, or, on a machine that is
	// too busy, missed and caught up; none was lost.
	verdicts := make(map[string]int)
	var first, last time.Time
	note := func(at time.Time) {
		verdicts[at.UTC().Format(time.RFC3339)]++
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	for _, e := range log.with(t, "item started", "other") {
		if e["source"] != string(spi.SourceMisfire) {
			note(parseTime(t, "20060102T150405.000Z", e["run"]))
		}
	}
	for _, e := range log.with(t, "item misfired", "other") {
		for at := parseTime(t, time.RFC3339Nano, e["from"]); !at.After(parseTime(t, time.RFC3339Nano, e["to"])); at = at.Add(time.Second) {
			note(at)
		}
	}
	for at := first; !at.After(last); at = at.Add(time.Second) {
		if n := verdicts[at.UTC().Format(time.RFC3339)]; n != 1 {
			t.Errorf("other has %d verdicts for %s, want 1", n, at)
		}
	}
	if last.Sub(first) < 5*time.Second {
		t.Errorf("other fired from %s to %s, want it to go on beside broken guests", first, last)
	}
}

func parseTime(t *testing.T, layout string, value any) time.Time {
	t.Helper()
	at, err := time.Parse(layout, fmt.Sprint(value))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestFilesThatAreNoModuleGiveOneClearProblem(t *testing.T) {
	t.Parallel()
	module, err := os.ReadFile(guest)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		bytes []byte
		entry string // beside wasm in the plugins list
		want  string
	}{
		{"text", []byte("#!/bin/sh\necho no\n"), "", "not a WebAssembly module"},
		{"empty", nil, "", "empty"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), "", "component"},
		{"no exports", []byte("\x00asm\x01\x00\x00\x00"), "", "export"},
		{"cut off", module[:len(module)/2], "", "bad.wasm"},
		{"wrong checksum", module, ", sha256: " + strings.Repeat("ab", 32), "sha256"},
		{"needs more memory than allowed", module, ", limits: {memory: 64KiB}", "memory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "bad.wasm", string(tt.bytes))
			file := write(t, dir, "elasticjob.yaml", `elasticjob:
  plugins:
    - {wasm: bad.wasm`+tt.entry+`}
  jobs:
    a: {elasticJobType: WASM, every: 1s, shardingTotalCount: 1, props: {wasm.module: bad.wasm}}
    b: {elasticJobType: WASM, every: 1s, shardingTotalCount: 1, props: {wasm.module: bad.wasm}}
`)
			c, problems := elasticjob.LoadFile(file)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			c.DataDir = filepath.Join(dir, "data")
			got := elasticjob.Lint(t.Context(), c, true)
			if len(got) != 1 || !strings.Contains(got[0].Message, tt.want) || got[0].Line != 3 {
				t.Errorf("Lint() = %v, want one problem at line 3 with %q", got, tt.want)
			}
			if _, err := elasticjob.New(t.Context(), c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New() = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestAMissingModuleIsReportedWhereTheJobNamesIt(t *testing.T) {
	t.Parallel()
	c := load(t, `elasticjob:
  jobs:
    a:
      elasticJobType: WASM
      every: 1s
      shardingTotalCount: 1
      props:
        wasm.module: modules/none.wasm
`)
	got := elasticjob.Lint(t.Context(), c, true)
	if len(got) != 1 || got[0].Line != 8 || got[0].Column != 22 || !strings.Contains(got[0].Message, "none.wasm") {
		t.Errorf("Lint() = %v, want one problem at 8:22 that names the file", got)
	}
}

func TestStopIsSafeFromSeveralGoroutines(t *testing.T) {
	t.Parallel()
	c := load(t, "elasticjob: {jobs: {a: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 1}}}")
	node, err := elasticjob.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var stops sync.WaitGroup
	for range 4 {
		stops.Go(func() {
			if err := node.Stop(t.Context()); err != nil {
				t.Errorf("Stop() = %v, want nil", err)
			}
		})
	}
	stops.Wait()
	if err := node.Start(t.Context()); err == nil {
		t.Error("Start() after Stop() = nil, want an error")
	}
}

func TestLintFindsWhatOnlyPluginsCanTell(t *testing.T) {
	t.Parallel()
	c := load(t, `elasticjob:
  jobs:
    a:
      elasticJobType: FAKED
      every: 1s
      shardingTotalCount: 1
    b:
      elasticJobType: FAKE
      every: 1s
      shardingTotalCount: 1
      jobShardingStrategyType: AVG_ALOCATION
      jobErrorHandlerType: LOG,PAGER
    c:
      elasticJobType: FAKE
      every: 1s
      shardingTotalCount: 1
      props:
        fake.duration: soon
        fake.hand: none
    d:
      elasticJobType: WASM
      every: 1s
      shardingTotalCount: 1
`)
	var got []string
	for _, p := range elasticjob.Lint(t.Context(), c, true) {
		got = append(got, fmt.Sprintf("%d:%d %s", p.Line, p.Column, p.Rule))
		if p.File == "" || p.Message == "" {
			t.Errorf("problem %+v has no file or message", p)
		}
	}
	want := []string{"4:23 unknown-type", "11:32 unknown-type", "12:28 unknown-type", "18:24 type", "19:20 unknown-property", "20:5 required"}
	if strings.Join(got, "; ") != strings.Join(want, "; ") {
		t.Errorf("Lint() = %v, want %v", got, want)
	}
}

// TestAllProblemsAtOnce holds that neither what is wrong with a file in itself
// hides what only plugins can tell, nor the other way round, and that nothing
// is said twice.
func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, jobs string // jobs, below elasticjob.jobs
		want       []string
	}{
		{"one line", `a: {elasticJobType: FAKE, evry: 1s, shardingTotalCount: 1, jobShardingStrategyType: NOBODY, props: {fake.duration: soon}}`, []string{
			"3:31 unknown-key", "3:89 unknown-type",
		}},
		{"properties beside a bad value", `a: {elasticJobType: FAKE, every: often, shardingTotalCount: 1, props: {fake.duration: soon, fake.hand: x}}`, []string{
			"3:38 type", "3:91 type", "3:108 unknown-property",
		}},
		{"a job too large", `a: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 1, description: "` + strings.Repeat("x", 70_000) + `"}
    b: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 1, props: {fake.duration: soon}}`, []string{
			"3:5 size", "4:88 type",
		}},
		{"a tag", `a: {elasticJobType: !x FAKE, every: 1s, shardingTotalCount: 1}
    b: {elasticJobType: FAKED, every: 1s, shardingTotalCount: 1}`, []string{"3:25 syntax", "4:25 unknown-type"}},
		{"no type", `a: {every: 1s, shardingTotalCount: 1, jobErrorHandlerType: NOBODY}
    b: {elasticJobTyp: FAKE, every: 1s, shardingTotalCount: 1}
    c: {elasticJobType: "${ELASTICJOB_TEST_NONE}", every: 1s, shardingTotalCount: 1}
    d: {elasticJobType: fake, every: 1s, shardingTotalCount: 1, jobErrorHandlerType: [pager, PAGER]}`, []string{
			"3:5 required", "3:64 unknown-type", "4:9 unknown-key", "5:26 placeholder", "6:25 type", "6:86 type", "6:86 unknown-type",
		}},
		{"missing and missing", `a: {elasticJobType: WASM, every: 1s}`, []string{"3:5 required", "3:5 required"}},
		{"properties that are no mapping", `a: {elasticJobType: WASM, every: 1s, shardingTotalCount: 1, props: []}`, []string{"3:72 type"}},
		{"a property without a value", `a: {elasticJobType: WASM, every: 1s, shardingTotalCount: 1, props: {wasm.module: "x${ELASTICJOB_TEST_NONE}"}}`, []string{"3:88 placeholder"}},
		{"an empty module", `a: {elasticJobType: WASM, every: 1s, shardingTotalCount: 1, props: {wasm.module: }}`, []string{"3:73 required"}},
		{"one missing module in two jobs", `a: {elasticJobType: WASM, every: 1s, shardingTotalCount: 1, props: {wasm.module: none.wasm}}
    b: {elasticJobType: WASM, every: 1s, shardingTotalCount: 1, props: {wasm.module: none.wasm}}`, []string{"3:86 plugin", "4:86 plugin"}},
		{"a bad entry for a missing module", `{}
  plugins:
    - {wasm: none.wasm, sha256: x, isolation: no, limits: {memory: 1, timeout: 0s}}
    - {wasm: ./none.wasm}`, []string{"5:14 plugin", "5:33 type", "5:47 type", "5:68 range", "5:80 range", "6:14 conflict"}},
		{"an unusable directory", `{a: {elasticJobType: FAKED, every: 1s, shardingTotalCount: 1}}
  dataDir: elasticjob.yaml/data
  plugins: [{wasm: none.wasm}]`, []string{"3:26 unknown-type", "4:12 file", "5:20 plugin"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c, problems := elasticjob.LoadFile(write(t, dir, "elasticjob.yaml", "elasticjob:\n  jobs:\n    "+tt.jobs+"\n"))
			var got []string
			all := elasticjob.Lint(t.Context(), c, true)
			for _, p := range all {
				got = append(got, fmt.Sprintf("%d:%d %s", p.Line, p.Column, p.Rule))
			}
			if strings.Join(got, "; ") != strings.Join(tt.want, "; ") {
				t.Errorf("Lint() = %v, want %v", all, tt.want)
			}
			for _, p := range problems {
				if !slices.Contains(all, p) {
					t.Errorf("Lint() = %v, want %v in it, which LoadFile found", all, p)
				}
			}
			if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
				t.Errorf("Lint() has left %v, %v, want the configuration alone", names, err)
			}
		})
	}
}

// TestOnZombieExitNeedsAWayToEnd makes nodes that may be told to end their program.
func TestOnZombieExitNeedsAWayToEnd(t *testing.T) {
	t.Parallel()
	c := elasticjob.Defaults()
	c.OnZombie = "exit"
	node, err := elasticjob.New(t.Context(), c)
	if problems, ok := errors.AsType[elasticjob.Problems](err); !ok || len(problems) != 1 || problems[0].Rule != "not-available" {
		t.Errorf("New(onZombie: exit) = %v, %v, want a problem that says to give WithExit", node, err)
	}
	if problems := elasticjob.Lint(t.Context(), c, true); len(problems) > 0 {
		t.Errorf("Lint(onZombie: exit) = %v, want nothing", problems)
	}
	node, err = elasticjob.New(t.Context(), c, elasticjob.WithExit(func() {}))
	if err != nil {
		t.Fatalf("New(onZombie: exit, WithExit) = %v, want nil", err)
	}
	if err := node.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLintWritesNothing(t *testing.T) {
	t.Parallel()
	c := load(t, fmt.Sprintf("elasticjob: {plugins: [{wasm: %q}]}", absolute(t, guest)))
	if problems := elasticjob.Lint(t.Context(), c, true); len(problems) > 0 {
		t.Errorf("Lint() = %v, want no problem", problems)
	}
	if _, err := os.Stat(c.DataDir); !os.IsNotExist(err) {
		t.Errorf("Stat(%s) after Lint = %v, want that there is no such directory", c.DataDir, err)
	}
}

func TestADirectoryThatTheFileDoesNotNameIsNotBlamedOnIt(t *testing.T) {
	t.Parallel()
	c := load(t, "elasticjob: {dataDir: data}")
	c.OverrideDataDir(filepath.Join(write(t, t.TempDir(), "file", ""), "data"))
	for name, problems := range map[string][]elasticjob.Problem{"Lint": elasticjob.Lint(t.Context(), c, true), "New": refusal(t, c)} {
		if len(problems) != 1 || problems[0].File != "" || !strings.Contains(problems[0].Message, "the data directory "+c.DataDir+" cannot be used") {
			t.Errorf("%s() = %+v, want one problem of no file that names the directory", name, problems)
		}
	}
}

// refusal returns why New refuses a configuration.
func refusal(t *testing.T, c elasticjob.Config) []elasticjob.Problem {
	t.Helper()
	_, err := elasticjob.New(t.Context(), c)
	problems, ok := errors.AsType[elasticjob.Problems](err)
	if !ok {
		t.Fatalf("New() = %v, want problems", err)
	}
	return problems
}

func TestPlaceholderValuesDoNotShowInProblems(t *testing.T) {
	t.Setenv("ELASTICJOB_TEST_SECRET", "HUNTER2")
	c := load(t, `elasticjob:
  jobs:
    a: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 1, props: {fake.duration: "${ELASTICJOB_TEST_SECRET}"}}
    b: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 1, props: {"fake.none": "${ELASTICJOB_TEST_SECRET}"}}
    c: {elasticJobType: "${ELASTICJOB_TEST_SECRET}", every: 1s, shardingTotalCount: 1}
    d: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 1, jobErrorHandlerType: "${ELASTICJOB_TEST_SECRET}"}
`)
	problems := elasticjob.Lint(t.Context(), c, true)
	if len(problems) != 4 {
		t.Errorf("Lint() = %v, want four problems", problems)
	}
	for _, p := range problems {
		if strings.Contains(strings.ToLower(p.Message), "hunter2") {
			t.Errorf("problem %q shows the value of a placeholder", p.Message)
		}
	}
}

func TestTheSameTypeTwiceNamesBothSources(t *testing.T) {
	t.Parallel()
	c := load(t, "elasticjob: {}")
	plugin := spi.Plugin{
		Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "FAKE", Description: "another"},
		JobType:    func(context.Context, props.Values) (spi.JobType, error) { return spi.JobTypeFunc(nil), nil },
	}
	_, err := elasticjob.New(t.Context(), c, elasticjob.WithPlugins(plugin))
	if err == nil || !strings.Contains(err.Error(), "FAKE comes from both built-in (version 1) and embedding program") {
		t.Errorf("New() = %v, want a conflict that names both sources", err)
	}
}
