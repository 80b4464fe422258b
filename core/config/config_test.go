package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
)

// load reads a file of testdata that has no problem.
func load(t *testing.T, name string) config.Config {
	t.Helper()
	cfg, problems := config.Load(filepath.Join("testdata", name), environment)
	if err := problems.Err(); err != nil {
		t.Fatalf("Load(%s) = %v, want no problems", name, err)
	}
	return cfg
}

// absolute makes a path relative to testdata absolute.
func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(filepath.Join("testdata", path))
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func definition(name string, change func(*job.Config)) job.Config {
	c := job.Defaults(name)
	change(&c)
	return c
}

func TestLoadFull(t *testing.T) {
	t.Parallel()
	want := config.Config{
		File: filepath.Join("testdata", "full.yaml"), DataDir: absolute(t, "data"),
		ShutdownGrace: 5 * time.Second, MaxRunningItems: 64, OnZombie: config.ZombieExit,
		Instance: config.Instance{
			ID: "node-1", PreferredNetworkIP: "10.0.*", PreferredNetworkInterface: "eth0",
			Labels: map[string]string{"zone": "a", "topology.kubernetes.io/region": "eu"},
		},
		Plugins: []config.Plugin{
			{
				Host: config.HostWASM,
				Path: "modules/orders.wasm", File: absolute(t, "modules/orders.wasm"),
				SHA256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", Isolation: config.IsolationPooled,
				Limits: config.Limits{Memory: 64 << 20, Timeout: 10 * time.Minute, Concurrency: 8},
				Grants: spi.Grants{
					HTTP: []string{"api.example.com", "GET,POST https://*.example.org:8443"}, Env: []string{"REGION", "LANG"},
					Dirs: []spi.Dir{
						{Path: absolute(t, "data"), Guest: "/data"},
						{Path: absolute(t, "../out"), Guest: "/results", Writable: true},
					},
					Secrets: []string{"db-password", "api.key"}, Clock: spi.ClockFrozen, Random: spi.RandomSeeded,
				},
			},
			{
				Host: config.HostWASM, Path: "modules/small.wasm", File: absolute(t, "modules/small.wasm"), Isolation: config.IsolationFresh,
				Limits: config.Limits{Memory: 128 << 10},
			},
			{
				Host: config.HostProcess, Path: "bin/spark-plugin", File: absolute(t, "bin/spark-plugin"), Limits: config.Limits{Concurrency: 2},
				Grants: spi.Grants{HTTP: []string{"spark.example.com:8998"}, Env: []string{"SPARK_HOME", "REGION"}},
			},
		},
		Secrets: map[string]config.Secret{
			"db-password": {Value: secret}, "api.key": {File: absolute(t, "keys/api")}, "from.env": {Value: secret},
		},
		Tracing: &config.Tracing{Type: "HISTORY", Props: map[string]string{"depth": "3", "queue.size": "5"}},
		Jobs: []job.Config{
			{
				Name: "ordersReconcile", Type: "ORDERS", Cron: "0/5 * * * * ?", TimeZone: "GMT+08:00", ShardingTotalCount: 3,
				ShardingItemParameters: "0=Beijing,1=Shanghai,2=Guangzhou", JobParameter: "007",
				Timeout: 90 * time.Second, MaxRetries: 3, RetryBackoff: 250 * time.Millisecond, ConcurrencyPolicy: job.ConcurrencyCancelRunning, OnLeaseLoss: job.LeaseLossContinue,
				MaxTimeDiffSeconds: 60, ReconcileIntervalMinutes: 5,
				ShardingStrategyType: "ODEVITY", PoolType: "8", ErrorHandlerTypes: []string{"LOG", "EMAIL"}, ListenerTypes: []string{"AUDIT", "NOTIFY"},
				StartedTimeoutMilliseconds: 1500, CompletedTimeoutMilliseconds: 60_000,
				Description: "Two words: quoted", Disabled: true, Overwrite: true, Label: "billing",
				Props: map[string]string{
					"batch.size": "500", "octal": "007", "float": "1e3", "word": "yes", "empty": "", "hex": "0x1F",
					"date": "2030-01-01", "list": "a,1,,0x1F", "email.host": "mail.example.com", "email.port": "465",
					"email.tls.verify": "true", "literal": "${NOT_A_PLACEHOLDER}", "secret": secret, "folded": "one two",
				},
			},
			definition("nightly.report", func(c *job.Config) {
				c.Type, c.Every, c.ShardingTotalCount, c.PoolType = "WASM", 30*time.Second, 1, job.PoolSingleThread
				c.ErrorHandlerTypes = []string{"LOG", "IGNORE"}
				c.Props["wasm.module"] = "modules/nightly.wasm"
			}),
			definition("once", func(c *job.Config) {
				c.Type, c.At, c.ShardingTotalCount = "SCRIPT", time.Date(2030, 1, 31, 1, 0, 0, 0, time.UTC), 1
			}),
		},
	}
	if diff := cmp.Diff(want, load(t, "full.yaml"), cmpopts.IgnoreUnexported(config.Config{})); diff != "" {
		t.Errorf("Load(full.yaml) differs (-want +got):\n%s", diff)
	}
}

func TestDottedKeys(t *testing.T) {
	t.Parallel()
	cfg := load(t, "dotted.yaml")
	want := []job.Config{
		definition("a.b", func(c *job.Config) {
			c.Type, c.Cron, c.ShardingTotalCount = "FAKE", "0 0 12 * * ?", 2
			c.Props = map[string]string{"batch.size": "5", "batch.pause": "1s"}
		}),
		definition("c", func(c *job.Config) { c.Type, c.Cron, c.ShardingTotalCount = "FAKE", "0 0 12 * * ?", 1 }),
	}
	if diff := cmp.Diff(want, cfg.Jobs); diff != "" {
		t.Errorf("jobs differ (-want +got):\n%s", diff)
	}
	if got := cfg.Instance.Labels["zone"]; got != "a" {
		t.Errorf("label zone = %q, want a", got)
	}
	if want := cfg.Resolve("/var/lib/elasticjob"); cfg.DataDir != want {
		t.Errorf("DataDir = %q, want %q", cfg.DataDir, want)
	}
}

func TestAnchorsAndMergeKeys(t *testing.T) {
	t.Parallel()
	sound := func(count int, label string, props map[string]string) func(*job.Config) {
		return func(c *job.Config) {
			c.Type, c.Cron, c.ShardingTotalCount, c.Label, c.Props = "FAKE", "0 0 12 * * ?", count, label, props
		}
	}
	third := definition("third", sound(5, "merged", map[string]string{"a": "1", "b": "2"}))
	third.Description = "both"
	want := []job.Config{
		definition("first", sound(4, "", map[string]string{"a": "1", "b": "2"})),
		definition("second", sound(2, "", map[string]string{"b": "3"})),
		third,
	}
	if diff := cmp.Diff(want, load(t, "anchors.yaml").Jobs); diff != "" {
		t.Errorf("jobs differ (-want +got):\n%s", diff)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	const file = `elasticjob:
  jobs:
    orders:
      elastic-job-type: FAKE
      every: 1s
      sharding-total-count: ${N:1}
      props: {batch: {size: 5}, "batch.pause": 1s}
      jobExecutorServiceHandlerType: CPU
  plugins:
    - {wasm: a.wasm}
`
	cfg, problems := config.Parse("node.yaml", []byte(file), environment)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	tests := []struct {
		path       string
		key, value [2]int // line and column
		shown      string
	}{
		{"jobs orders elasticJobType", [2]int{4, 7}, [2]int{4, 25}, "FAKE"},
		{"jobs orders shardingTotalCount", [2]int{6, 7}, [2]int{6, 29}, "${N:1}"},
		{"jobs orders props batch.size", [2]int{7, 23}, [2]int{7, 29}, "5"},
		{"jobs orders props batch.pause", [2]int{7, 33}, [2]int{7, 48}, "1s"},
		{"jobs orders props unheard", [2]int{7, 7}, [2]int{7, 7}, ""},
		{"jobs orders jobExecutorThreadPoolSizeProviderType", [2]int{8, 7}, [2]int{8, 38}, "CPU"},
		{"jobs orders cron", [2]int{3, 5}, [2]int{3, 5}, ""},
		{"jobs orders", [2]int{3, 5}, [2]int{4, 7}, ""},
		{"jobs unheard cron", [2]int{2, 3}, [2]int{2, 3}, ""},
		{"plugins 0 wasm", [2]int{10, 8}, [2]int{10, 14}, "a.wasm"},
		{"plugins 7", [2]int{9, 3}, [2]int{9, 3}, ""},
		{"dataDir", [2]int{1, 1}, [2]int{1, 1}, ""},
	}
	for _, test := range tests {
		path := strings.Fields(test.path)
		want := config.Position{File: "node.yaml", Line: test.key[0], Column: test.key[1]}
		if got := cfg.At(path...); got != want {
			t.Errorf("At(%s) = %v, want %v", test.path, got, want)
		}
		wantProblem := config.Problem{File: "node.yaml", Line: test.value[0], Column: test.value[1], Rule: "r", Message: "m"}
		if len(path) > 1 && path[0] == "jobs" {
			wantProblem.Message = fmt.Sprintf("job %q: m", path[1])
		}
		if got := cfg.Problem("r", "m", path...); got != wantProblem {
			t.Errorf("Problem(r, m, %s) = %v, want %v", test.path, got, wantProblem)
		}
		if got := cfg.Shown(path...); got != test.shown {
			t.Errorf("Shown(%s) = %q, want %q", test.path, got, test.shown)
		}
	}
}

func TestProblemForms(t *testing.T) {
	t.Parallel()
	problems := config.Problems{
		{File: "b.yaml", Line: 1, Column: 1, Rule: "type", Message: "last"},
		{File: "a.yaml", Line: 2, Column: 10, Rule: "range", Message: "third"},
		{File: "a.yaml", Line: 2, Column: 9, Rule: "range", Message: "second"},
		{File: "a.yaml", Line: 2, Column: 9, Rule: "range", Message: "second"},
		{Rule: "file", Message: "nowhere"},
		{File: "a.yaml", Rule: "file", Message: "first"},
	}
	want := "file: nowhere\na.yaml: file: first\na.yaml:2:9: range: second\na.yaml:2:10: range: third\nb.yaml:1:1: type: last"
	sorted := problems.Sort()
	if got := sorted.Error(); got != want {
		t.Errorf("Sort().Error() = %q, want %q", got, want)
	}
	if err := (config.Problems{}).Err(); err != nil {
		t.Errorf("Err() of no problems = %v, want nil", err)
	}
	data, err := json.Marshal(sorted[4])
	if want := `{"file":"b.yaml","line":1,"column":1,"rule":"type","message":"last"}`; err != nil || string(data) != want {
		t.Errorf("Marshal = %s, %v, want %s", data, err, want)
	}
}

func TestLoadUnreadable(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing.yaml")
	_, problems := config.Load(missing, environment)
	if want := (config.Problems{{File: missing, Rule: "file", Message: "there is no such file"}}); !cmp.Equal(problems, want) {
		t.Errorf("Load(missing) = %v, want %v", problems, want)
	}
	_, problems = config.Load(t.TempDir(), environment)
	if len(problems) != 1 || problems[0].Rule != "file" {
		t.Errorf("Load(directory) = %v, want one problem with the rule file", problems)
	}
	if want := "it is a directory, not a file"; len(problems) != 1 || problems[0].Message != want {
		t.Errorf("Load(directory) = %v, want %q", problems, want)
	}
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, []byte(strings.Repeat("# padding\n", 1<<19)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, problems = config.Load(large, environment)
	if len(problems) != 1 || problems[0].Rule != "size" {
		t.Errorf("Load(5 MiB) = %v, want one problem with the rule size", problems)
	}
}

func TestUnreadableFilesHaveNothingElseToLookAt(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]bool{"syntax_quote.yaml": false, "size_aliases.yaml": false, "missing.yaml": false, "size_definition.yaml": true, "full.yaml": true} {
		cfg, problems := config.Load(filepath.Join("testdata", file), environment)
		if got := cfg.Readable(); got != want {
			t.Errorf("Readable() of %s = %t, want %t", file, got, want)
		}
		if diff := cmp.Diff(problems, cfg.Validate(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("Validate() of %s differs from the problems of Load (-Load +Validate):\n%s", file, diff)
		}
	}
}

func TestSoundPlugin(t *testing.T) {
	t.Parallel()
	sha := strings.Repeat("ab", 32)
	tests := []struct {
		name      string
		has, want config.Plugin
	}{
		{
			"module with everything wrong",
			config.Plugin{
				File: "/a.wasm", SHA256: "12", Isolation: "none", Limits: config.Limits{Memory: 1, Timeout: -1, Concurrency: -1},
				Grants: spi.Grants{
					HTTP: []string{"", "a.example.com"}, Env: []string{"A=b", "A"}, Clock: "fast", Random: "none",
					Dirs: []spi.Dir{{Path: "relative", Guest: "/a"}, {Path: absolute(t, "a"), Guest: "a"}, {Path: absolute(t, "a"), Guest: "/a"}},
				},
			},
			config.Plugin{
				File: "/a.wasm", Isolation: config.IsolationFresh,
				Grants: spi.Grants{HTTP: []string{"a.example.com"}, Env: []string{"A"}, Dirs: []spi.Dir{{Path: absolute(t, "a"), Guest: "/a"}}},
			},
		},
		{
			"process with the terms of modules",
			config.Plugin{
				Host: config.HostProcess, File: "/a", Isolation: config.IsolationPooled, Limits: config.Limits{Memory: 1 << 20, Timeout: 1},
				Grants: spi.Grants{Secrets: []string{"s"}, Dirs: []spi.Dir{{Path: absolute(t, "a"), Guest: "/a"}}, Clock: spi.ClockReal, Random: spi.RandomReal},
			},
			config.Plugin{Host: config.HostProcess, File: "/a", Limits: config.Limits{Timeout: 1}, Grants: spi.Grants{Secrets: []string{"s"}}},
		},
		{
			"sound",
			config.Plugin{File: "/a.wasm", SHA256: sha, Isolation: config.IsolationPooled, Limits: config.Limits{Memory: 1 << 16, Timeout: 1, Concurrency: 3}},
			config.Plugin{File: "/a.wasm", SHA256: sha, Isolation: config.IsolationPooled, Limits: config.Limits{Memory: 1 << 16, Timeout: 1, Concurrency: 3}},
		},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, test.has.Sound(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("Sound() of %s differs (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestOverrideDataDir(t *testing.T) {
	t.Parallel()
	cfg := load(t, "full.yaml")
	original := cfg
	cfg.OverrideDataDir("/elsewhere")
	if cfg.DataDir != "/elsewhere" || cfg.Has("dataDir") || !original.Has("dataDir") {
		t.Errorf("OverrideDataDir: DataDir %q, in the file %t, and %t before, want /elsewhere, false, true", cfg.DataDir, cfg.Has("dataDir"), original.Has("dataDir"))
	}
}

func TestByteOrderMarkAndLineEndings(t *testing.T) {
	t.Parallel()
	_, problems := config.Parse("n.yaml", []byte("\ufeffelasticjob:\r\n  dataDir: d\r\n  maxRunningItems: x\r\n"), environment)
	if len(problems) != 1 || problems[0].Line != 3 || problems[0].Column != 20 {
		t.Errorf("Parse = %v, want one problem at 3:20", problems)
	}
}

func TestTooManyKeys(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("elasticjob:\n  jobs:\n    a:\n      props:\n")
	for i := range 20_001 {
		fmt.Fprintf(&b, "        k%d: 1\n", i)
	}
	_, problems := config.Parse("n.yaml", []byte(b.String()), environment)
	if len(problems) != 1 || problems[0].Rule != "size" || problems[0].Line != 20_005 {
		t.Errorf("Parse = %.200v, want one problem with the rule size in line 20005", problems)
	}
}

func TestExpansionIsBounded(t *testing.T) {
	t.Parallel()
	large := func(string) (string, bool) { return strings.Repeat("x", 1<<20), true }
	file := "elasticjob:\n  jobs:\n    a:\n      description: " + strings.Repeat("${X}", 17) + "\n"
	_, problems := config.Parse("n.yaml", []byte(file), large)
	for _, p := range problems {
		if p.Rule == "size" && p.Line == 4 && p.Column == 20 {
			return
		}
	}
	t.Errorf("Parse = %.300v, want a problem with the rule size at 4:20", problems)
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	cfg := config.Defaults()
	if problems := cfg.Validate(); len(problems) > 0 {
		t.Errorf("Defaults().Validate() = %v, want none", problems)
	}
	if cfg.ShutdownGrace != 30*time.Second || cfg.MaxRunningItems != 256 || cfg.OnZombie != config.ZombieLog || cfg.Instance.Labels == nil {
		t.Errorf("Defaults() = %+v, want 30s, 256 and labels to write to", cfg)
	}
}

func TestValidateWithoutFile(t *testing.T) {
	t.Parallel()
	cfg := config.Defaults()
	cfg.DataDir = "relative"
	cfg.MaxRunningItems = 0
	cfg.Plugins = []config.Plugin{{}, {File: "/a.wasm", Isolation: config.IsolationFresh}, {File: "/a.wasm", Isolation: config.IsolationFresh}}
	sound := definition("a", func(c *job.Config) { c.Type, c.Every, c.ShardingTotalCount = "FAKE", time.Second, 1 })
	cfg.Jobs = []job.Config{sound, sound, definition("b", func(c *job.Config) { c.Type, c.Every = "FAKE", time.Second })}
	got := cfg.Validate().Error()
	want := strings.Join([]string{
		`conflict: plugins[2].wasm is the same file as that of plugins[1]; keep one`,
		`duplicate-key: job "a" is given twice`,
		`range: maxRunningItems must be 1 to 1000000, not "0"`,
		`required: job "b": shardingTotalCount is required: a number from 1 to 10000`,
		`required: plugins[0] needs the key wasm, the path of a module, or process, that of a program`,
		`type: dataDir must be an absolute path, not "relative"`,
		`type: plugins[0].isolation must be fresh or pooled, not ""`,
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Validate() differs (-want +got):\n%s", diff)
	}
}

// TestWaysThatPartAndMeetAreFollowedOnce has 2^60 ways from the last job to the first,
// which has no schedule.
func TestWaysThatPartAndMeetAreFollowedOnce(t *testing.T) {
	t.Parallel()
	file := []byte("elasticjob:\n  jobs:\n    a0: {elasticJobType: FAKE, shardingTotalCount: 1}\n    b0: {elasticJobType: FAKE, shardingTotalCount: 1}\n")
	for i := range 60 {
		for _, name := range []string{"a", "b"} {
			file = fmt.Appendf(file, "    %s%d: {elasticJobType: FAKE, shardingTotalCount: 1, dependsOn: [{job: a%d}, {job: b%d}]}\n", name, i+1, i, i)
		}
	}
	if c, problems := config.Parse("many.yaml", file, environment); len(problems) > 0 || len(c.Notes) > 0 {
		t.Errorf("Parse() has %v and the notes %v, want neither", problems, c.Notes)
	}
}

func TestSuggest(t *testing.T) {
	t.Parallel()
	known := []string{"cron", "every", "shardingTotalCount", "at", "AVG_ALLOCATION"}
	tests := []struct {
		written, want string
	}{
		{"crno", "cron"},
		{"sharding-total-count", "shardingTotalCount"},
		{"shardingTotalCuont", "shardingTotalCount"},
		{"avg_alocation", "AVG_ALLOCATION"},
		{"ever", "every"},
		{"zone", ""},
		{"x", ""},
		{"", ""},
		{strings.Repeat("cron", 1000), ""},
	}
	for _, test := range tests {
		got, ok := config.Suggest(test.written, known)
		if got != test.want || ok != (test.want != "") {
			t.Errorf("Suggest(%.30q) = %q, %v, want %q", test.written, got, ok, test.want)
		}
	}
}

func ExampleParse() {
	file := []byte("elasticjob:\n  jobs:\n    orders:\n      elasticJobType: ORDERS\n      cron: 0 0 25 * * ?\n")
	_, problems := config.Parse("node.yaml", file, func(string) (string, bool) { return "", false })
	fmt.Println(problems.Error())
	// Output:
	// node.yaml:3:5: required: job "orders": shardingTotalCount is required: a number from 1 to 10000
	// node.yaml:5:17: cron: job "orders": cron must be a Quartz expression, but "0 0 25 * * ?" is wrong at column 5 (hours): 25 is out of range; allowed are 0-23 and , - * /
}
