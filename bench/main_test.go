package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRunRefusesWrongFlags(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"window too long":       {[]string{"-d", "61s"}, "-d 1m1s"},
		"window of part":        {[]string{"-d", "1500ms"}, "-d 1.5s"},
		"no expression":         {[]string{"-only", "("}, "-only"},
		"unknown measurement":   {[]string{"-one", "nothing"}, `no measurement "nothing"`},
		"flag that is not ours": {[]string{"-faster"}, "not defined"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), tt.args, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("run(%q) = %v, want an error with %q", tt.args, err, tt.want)
			}
		})
	}
}

func TestMeasurementsHaveDistinctNames(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, m := range measurements() {
		if seen[m.name] {
			t.Errorf("two measurements are named %q", m.name)
		}
		seen[m.name] = true
	}
}

// TestArgumentsAreUnderstood checks that a child reads the flags which its
// parent read.
func TestArgumentsAreUnderstood(t *testing.T) {
	t.Parallel()
	want := settings{window: 7 * time.Second, quick: true, repo: "x", records: "z", profiles: "y", one: "cron"}
	var got settings
	if err := got.flags(io.Discard).Parse(want.arguments("cron")); err != nil {
		t.Fatal(err)
	}
	got.hot, want.hot = nil, nil
	if got.window != want.window || got.quick != want.quick || got.repo != want.repo || got.records != want.records ||
		got.profiles != want.profiles || got.one != want.one {
		t.Errorf("flags of arguments(cron) = %+v, want %+v", got, want)
	}
}

// TestEnginesFire runs every engine with few jobs. How many of their fires come
// in time depends on the machine; that they come and are counted does not.
func TestEnginesFire(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		engine engine
		load   load
	}{
		{"node", engine{whoOurs, startNodes}, load{row: "few", jobs: 5}},
		{"node, monitored", engine{whoOurs, startNodes}, load{row: "few", jobs: 5, monitored: true}},
		{"nodes on Redis", engine{whoOurs, startNodes}, load{row: "few", jobs: 5, monitored: true, redis: true, nodes: 2}},
		{"robfig", engine{whoRobfig, startRobfig}, load{row: "few", jobs: 5}},
		{"gocron", engine{whoGocron, startGocron}, load{row: "few", jobs: 5}},
		{"gocron with locks", engine{whoLocked, startLocked}, load{row: "few", jobs: 5, redis: true, nodes: 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &settings{window: 2 * time.Second, records: filepath.Join(t.TempDir(), "log"), hot: func() error { return nil }}
			results, err := measureLateness(t.Context(), s, tt.load, tt.engine)
			if err != nil {
				t.Fatal(err)
			}
			expected, seen, lost := number(t, results, "expected"), number(t, results, "seen"), number(t, results, "lost")
			if expected != 10 || seen < 1 || seen+lost != expected {
				t.Errorf("measureLateness() expected %v, saw %v and lost %v, want 10 expected and some of them seen", expected, seen, lost)
			}
			if twice := number(t, results, "twice"); twice != 0 && tt.engine.who != whoLocked {
				t.Errorf("measureLateness() saw %v fires twice, want 0", twice)
			}
		})
	}
}

func number(t *testing.T, results []result, name string) float64 {
	t.Helper()
	for _, r := range results {
		for _, v := range r.Values {
			if v.Name == name {
				return v.Number
			}
		}
	}
	t.Fatalf("no value %q in %+v", name, results)
	return 0
}

// TestRunOneProfilesAndPrintsJSON runs the registry measurement as a child does.
func TestRunOneProfilesAndPrintsJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var stdout bytes.Buffer
	if err := run(t.Context(), []string{"-one", "registry", "-profile", dir}, &stdout, io.Discard); err != nil {
		t.Fatal(err)
	}
	var results []result
	if err := json.Unmarshal(stdout.Bytes(), &results); err != nil {
		t.Fatal(err)
	}
	if got := number(t, results, "pairs/s"); got <= 0 {
		t.Errorf("pairs/s = %v, want more than 0", got)
	}
	for _, name := range []string{"registry.cpu.pprof", "registry.heap.pprof"} {
		if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, os.ErrNotExist) {
			t.Errorf("there is no profile %s", name)
		}
	}
}
