//go:build unix

package script_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/script"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// recorder keeps what a script logs, and tells of the first line.
type recorder struct {
	first chan struct{}

	mu      sync.Mutex
	records []spi.LogRecord
}

func newRecorder() *recorder { return &recorder{first: make(chan struct{})} }

func (r *recorder) Log(_ context.Context, record spi.LogRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, record)
	if len(r.records) == 1 {
		close(r.first)
	}
}

func (*recorder) Call(context.Context, string, []byte) ([]byte, error) {
	return nil, spi.NewError(spi.CodeUnsupported, "none")
}

// lines returns what came from a stream.
func (r *recorder) lines(stream spi.Stream) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for _, record := range r.records {
		if record.Stream == stream {
			lines = append(lines, record.Line)
		}
	}
	return lines
}

// newJob makes a job of these properties, as a host does.
func newJob(ctx context.Context, t *testing.T, given map[string]string) (spi.JobType, props.Values) {
	t.Helper()
	plugin := script.Plugin()
	values, problems := plugin.Descriptor.Props.Resolve(given)
	if len(problems) > 0 {
		t.Fatalf("Resolve(%v) = %v, want no problem", given, problems)
	}
	job, err := plugin.JobType(ctx, values)
	if err != nil {
		t.Fatalf("JobType(%v) = %v, want nil", given, err)
	}
	t.Cleanup(func() {
		if err := job.(spi.Closer).Close(context.WithoutCancel(ctx)); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	})
	return job, values
}

// executeIn runs an item of such a job.
func executeIn(ctx context.Context, t *testing.T, r *recorder, given map[string]string) error {
	t.Helper()
	job, values := newJob(ctx, t, given)
	_, err := job.Execute(ctx, spi.ExecuteRequest{Services: r, Context: spi.ShardingContext{
		JobName: "orders", ShardingTotalCount: 3, ShardingItem: 1, ShardingParameter: "<北京> & 'x'", JobParameter: "p", Attempt: 1,
		RunID: "r1", TaskID: "t1", FencingToken: 9, ExecutionSource: spi.SourceNormal, Props: values,
	}})
	return err
}

func execute(t *testing.T, given map[string]string) (*recorder, error) {
	t.Helper()
	r := newRecorder()
	return r, executeIn(t.Context(), t, r, given)
}

// shell are the properties of a job whose command line is for a shell.
func shell(line string, more ...string) map[string]string {
	given := map[string]string{script.PropCommandLine: line, script.PropShell: "true"}
	for i := 0; i < len(more); i += 2 {
		given[more[i]] = more[i+1]
	}
	return given
}

func TestScriptsOfThreeLanguages(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"context.sh", "context.py", "context.pl"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := execute(t, map[string]string{script.PropCommandLine: "testdata/" + name + " 'first one'", "script.env.PYTHONIOENCODING": "utf-8"})
			want := []string{"2: first one: item 1 of 3 is <北京> & 'x'"}
			if got := r.lines(spi.StreamStdout); err != nil || !cmp.Equal(got, want) {
				t.Errorf("Execute(%s) = %v with lines %q, want %q", name, err, got, want)
			}
		})
	}
}

func TestTheContextIsTheLastArgument(t *testing.T) {
	t.Parallel()
	const want = `{"jobName":"orders","taskId":"t1","shardingTotalCount":3,"jobParameter":"p","shardingItem":1,"shardingParameter":"<北京> & 'x'",` +
		`"runId":"r1","fireTime":"0001-01-01T00:00:00.000Z","executionSource":"NORMAL_TRIGGER","attempt":1,"fencingToken":"9","props":{`
	r, err := execute(t, map[string]string{script.PropCommandLine: `echo "SCRIPT Job: "`})
	got := strings.Join(r.lines(spi.StreamStdout), "\n")
	if err != nil || !strings.HasPrefix(got, "SCRIPT Job:  "+want) || !strings.Contains(got, `"script.shell":"false"`) {
		t.Errorf("Execute(echo) = %v with %s, want %s", err, got, want)
	}
	r, err = execute(t, shell(`printf '%s\n' "$#" "$1"`))
	lines := r.lines(spi.StreamStdout)
	if err != nil || len(lines) != 2 || lines[0] != "1" || !strings.HasPrefix(lines[1], want) {
		t.Errorf("Execute() by a shell = %v with %q, want the context as $1", err, lines)
	}
}

func TestOnlyAShellExpands(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{`printf %s\n $ELASTICJOB_JOB_NAME;`: "$ELASTICJOB_JOB_NAME;", `printf '%s\n' $ELASTICJOB_JOB_NAME;`: "orders"} {
		r, err := execute(t, map[string]string{script.PropCommandLine: line, script.PropShell: map[bool]string{true: "true", false: "false"}[want == "orders"]})
		if got := r.lines(spi.StreamStdout); err != nil || len(got) == 0 || got[0] != want {
			t.Errorf("Execute(%s) = %v with lines %q, want %q first", line, err, got, want)
		}
	}
}

func TestVariablesTellOfTheItem(t *testing.T) {
	t.Parallel()
	r, err := execute(t, shell("env | grep ^ELASTICJOB_ | grep -v ^ELASTICJOB_CONTEXT | sort"))
	want := []string{
		"ELASTICJOB_ATTEMPT=1", "ELASTICJOB_EXECUTION_SOURCE=NORMAL_TRIGGER", "ELASTICJOB_FENCING_TOKEN=9", "ELASTICJOB_FIRE_TIME=0001-01-01T00:00:00.000Z",
		"ELASTICJOB_JOB_NAME=orders", "ELASTICJOB_JOB_PARAMETER=p", "ELASTICJOB_RUN_ID=r1", "ELASTICJOB_SHARDING_ITEM=1",
		"ELASTICJOB_SHARDING_PARAMETER=<北京> & 'x'", "ELASTICJOB_SHARDING_TOTAL_COUNT=3", "ELASTICJOB_TASK_ID=t1",
	}
	if diff := cmp.Diff(want, r.lines(spi.StreamStdout)); err != nil || diff != "" {
		t.Errorf("Execute(env) = %v, variables (-want +got):\n%s", err, diff)
	}
}

func TestTheEnvironmentOfTheNodeStaysThere(t *testing.T) {
	t.Parallel()
	const command = `echo "${REDIS_PASSWORD-none} ${ORACLE_SID-none} ${LC_TEST-none} ${MINE-none} ${HOME:+home}"`
	for _, test := range []struct {
		more []string
		want string
	}{
		{nil, "none none C none home"},
		{[]string{script.PropEnv, "ORACLE_SID, NOT_THERE"}, "none orcl C none home"},
		{[]string{"script.env.MINE", "a b", "script.env.LC_TEST", "D"}, "none none D a b home"},
	} {
		r, err := execute(t, shell(command, test.more...))
		if got := r.lines(spi.StreamStdout); err != nil || !cmp.Equal(got, []string{test.want}) {
			t.Errorf("Execute() with %q = %v with lines %q, want %q", test.more, err, got, test.want)
		}
	}
}

// TestTheContextHoldsNoSecrets: every user of a machine can read arguments.
func TestTheContextHoldsNoSecrets(t *testing.T) {
	t.Parallel()
	job, values := newJob(t.Context(), t, shell(`printf '%s\n' "$1" "$ELASTICJOB_CONTEXT"`, "script.env.TOKEN", "hunter2"))
	all := maps.Clone(values)
	all["email.password"] = "hunter3" // of another plugin of the job
	r := newRecorder()
	_, err := job.Execute(t.Context(), spi.ExecuteRequest{Services: r, Context: spi.ShardingContext{Props: all}})
	got := strings.Join(r.lines(spi.StreamStdout), "\n")
	if err != nil || strings.Contains(got, "hunter") || !strings.Contains(got, script.PropCommandLine) {
		t.Errorf("Execute() = %v, the context is %s, want only properties without secrets", err, got)
	}
	if all["email.password"] == "" {
		t.Error("Execute() took a property away from the other plugins")
	}
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := execute(t, shell("pwd", script.PropDirectory, dir))
	if got := r.lines(spi.StreamStdout); err != nil || !cmp.Equal(got, []string{dir}) {
		t.Errorf("Execute(pwd) = %v with lines %q, want %q", err, got, dir)
	}
	// A relative program begins in the directory.
	r, err = execute(t, map[string]string{script.PropCommandLine: "./context.sh", script.PropDirectory: "testdata"})
	if got := r.lines(spi.StreamStdout); err != nil || len(got) != 1 {
		t.Errorf("Execute(./context.sh) = %v with lines %q, want one line", err, got)
	}
}

func TestTheProgramIsFoundInItsOwnPath(t *testing.T) {
	t.Parallel()
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{script.PropCommandLine: "context.sh", "script.env.PATH": "testdata:" + dir + ":" + os.Getenv("PATH")}
	if _, err := execute(t, given); err != nil {
		t.Errorf("Execute() = %v, want nil", err)
	}
	given["script.env.PATH"] = "testdata::."
	if _, err := execute(t, given); spi.AsError(err).Code != spi.CodeNotFound {
		t.Errorf("Execute() with a relative PATH = %v, want that there is no such program", err)
	}
}

func TestInputIsEmpty(t *testing.T) {
	t.Parallel()
	if r, err := execute(t, shell("cat; echo end")); err != nil || !cmp.Equal(r.lines(spi.StreamStdout), []string{"end"}) {
		t.Errorf("Execute(cat) = %v with %q, want the end at once", err, r.lines(spi.StreamStdout))
	}
}

func TestOutputIsLogged(t *testing.T) {
	t.Parallel()
	r, err := execute(t, shell(`printf 'a\r\n\nb'; echo warned >&2`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.lines(spi.StreamStdout), []string{"a", "", "b"}; !cmp.Equal(got, want) {
		t.Errorf("stdout = %q, want %q", got, want)
	}
	for _, record := range r.records {
		if want := map[spi.Stream]spi.Level{spi.StreamStdout: spi.LevelInfo, spi.StreamStderr: spi.LevelWarn}[record.Stream]; record.Level != want {
			t.Errorf("level of %q = %d, want %d", record.Line, record.Level, want)
		}
	}
	if got, want := r.lines(spi.StreamStderr), []string{"warned"}; !cmp.Equal(got, want) {
		t.Errorf("stderr = %q, want %q", got, want)
	}
}

func TestAFloodIsDroppedAndCounted(t *testing.T) {
	t.Parallel()
	const flood = 8 << 20
	r, err := execute(t, shell("yes 2>/dev/null | head -c 8388608; yes warned 2>/dev/null | head -c 100000 >&2"))
	if err != nil {
		t.Fatal(err)
	}
	logged := 0
	for _, record := range r.records[:len(r.records)-1] {
		logged += len(record.Line) + 1
	}
	last := r.records[len(r.records)-1]
	if logged > 1<<20 || logged < 1<<19 || !strings.Contains(last.Line, "bytes of output dropped: a call logs at most 1024 KiB") || last.Level != spi.LevelWarn {
		t.Errorf("of %d bytes %d are logged, the last line is %q, want at most 1 MiB and how much was dropped", flood, logged, last.Line)
	}
}

func TestALongLineIsCut(t *testing.T) {
	t.Parallel()
	r, err := execute(t, shell(`perl -e 'print "x" x 200000, "\nafter\n"'`))
	got := r.lines(spi.StreamStdout)
	if err != nil || len(got) != 2 || len(got[0]) != 64<<10 || !strings.HasSuffix(got[0], "…") || got[1] != "after" {
		t.Errorf("Execute() = %v with %d lines, want one of 64 KiB and the next", err, len(got))
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		given   map[string]string
		code    spi.Code
		message string
	}{
		{"exit status", shell("exit 3"), spi.CodeFailed, "exit status 3"},
		{"last lines", shell("echo out; echo one >&2; echo two >&2; exit 1"), spi.CodeFailed, "exit status 1; its last lines:\none\ntwo"},
		{"signal", shell("kill -KILL $$"), spi.CodeFailed, "killed by SIGKILL"},
		{"signal of a child", shell(`sh -c 'kill -PIPE $$'; exit $?`), spi.CodeFailed, "exit status 141, as if killed by SIGPIPE"},
		{"no such program", map[string]string{script.PropCommandLine: "no-such-program --x"}, spi.CodeNotFound, `script.command.line: there is no program "no-such-program" in the PATH`},
		{"no such file", map[string]string{script.PropCommandLine: "/no/such/file"}, spi.CodeNotFound, `script.command.line: there is no program "/no/such/file"`},
		{"not executable", map[string]string{script.PropCommandLine: "./notexecutable", script.PropDirectory: "testdata"}, spi.CodeNotFound, `script.command.line: there is no program "` + here + `/testdata/notexecutable" that may be run: it is not executable`},
		{"a directory", map[string]string{script.PropCommandLine: "/tmp"}, spi.CodeNotFound, `script.command.line: there is no program "/tmp" that may be run: it is a directory`},
		{"no first line", map[string]string{script.PropCommandLine: "testdata/noformat"}, spi.CodeFailed, `"testdata/noformat" is no program that this system runs; a script begins with a line such as #!/bin/sh`},
		{"no interpreter", map[string]string{script.PropCommandLine: "testdata/nointerpreter"}, spi.CodeNotFound, `starting "testdata/nointerpreter": it needs a program that is not there, which for a script its first line names`},
		{"no directory", shell("true", script.PropDirectory, "/no/such/dir"), spi.CodeNotFound, `script.directory: there is no directory "/no/such/dir"`},
		{"no directory but a file", shell("true", script.PropDirectory, "script.go"), spi.CodeNotFound, `script.directory: "` + here + `/script.go" is no directory`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := execute(t, test.given)
			got := spi.AsError(err)
			if got == nil || got.Code != test.code || got.Message != test.message {
				t.Errorf("Execute() = %v, want %v %q", err, test.code, test.message)
			}
		})
	}
}

func TestAFailureQuotesTheEndOfStderrInBounds(t *testing.T) {
	t.Parallel()
	_, err := execute(t, shell(`i=0; while [ $i -lt 30 ]; do i=$((i+1)); echo "line $i" >&2; done; exit 2`))
	if got := spi.AsError(err); got == nil || strings.Count(got.Message, "line ") != 20 || !strings.HasSuffix(got.Message, "line 30") {
		t.Errorf("Execute() = %v, want the last 20 lines", err)
	}
	_, err = execute(t, shell(`perl -e 'print STDERR "é" x 10000; exit 2'`))
	if got := spi.AsError(err); got == nil || len(got.Message) > 4<<10 || len(got.Message) < 3<<10 || !strings.HasPrefix(got.Message, "exit status 2; its last lines:\n…é") {
		t.Errorf("Execute() has a message of %d bytes, want the end in 4 KiB", len(got.Message))
	}
}

// lifeline returns a named pipe and a channel that is closed when nobody holds
// the pipe any more, after somebody has.
func lifeline(t *testing.T) (path string, gone <-chan struct{}) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "lifeline")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if file, err := os.Open(path); err == nil {
			_, _ = io.Copy(io.Discard, file)
			_ = file.Close()
		}
	}()
	return path, ended
}

// longest is how long what should happen soon may take on a busy machine.
const longest = 30 * time.Second

// TestATimeoutEndsTheWholeGroup is what ElasticJob has nothing for: its scripts
// have no timeout and are never killed (elasticjob.md, section 5).
func TestATimeoutEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{spi.ErrTimeout, spi.ErrStopping, spi.ErrLeaseLost} {
		t.Run(cause.Error(), func(t *testing.T) {
			t.Parallel()
			path, gone := lifeline(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			r := newRecorder()
			go func() { <-r.first; cancel(cause) }()
			grace := "1m" // which holds for a timeout only
			if errors.Is(cause, spi.ErrTimeout) {
				grace = "50ms"
			}
			begin := time.Now()
			err := executeIn(ctx, t, r, map[string]string{script.PropCommandLine: "testdata/stubborn.sh " + path, script.PropKillGrace: grace})
			if !errors.Is(err, cause) || time.Since(begin) > longest {
				t.Errorf("Execute() = %v after %s, want %v soon", err, time.Since(begin), cause)
			}
			select {
			case <-gone:
			case <-time.After(longest):
				t.Error("a process of the group goes on")
			}
		})
	}
}

func TestAnInterruptedScriptMayCleanUpWithinTheGrace(t *testing.T) {
	t.Parallel()
	const command = `trap 'sleep 0.2; echo cleaned; exit 1' TERM; echo started; while :; do sleep 0.05; done`
	for grace, want := range map[string][]string{"30s": {"started", "cleaned"}, "0s": {"started"}} {
		ctx, cancel := context.WithCancelCause(t.Context())
		r := newRecorder()
		go func() { <-r.first; cancel(spi.ErrTimeout) }()
		if err := executeIn(ctx, t, r, shell(command, script.PropKillGrace, grace)); !errors.Is(err, spi.ErrTimeout) {
			t.Errorf("Execute() = %v, want %v", err, spi.ErrTimeout)
		}
		if got := r.lines(spi.StreamStdout); !cmp.Equal(got, want) {
			t.Errorf("with a grace of %s the lines are %q, want %q", grace, got, want)
		}
	}
}

// TestAScriptThatSucceedsInSpiteOfItsTimeoutHasSucceeded leaves it to the engine
// what to make of that.
func TestAScriptThatSucceedsInSpiteOfItsTimeoutHasSucceeded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	r := newRecorder()
	go func() { <-r.first; cancel(spi.ErrTimeout) }()
	if err := executeIn(ctx, t, r, shell(`trap 'exit 0' TERM; echo started; while :; do sleep 0.05; done`, script.PropKillGrace, "30s")); err != nil {
		t.Errorf("Execute() = %v, want nil", err)
	}
}

func TestNothingStartsAfterTheContextHasEnded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(spi.ErrLeaseLost)
	r := newRecorder()
	if err := executeIn(ctx, t, r, shell("echo ran")); !errors.Is(err, spi.ErrLeaseLost) || len(r.records) > 0 {
		t.Errorf("Execute() = %v with %v, want %v and no output", err, r.records, spi.ErrLeaseLost)
	}
}

// TestWhatAScriptLeavesBehindIsEnded: it holds the output open, at which
// ElasticJob would wait.
func TestWhatAScriptLeavesBehindIsEnded(t *testing.T) {
	t.Parallel()
	path, gone := lifeline(t)
	r, err := execute(t, shell(`exec 9>'`+path+`'; (trap '' TERM HUP; sleep 600; sleep 600) & echo left`))
	if err != nil || !cmp.Equal(r.lines(spi.StreamStdout), []string{"left"}) {
		t.Errorf("Execute() = %v with %q, want success", err, r.lines(spi.StreamStdout))
	}
	select {
	case <-gone:
	case <-time.After(longest):
		t.Error("what the script has left goes on")
	}
}

// TestNobodyIsWaitedForWhoHasLeftTheGroup: what has a session of its own goes on
// and keeps the output open.
func TestNobodyIsWaitedForWhoHasLeftTheGroup(t *testing.T) {
	t.Parallel()
	path, gone := lifeline(t)
	begin := time.Now()
	r, err := execute(t, shell(`exec 9>'`+path+`'
perl -MPOSIX -e '$| = 1; pipe(R, W); if (my $pid = fork) { close W; <R>; print "$pid\n"; exit } POSIX::setsid(); close W; sleep 600'`))
	lines := r.lines(spi.StreamStdout)
	if err != nil || len(lines) != 1 || time.Since(begin) > longest {
		t.Fatalf("Execute() = %v with %q after %s, want success soon", err, lines, time.Since(begin))
	}
	select {
	case <-gone:
		t.Error("who has left the group was ended")
	default:
	}
	pid := 0
	for _, digit := range lines[0] {
		pid = pid*10 + int(digit-'0')
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("ending %d: %v", pid, err)
	}
	<-gone
}

func TestLimitOfTheCPU(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"while :; do :; done", "sh -c 'while :; do :; done'; exit $?"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			// Without the limit the script goes on for ever.
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err := executeIn(ctx, t, newRecorder(), shell(command, script.PropLimitCPU, "1s"))
			if got := spi.AsError(err); got == nil || !strings.HasPrefix(got.Message, "the limit of 1s of script.limit.cpu was reached: ") {
				t.Errorf("Execute() = %v, want that the limit was reached", err)
			}
		})
	}
	if r, err := execute(t, map[string]string{script.PropCommandLine: "testdata/context.sh 'a b'", script.PropLimitCPU: "1h"}); err != nil || len(r.lines(spi.StreamStdout)) != 1 {
		t.Errorf("Execute() within the limit = %v with %q, want success", err, r.lines(spi.StreamStdout))
	}
}

func TestPropertiesAreChecked(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		script.PropCommandLine: "", script.PropShell: "yes", script.PropKillGrace: "-1s", script.PropLimitCPU: "1ms", script.PropLimitMemory: "1KiB",
		"script.comand.line": "true",
	} {
		given := map[string]string{script.PropCommandLine: "true"}
		given[name] = value
		if _, problems := script.Plugin().Descriptor.Props.Resolve(given); len(problems) != 1 || problems[0].Property != name {
			t.Errorf("Resolve(%s=%s) = %v, want one problem", name, value, problems)
		}
	}
	for _, given := range []map[string]string{
		{script.PropCommandLine: `echo "a`},
		{script.PropCommandLine: " "},
		{script.PropCommandLine: "'' a"},
		{script.PropCommandLine: "a\x00b"},
		{script.PropCommandLine: "a", script.PropEnv: "A,,B"},
		{script.PropCommandLine: "a", script.PropEnv: "ELASTICJOB_CONTEXT"},
		{script.PropCommandLine: "a", "script.env.A=B": "c"},
		{script.PropCommandLine: "a", "script.env.elasticjob_x": "c"},
		{script.PropCommandLine: "a", "script.env.A": "hunter2\x00"},
	} {
		values, problems := script.Plugin().Descriptor.Props.Resolve(given)
		if len(problems) > 0 {
			t.Fatalf("Resolve(%v) = %v, want no problem", given, problems)
		}
		_, err := script.Plugin().JobType(t.Context(), values)
		if got := spi.AsError(err); got == nil || got.Code != spi.CodeInvalidProperties || given[got.Property] == "" || strings.Contains(got.Message, "hunter2") {
			t.Errorf("JobType(%q) = %v, want an error about one of them", given, err)
		}
	}
}

// TestManyAtOnce runs scripts side by side.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	job, values := newJob(t.Context(), t, map[string]string{script.PropCommandLine: "testdata/context.sh"})
	var all sync.WaitGroup
	for item := range 16 {
		all.Go(func() {
			r := newRecorder()
			_, err := job.Execute(t.Context(), spi.ExecuteRequest{Services: r, Context: spi.ShardingContext{ShardingItem: item, ShardingTotalCount: 16, Props: values}})
			if got := r.lines(spi.StreamStdout); err != nil || len(got) != 1 {
				t.Errorf("Execute() = %v with %q, want one line", err, got)
			}
		})
	}
	all.Wait()
}

func TestAContextThatNoArgumentHolds(t *testing.T) {
	t.Parallel()
	job, _ := newJob(t.Context(), t, map[string]string{script.PropCommandLine: "true"})
	for length, want := range map[int]spi.Code{100_000: 0, 131_000: spi.CodeTooLarge} {
		_, err := job.Execute(t.Context(), spi.ExecuteRequest{Context: spi.ShardingContext{JobParameter: strings.Repeat("x", length)}})
		if got := spi.AsError(err); err != nil && got.Code != want || err == nil && want != 0 {
			t.Errorf("Execute() with a parameter of %d bytes = %v, want code %v", length, err, want)
		}
	}
}
