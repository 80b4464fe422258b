//go:build unix

package elasticjob_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/spi"
)

// scriptLog is a log handler that keeps of each job what its scripts say, as far as
// the test looks, and the errors of its items.
type scriptLog struct {
	*tally

	mu     sync.Mutex
	said   map[string]map[string]int // by job, the beginnings of lines
	errors map[string]map[string]int
	missed map[string]map[string]int // by job and reason
}

func newScriptLog() *scriptLog {
	return &scriptLog{tally: newTally(), said: map[string]map[string]int{}, errors: map[string]map[string]int{}, missed: map[string]map[string]int{}}
}

func (l *scriptLog) Handle(ctx context.Context, r slog.Record) error {
	attrs := map[string]string{}
	r.Attrs(func(a slog.Attr) bool { attrs[a.Key] = a.Value.String(); return true })
	count := func(of map[string]map[string]int, what string) {
		if of[attrs["job"]] == nil {
			of[attrs["job"]] = map[string]int{}
		}
		of[attrs["job"]][what]++
	}
	l.mu.Lock()
	switch r.Message {
	case "plugin output":
		count(l.said, attrs["line"])
	case "item finished":
		count(l.errors, attrs["err"])
	case "item misfired":
		count(l.missed, attrs["reason"])
	}
	l.mu.Unlock()
	return l.tally.Handle(ctx, r)
}

// has reports whether something that is counted of a job holds a text.
func has(of map[string]int, text string) bool {
	for what := range of {
		if strings.Contains(what, text) {
			return true
		}
	}
	return false
}

// TestHostileScriptsHarmNobody lets one script hang for ever, one flood its log, one
// fork children, and items fail as fast as they can, beside a script every second
// that must not notice. It is not parallel: it measures the whole process.
func TestHostileScriptsHarmNobody(t *testing.T) { //nolint:paralleltest // see above
	const seconds = 6
	// Every process of a script holds the pipe open.
	pipe := filepath.Join(t.TempDir(), "alive")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	alive, err := syscall.Open(pipe, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(alive) }()
	script := func(text string) string {
		return fmt.Sprintf("elasticJobType: SCRIPT, props: {script.shell: true, script.kill.grace: 100ms, script.command.line: %q}", "exec 9>'"+pipe+"'; "+text)
	}
	c := load(t, fmt.Sprintf(`
elasticjob:
  shutdownGraceMilliseconds: 100
  jobs:
    good: {every: 1s, shardingTotalCount: 1, %s}
    hangs: {every: 1s, shardingTotalCount: 1, %s}
    floods: {every: 1s, shardingTotalCount: 1, %s}
    forks: {every: 1s, shardingTotalCount: 1, timeout: 700ms, jobErrorHandlerType: IGNORE, %s}
    fails: {every: 20ms, shardingTotalCount: 2, maxRetries: 3, retryBackoff: 1ms, jobErrorHandlerType: IGNORE, %s}
    furious: {elasticJobType: SIMPLE, every: 1ms, shardingTotalCount: 1, maxRetries: 3, retryBackoff: 1ms}
`,
		script(`echo "run $ELASTICJOB_RUN_ID begins"; sleep 0.2; echo "run $ELASTICJOB_RUN_ID ends"`),
		script(`trap "" TERM; echo hanging; while :; do sleep 600; done`),
		script(`i=0; while [ $i -lt 40000 ]; do echo "$i: sixty-four bytes of no use to anybody, again and again and again"; i=$((i+1)); done`),
		script(`trap "" TERM; for i in 1 2 3 4 5 6 7 8 9 10; do (trap "" TERM; sleep 600; sleep 600) & done; echo forked; wait`),
		script(`echo "no stock" >&2; exit 3`),
	))
	_, goroutines, descriptors := holds()
	log := newScriptLog()
	node, err := elasticjob.New(t.Context(), c, elasticjob.WithLogger(slog.New(log)),
		elasticjob.WithFunc("furious", func(context.Context, *elasticjob.Job) error { return errors.New("out of order") }))
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the good job has run", func() bool {
		log.tally.mu.Lock()
		defer log.tally.mu.Unlock()
		return log.finished["good"][0] >= seconds
	})
	if err := node.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
	waitFor(t, "no process holds the pipe open", func() bool {
		n, err := syscall.Read(alive, make([]byte, 1))
		return n == 0 && err == nil
	})
	waitFor(t, "the goroutines and descriptors are gone", func() bool {
		_, nowRunning, nowOpen := holds()
		return nowRunning <= goroutines && nowOpen <= descriptors
	})
	checkScriptLog(t, log)
}

// checkScriptLog holds that the log tells of the good job without a gap, and what
// each of the others did.
func checkScriptLog(t *testing.T, log *scriptLog) {
	t.Helper()
	log.mu.Lock()
	defer log.mu.Unlock()
	good := log.started["good"]
	var last time.Time
	for i, one := range good {
		run, source, _ := strings.Cut(one, " ")
		at := parseTime(t, "20060102T150405.000Z", run)
		if source != string(spi.SourceNormal) || i > 0 && at.Sub(last) != time.Second {
			t.Errorf("run %d of the good job is %s after %s, want the next second at its instant", i, one, last)
		}
		last = at
		// The stop may have cut off the last one.
		for _, line := range []string{"run " + run + " begins", "run " + run + " ends"} {
			if log.said["good"][line] != 1 && i < len(good)-1 {
				t.Errorf("the log has %q %d times, want once", line, log.said["good"][line])
			}
		}
	}
	if len(log.missed["good"]) > 0 {
		t.Errorf("the good job missed fires: %v", log.missed["good"])
	}
	for what, isSo := range map[string]bool{
		"that one hangs":               log.said["hangs"]["hanging"] == 1 && log.missed["hangs"]["still-running"] > 0,
		"that it was cancelled":        log.finished["hangs"][int64(spi.CodeCancelled)] == 1,
		"what one floods it with":      has(log.said["floods"], "0: sixty-four bytes"),
		"how much of that was dropped": has(log.said["floods"], "bytes of output dropped"),
		"that one forks":               log.said["forks"]["forked"] > 1,
		"that it took too long":        log.finished["forks"][int64(spi.CodeTimeout)] > 1,
		"that one fails":               log.finished["fails"][int64(spi.CodeFailed)] > 10 && log.said["fails"]["no stock"] > 10,
		"why it does":                  has(log.errors["fails"], "no stock"),
		"that one fails all the time":  log.finished["furious"][int64(spi.CodeFailed)] > 100,
		"why that one does":            has(log.errors["furious"], "out of order"),
	} {
		if !isSo {
			t.Errorf("the log does not tell %s", what)
		}
	}
	t.Logf("beside %d runs of the good job items finished by code as %v and missed %v", len(good), log.finished, log.missed)
}
