package elasticjob_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/ops"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// kinds are the builds of testdata/kinds: a module whose types begin with M_, a
// program whose types begin with P_, and another one with those of the module.
type kinds struct {
	module, program, twin string
	// data is a data directory in which the module is compiled.
	data string
}

func buildKinds(t *testing.T) kinds {
	t.Helper()
	dir := t.TempDir()
	build := func(name, prefix string, env []string, args ...string) string {
		path := filepath.Join(dir, name)
		args = append([]string{"build", "-ldflags", "-s -w -X main.prefix=" + prefix, "-o", path}, args...)
		cmd := exec.CommandContext(t.Context(), "go", append(args, "./testdata/kinds")...)
		cmd.Env = append(os.Environ(), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
		return path
	}
	exe := ""
	if runtime.GOOS == "windows" {
		exe = ".exe"
	}
	k := kinds{
		data:    filepath.Join(dir, "data"),
		module:  build("kinds.wasm", "M_", []string{"GOOS=wasip1", "GOARCH=wasm"}, "-buildmode=c-shared"),
		program: build("kinds"+exe, "P_", nil),
		twin:    build("twin"+exe, "M_", nil),
	}
	c := elasticjob.Defaults()
	c.DataDir = k.data
	c.Plugins = []config.Plugin{{File: k.module, Isolation: config.IsolationFresh}}
	node, err := elasticjob.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k
}

// TestPluginFiles runs one program in both hosts of plugin files, chosen by the
// configuration alone.
func TestPluginFiles(t *testing.T) {
	t.Parallel()
	files := buildKinds(t)
	t.Run("run alike", func(t *testing.T) { t.Parallel(); testRunAlike(t, files) })
	t.Run("without grants", func(t *testing.T) { t.Parallel(); testWithoutGrants(t, files) })
	t.Run("the same type twice", func(t *testing.T) { t.Parallel(); testTheSameTypeTwice(t, files) })
	t.Run("offline", func(t *testing.T) { t.Parallel(); testOffline(t, files) })
	t.Run("what a job may name", func(t *testing.T) { t.Parallel(); testWhatAJobMayName(t, files) })
	t.Run("list", func(t *testing.T) { t.Parallel(); testPlugins(t, files) })
}

// twoHosts is a file with both entries and the jobs of both: PREFIX in a job
// stands for that of its types.
func twoHosts(files kinds, terms, jobs string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "elasticjob:\n  secrets: {token: {file: token}}\n  plugins:\n    - {wasm: %q%s}\n    - {process: %q%s}\n  jobs:\n", files.module, terms, files.program, terms)
	for _, prefix := range []string{"M", "P"} {
		b.WriteString(strings.ReplaceAll(jobs, "PREFIX", prefix))
	}
	return b.String()
}

// load reads a configuration whose secret is beside it.
func (k kinds) load(t *testing.T, text string) elasticjob.Config {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "token", "s3cret\n")
	c, problems := elasticjob.LoadFile(write(t, dir, "elasticjob.yaml", text))
	if len(problems) > 0 {
		t.Fatalf("LoadFile() = %v, want no problem", problems)
	}
	c.OverrideDataDir(k.data)
	return c
}

func testRunAlike(t *testing.T, files kinds) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s", r.URL.Path, r.Header.Get("Authorization"))
	}))
	t.Cleanup(server.Close)
	granted := strings.TrimPrefix(server.URL, "http://")
	c := files.load(t, twoHosts(files, fmt.Sprintf(", grants: {http: [%q], secrets: [token]}", granted), fmt.Sprintf(`
    PREFIX-ask: {elasticJobType: PREFIX_ASK, every: 1s, shardingTotalCount: 1, jobListenerTypes: PREFIX_AUDIT, jobShardingStrategyType: PREFIX_LAST, props: {ask.url: "%[1]s/path"}}
    PREFIX-denied: {elasticJobType: PREFIX_ASK, every: 1s, shardingTotalCount: 1, jobErrorHandlerType: PREFIX_STOP, props: {ask.url: "http://localhost:1/"}}
    PREFIX-count: {elasticJobType: PREFIX_COUNT, every: 1s, shardingTotalCount: 1, props: {streaming.process: true}}
`, server.URL)))
	_, log := start(t, c)
	for _, prefix := range []string{"M", "P"} {
		if got, want := log.waitFor(t, "item finished", prefix+"-ask", 2)[1], "200 /path Bearer s3cret"; got["outcome"] != "success" || got["result"] != want {
			t.Errorf("%s-ask finished with %v, %v (%v), want %q", prefix, got["outcome"], got["result"], got["err"], want)
		}
		log.waitFor(t, "job stopped on this instance by its error handler", prefix+"-denied", 1)
		denied := log.with(t, "item finished", prefix+"-denied")[0]
		if text := fmt.Sprint(denied["err"]); denied["code"] != float64(spi.CodeDenied) || !strings.Contains(text, "localhost") || !strings.Contains(text, "grants.http") {
			t.Errorf("%s-denied finished with code %v, %v, want %d and an error that names the host and grants.http", prefix, denied["code"], denied["err"], spi.CodeDenied)
		}
		if got := log.waitFor(t, "item finished", prefix+"-count", 1)[0]; got["outcome"] != "success" {
			t.Errorf("%s-count finished with %v (%v), want success", prefix, got["outcome"], got["err"])
		}
	}
	waitForLines(t, log, "ask", "P_AUDIT", "after: item 0 ended with success")
	waitForLines(t, log, "ask", "M_AUDIT", "after: item 0 ended with success")
	for job, want := range map[string][]string{
		"ask":    {"AUDIT before 1 items of ask, with a secret of 6 bytes", "AUDIT after: item 0 ended with success", "LAST everything goes to the last of 1, with a secret of 6 bytes"},
		"denied": {"STOP item 0 of denied has failed with code 4, with a secret of 6 bytes"},
		"count":  {"COUNT a secret of 6 bytes", "COUNT counted number 0", "COUNT counted number 1", "COUNT counted number 2", "COUNT counted number 3", "COUNT counted number 4"},
	} {
		for _, prefix := range []string{"M", "P"} {
			var got []string
			for _, r := range log.with(t, "plugin output", prefix+"-"+job) {
				line := strings.NewReplacer(prefix+"_", "", prefix+"-", "").Replace(fmt.Sprint(r["plugin"], " ", r["line"]))
				if !slices.Contains(got, line) {
					got = append(got, line)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("what plugins of %s-%s say differs (-want +got):\n%s", prefix, job, diff)
			}
		}
	}
}

// waitForLines waits until a plugin of a job has written a line.
func waitForLines(t *testing.T, log *records, job, plugin, line string) {
	t.Helper()
	log.waitUntil(t, fmt.Sprintf("%s says %q", plugin, line), func() bool {
		return slices.ContainsFunc(log.with(t, "plugin output", plugin[:1]+"-"+job), func(r map[string]any) bool {
			return r["plugin"] == plugin && r["line"] == line
		})
	})
}

func testWithoutGrants(t *testing.T, files kinds) {
	t.Helper()
	c := files.load(t, twoHosts(files, "", `
    PREFIX-ask: {elasticJobType: PREFIX_ASK, every: 1s, shardingTotalCount: 1, jobErrorHandlerType: IGNORE, props: {ask.url: "http://127.0.0.1:1/"}}
`))
	var notes []string
	if problems := elasticjob.Lint(t.Context(), c, false, elasticjob.WithNotes(func(p elasticjob.Problem) {
		notes = append(notes, fmt.Sprintf("%d:%d %s: %s", p.Line, p.Column, p.Rule, p.Message))
	})); len(problems) > 0 {
		t.Fatalf("Lint() = %v, want no problem", problems)
	}
	var want []string
	for _, p := range []struct{ place, typ, file string }{{"4:14", "M_ASK", files.module}, {"5:17", "P_ASK", files.program}} {
		for _, wish := range []string{"http.request 127.0.0.1 (the answer)", "http.request backup.example.com", "secret.get token"} {
			want = append(want, fmt.Sprintf("%s not-granted: %s of %s wants %s, which is not granted", p.place, p.typ, p.file, wish))
		}
	}
	if diff := cmp.Diff(want, notes); diff != "" {
		t.Errorf("notes of Lint differ (-want +got):\n%s", diff)
	}
	_, log := start(t, c)
	for _, prefix := range []string{"M", "P"} {
		got := log.waitFor(t, "item finished", prefix+"-ask", 1)[0]
		if text := fmt.Sprint(got["err"]); got["code"] != float64(spi.CodeDenied) || !strings.Contains(text, `token`) || !strings.Contains(text, "grants.secrets") {
			t.Errorf("%s-ask finished with code %v, %v, want %d and an error that names the secret and grants.secrets", prefix, got["code"], got["err"], spi.CodeDenied)
		}
	}
}

// TestGrantsOfTheNode holds that an entry for the module of a job sets its
// grants, and that without an entry it has none.
func TestGrantsOfTheNode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"granted.wasm", "bare.wasm"} {
		data, err := os.ReadFile(guest)
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, name, string(data))
	}
	if err := os.Mkdir(filepath.Join(dir, "shelf"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "shelf"), "book", "a story")
	var text strings.Builder
	text.WriteString(`elasticjob:
  plugins:
    - wasm: granted.wasm
      grants: {env: [PATH], dirs: [{path: shelf}, {path: ./shelf/, as: /library, mode: rw}], clock: frozen, random: seeded}
  jobs:
`)
	path, ok := os.LookupEnv("PATH")
	if !ok {
		t.Fatal("there is no PATH")
	}
	// An empty one is anything else than what is granted.
	tests := []struct{ job, does, granted, bare string }{
		{"env", "env:PATH", path, "not set"},
		{"other", "env:HOME", "not set", "not set"},
		{"read", "files:read|/shelf/book", "a story", "Capabilities insufficient"},
		{"write", "files:write|/shelf/book|x", "Read-only file system", "Capabilities insufficient"},
		{"create", "files:create|/library/note|x", "ok", "Capabilities insufficient"},
		{"time", "time", "1640995200", ""},
	}
	for _, test := range tests {
		for _, module := range []string{"granted", "bare"} {
			fmt.Fprintf(&text, "    %s-%s: {elasticJobType: WASM, every: 1s, shardingTotalCount: 1, jobParameter: %q, props: {wasm.module: %s.wasm}}\n", module, test.job, test.does, module)
		}
	}
	c, problems := elasticjob.LoadFile(write(t, dir, "elasticjob.yaml", text.String()))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	c.OverrideDataDir(filepath.Join(dir, "data"))
	_, log := start(t, c)
	for _, test := range tests {
		for module, want := range map[string]string{"granted": test.granted, "bare": test.bare} {
			r := log.waitFor(t, "item finished", module+"-"+test.job, 1)[0]
			if got := fmt.Sprint(r["result"]); got != want && want != "" || got == test.granted && want == "" {
				t.Errorf("%s of the module %s finished with %q (%v), want %q", test.does, module, got, r["err"], want)
			}
		}
	}
}

// TestPluginsOfTheProgramAreTrusted holds that they need no grants.
func TestPluginsOfTheProgramAreTrusted(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Header.Get("Token"))
	}))
	t.Cleanup(server.Close)
	c := elasticjob.Defaults()
	c.DataDir = t.TempDir()
	c.Secrets = map[string]config.Secret{"token": {Value: "s3cret"}}
	definition := job.Defaults("ask")
	definition.Type, definition.Every, definition.ShardingTotalCount = "OURS", time.Second, 1
	c.Jobs = []job.Config{definition}
	ours := spi.Plugin{
		Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "OURS"},
		JobType: func(context.Context, props.Values) (spi.JobType, error) {
			return spi.JobTypeFunc(func(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
				token, err := ops.Secret(ctx, req.Services, "token")
				if err != nil {
					return spi.ExecuteResponse{}, err
				}
				response, err := ops.HTTP(ctx, req.Services, ops.HTTPRequest{Method: "GET", URL: server.URL, Headers: map[string][]string{"Token": {token}}})
				return spi.ExecuteResponse{Message: string(response.Body)}, err
			}), nil
		},
	}
	_, log := start(t, c, elasticjob.WithPlugins(ours))
	if got := log.waitFor(t, "item finished", "ask", 1)[0]; got["result"] != "s3cret" {
		t.Errorf("ask finished with %v (%v), want the secret that the server was shown", got["result"], got["err"])
	}
}

// TestASecretThatCannotBeRead holds that a plugin can tell it from one that the
// node does not have, and that the log names its file.
func TestASecretThatCannotBeRead(t *testing.T) {
	t.Parallel()
	c := elasticjob.Defaults()
	c.DataDir = t.TempDir()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Secrets = map[string]config.Secret{"token": {File: file}}
	definition := job.Defaults("ask")
	definition.Type, definition.Every, definition.ShardingTotalCount = "OURS", time.Second, 1
	c.Jobs = []job.Config{definition}
	ours := spi.Plugin{
		Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "OURS"},
		JobType: func(context.Context, props.Values) (spi.JobType, error) {
			return spi.JobTypeFunc(func(ctx context.Context, req spi.ExecuteRequest) (spi.ExecuteResponse, error) {
				_ = os.Remove(file) // it is there only when the node starts
				token, err := ops.Secret(ctx, req.Services, "token")
				return spi.ExecuteResponse{Message: token}, err
			}), nil
		},
	}
	_, log := start(t, c, elasticjob.WithPlugins(ours))
	got := log.waitFor(t, "item finished", "ask", 1)[0]
	if text := fmt.Sprint(got["err"]); got["code"] != float64(spi.CodeUnavailable) || text != `secret "token" could not be read` {
		t.Errorf("ask finished with code %v, %q, want %d and that the secret could not be read", got["code"], text, spi.CodeUnavailable)
	}
	if told := log.with(t, "secret not read", "")[0]; told["secret"] != "token" || told["file"] != file {
		t.Errorf("the record of a secret that was not read = %v, want it with the secret token and the file %s", told, file)
	}
}

func testTheSameTypeTwice(t *testing.T, files kinds) {
	t.Helper()
	module, program := checksum(t, files.module), checksum(t, files.twin)
	c := files.load(t, fmt.Sprintf("elasticjob:\n  plugins:\n    - wasm: %q\n    - process: %q\n      sha256: %s\n", files.module, files.twin, program))
	problems := elasticjob.Lint(t.Context(), c, false)
	want := fmt.Sprintf("jobType M_ASK comes from both wasm %s (sha256 %s, version 1.2, %s:3:7) and process %s (sha256 %s, version 1.2, %[3]s:4:7)",
		files.module, module, c.File, files.twin, program)
	if len(problems) != 1 || problems[0].Line != 4 || problems[0].Rule != "conflict" || problems[0].Message != want {
		t.Errorf("Lint() = %v, want one conflict in line 4: %s", problems, want)
	}
}

func checksum(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func testOffline(t *testing.T, files kinds) {
	t.Helper()
	text := twoHosts(files, "", `
    PREFIX-ask: {elasticJobType: PREFIX_ASK, every: 1s, shardingTotalCount: 1, jobErrorHandlerType: PREFIX_STOP, props: {ask.url: "http://127.0.0.1:1/"}}
`)
	lint := func(text string) (problems, notes []string) {
		c := files.load(t, text)
		for _, p := range elasticjob.Lint(t.Context(), c, true, elasticjob.WithNotes(func(p elasticjob.Problem) {
			if p.Rule != "not-granted" {
				notes = append(notes, fmt.Sprintf("%d %s: %s", p.Line, p.Rule, p.Message))
			}
		})) {
			problems = append(problems, fmt.Sprintf("%d %s: %s", p.Line, p.Rule, p.Message))
		}
		return problems, notes
	}
	problems, notes := lint(text)
	wantNotes := []string{
		`10 unknown-type: job "P-ask": no plugin declares job type "P_ASK"; did you mean M_ASK?; it may come from plugins[1], not started offline`,
		`10 unknown-type: job "P-ask": no plugin declares error handler "P_STOP"; did you mean M_STOP?; it may come from plugins[1], not started offline`,
	}
	if diff := cmp.Diff(wantNotes, notes); diff != "" || len(problems) > 0 {
		t.Errorf("Lint(offline) = %v, want no problem; its notes differ (-want +got):\n%s", problems, diff)
	}
	wrong := strings.Repeat("ab", 32)
	for change, want := range map[string]string{
		fmt.Sprintf("process: %q, sha256: %s", files.program, wrong): ": sha256 is ",
		`process: "none"`: ": there is no such file",
		fmt.Sprintf("process: %q", filepath.Dir(files.program)): ": is not a regular file",
		`process: "token"`: ": is not executable; chmod +x makes it so",
	} {
		problems, _ := lint(strings.Replace(text, fmt.Sprintf("process: %q", files.program), change, 1))
		if len(problems) != 1 || !strings.HasPrefix(problems[0], "5 plugin: ") || !strings.Contains(problems[0], want) {
			t.Errorf("Lint(offline) with {%s} = %v, want one problem in line 5 with %q", change, problems, want)
		}
	}
}

func testWhatAJobMayName(t *testing.T, files kinds) {
	t.Helper()
	c := files.load(t, fmt.Sprintf(`elasticjob:
  plugins:
    - {wasm: %q, grants: {dirs: [{path: none}]}}
  jobs:
    once: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 1, jobListenerTypes: [M_AUDIT, M_ONCE]}
    near: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 1, jobListenerTypes: [M_AUDI]}
    props: {elasticJobType: FAKE, every: 1s, shardingTotalCount: 1, props: {ask.secret: x, streaming.process: true}}
    flow: {elasticJobType: M_COUNT, every: 1s, shardingTotalCount: 1, props: {streaming.process: maybe}}
`, files.module))
	var got []string
	for _, p := range elasticjob.Lint(t.Context(), c, false) {
		got = append(got, fmt.Sprintf("%d %s: %s", p.Line, p.Rule, p.Message))
	}
	want := []string{
		`3 file: plugins[0].grants.dirs[0].path "none": there is no such directory`,
		`6 unknown-type: job "near": no plugin declares job listener "M_AUDI"; did you mean M_AUDIT?`,
		`7 unknown-property: job "props": property "ask.secret" is not a property of these plugins`,
		`7 unknown-property: job "props": property "streaming.process" is not a property of these plugins`,
		`8 type: job "flow": property "streaming.process" is no bool: "maybe" is neither true nor false`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Lint() differs (-want +got):\n%s", diff)
	}
}

func testPlugins(t *testing.T, files kinds) {
	t.Helper()
	c := files.load(t, fmt.Sprintf(`elasticjob:
  plugins:
    - {wasm: %q, grants: {http: ["127.0.0.1"]}}
    - {process: %q, grants: {secrets: [token]}}
    - {wasm: %q}
    - {wasm: none.wasm}
  jobs: {a: {elasticJobType: NOBODY, every: 1s, shardingTotalCount: 1}}
  secrets: {token: {file: token}}
`, files.module, files.program, absolute(t, guest)))
	infos, problems := elasticjob.Plugins(context.WithoutCancel(t.Context()), c)
	if len(problems) != 1 || problems[0].Line != 6 || problems[0].Rule != "plugin" {
		t.Errorf("Plugins() has the problems %v, want one of the missing file: jobs are not looked at", problems)
	}
	type fact struct {
		Kind, Type, Host, Path, Place string
		Granted                       []bool
	}
	var got []fact
	for _, i := range infos {
		if i.Provenance.Host == "built-in" {
			continue
		}
		f := fact{string(i.Descriptor.Kind), i.Descriptor.Type, i.Provenance.Host, i.Provenance.Path, strings.TrimPrefix(i.Place, c.File), nil}
		for _, w := range i.Wants {
			f.Granted = append(f.Granted, w.Granted)
		}
		got = append(got, f)
	}
	var want []fact
	for _, typ := range [][2]string{{"errorHandler", "STOP"}, {"jobListener", "AUDIT"}, {"jobListener", "ONCE"}, {"jobType", "ASK"}, {"jobType", "COUNT"}, {"shardingStrategy", "LAST"}} {
		module := fact{typ[0], "M_" + typ[1], "wasm", files.module, ":3:8", nil}
		program := fact{typ[0], "P_" + typ[1], "process", files.program, ":4:8", nil}
		if typ[1] == "ASK" {
			module.Granted, program.Granted = []bool{true, false, false}, []bool{false, false, true}
		}
		want = append(want, module, program)
	}
	slices.SortStableFunc(want, func(a, b fact) int {
		return strings.Compare(a.Kind+" "+a.Type, b.Kind+" "+b.Type)
	})
	want = append(want, fact{Host: "wasm", Path: absolute(t, guest), Place: ":5:8"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Plugins() differs (-want +got):\n%s", diff)
	}
	if !slices.ContainsFunc(infos, func(i elasticjob.PluginInfo) bool {
		return i.Descriptor.Type == "WASM" && i.Provenance.Host == "built-in"
	}) {
		t.Error("Plugins() has no built-in WASM")
	}
}
