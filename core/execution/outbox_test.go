package execution

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
)

// message is what a channel was sent.
type message struct {
	After time.Duration // since the channel was made
	Count int
	Items []int
	Text  string
}

// channel is an error handler that sends messages. answer says how a try ends;
// nil lets all succeed.
type channel struct {
	answer func(ctx context.Context, try int) (spi.Decision, error)

	mu    sync.Mutex
	began time.Time
	tries int
	sent  []message
}

func newChannel(answer func(ctx context.Context, try int) (spi.Decision, error)) *channel {
	return &channel{answer: answer, began: time.Now()}
}

func (c *channel) HandleError(ctx context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
	c.mu.Lock()
	c.tries++
	try := c.tries
	c.mu.Unlock()
	decision := spi.DecisionContinue
	if c.answer != nil {
		var err error
		if decision, err = c.answer(ctx, try); err != nil {
			return spi.HandleErrorResponse{}, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, message{time.Since(c.began).Truncate(time.Millisecond), req.Count, req.Items, req.Error.Message})
	return spi.HandleErrorResponse{Decision: decision}, nil
}

func (c *channel) messages() []message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sent)
}

func (c *channel) count() (failures int) {
	for _, m := range c.messages() {
		failures += m.Count
	}
	return failures
}

// notifying is a spec whose items fail with what text says, and whose handler
// sends messages.
func notifying(c *channel, window time.Duration, text func(req spi.ExecuteRequest) string) *Spec {
	return &Spec{
		JobType:  code(func(_ context.Context, req spi.ExecuteRequest) error { return errors.New(text(req)) }),
		Handlers: []*Handler{{Type: "CHANNEL", Handler: c, Notifies: true, Window: window}},
	}
}

func always(text string) func(spi.ExecuteRequest) string {
	return func(spi.ExecuteRequest) string { return text }
}

// unavailable is the answer of a channel that is out of order up to a try.
func unavailable(until int) func(context.Context, int) (spi.Decision, error) {
	return func(_ context.Context, try int) (spi.Decision, error) {
		if try <= until {
			return "", spi.NewError(spi.CodeUnavailable, "out of order")
		}
		return spi.DecisionContinue, nil
	}
}

func checkMessages(t *testing.T, c *channel, want ...message) {
	t.Helper()
	if diff := cmp.Diff(want, c.messages()); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

// checkNothingLeft checks that an outbox at rest holds nothing.
func checkNothingLeft(t *testing.T, r *rig, specs ...*Spec) {
	t.Helper()
	o := r.handlers.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := o.pending.count(); n != 0 || o.count != 0 || o.idle != 0 || len(o.topics) != 0 {
		t.Errorf("%d notices, %d topics, %d of them idle, %d outlets at rest, want none", n, o.count, o.idle, len(o.topics))
	}
	for _, spec := range specs {
		if n := spec.uses.n.Load(); n != 0 {
			t.Errorf("uses of a spec at rest = %d, want none", n)
		}
	}
}

func TestFailuresThatAreAlikeBecomeOneMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		c := newChannel(nil)
		spec := notifying(c, time.Minute, func(req spi.ExecuteRequest) string {
			return fmt.Sprintf("order %d of %s: no stock", req.Context.ShardingItem, req.Context.RunID)
		})
		j := r.host("orders", 2, spec)
		var runs []string
		for range 10 { // at 0 s to 90 s
			runs = append(runs, r.runIDOf(r.fire(j)))
			time.Sleep(10*time.Second + time.Millisecond)
		}
		synctest.Wait()
		// The first two fail at once, and either may be told first.
		got := c.messages()
		if len(got) != 2 {
			t.Fatalf("%d messages, want 2: %v", len(got), got)
		}
		if got[0].After != 0 || got[0].Count != 1 || got[1].After != time.Minute || got[1].Count != 11 {
			t.Errorf("messages = %+v, want one of 1 failure at once and one of 11 after a minute", got)
		}
		if last := got[1]; !slices.Equal(last.Items, []int{0, 1}) || !strings.Contains(last.Text, runs[5]) {
			t.Errorf("second message = %+v, want both items and the last failure, of run %s", last, runs[5])
		}
		time.Sleep(10 * time.Minute)
		if got := c.count(); got != 20 {
			t.Errorf("failures told in all = %d, want 20", got)
		}
		checkNothingLeft(t, r, spec)
		r.fire(j)
		synctest.Wait()
		if got := c.messages(); len(got) != 4 {
			t.Errorf("%d messages after a quiet while, want the fourth at once", len(got))
		}
		r.stop(t)
		if got := c.count(); got != 22 {
			t.Errorf("failures told at the stop = %d, want 22", got)
		}
		checkNothingLeft(t, r, spec)
	})
}

func TestFailuresOfManyKindsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		c := newChannel(nil)
		const items = 3 * maxKinds
		j := r.host("orders", items, notifying(c, time.Minute, func(req spi.ExecuteRequest) string {
			return "no " + strings.Repeat("x", 1+req.Context.ShardingItem)
		}))
		r.fire(j)
		synctest.Wait()
		if got := len(c.messages()); got != maxKinds+1 {
			t.Errorf("messages of %d kinds of failures at once = %d, want %d and one of all others", items, got, maxKinds)
		}
		time.Sleep(2 * time.Minute)
		if got, failures := len(c.messages()), c.count(); got != maxKinds+2 || failures != items {
			t.Errorf("%d messages of %d failures, want %d of %d", got, failures, maxKinds+2, items)
		}
		r.stop(t)
	})
}

func TestWithoutAWindowEachFailureIsAMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		c := newChannel(nil)
		spec := notifying(c, 0, always("no stock"))
		j := r.host("orders", 3, spec)
		for range 5 {
			r.fire(j)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if got, failures := len(c.messages()), c.count(); got != 15 || failures != 15 {
			t.Errorf("%d messages of %d failures, want 15 of 15", got, failures)
		}
		checkNothingLeft(t, r, spec)
		r.stop(t)
	})
}

func TestAMessageIsTriedAgainWithBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, log := tallyRig(t)
		c := newChannel(unavailable(8))
		spec := notifying(c, time.Minute, always("no stock"))
		j := r.host("orders", 1, spec)
		r.fire(j)
		time.Sleep(5 * time.Second)
		r.fire(j)
		time.Sleep(time.Hour)
		// 1 + 2 + 4 + 8 + 16 + 32 + 60 + 60 s after the first try. What happened since
		// does not wait for a window that is over.
		checkMessages(t, c, message{183 * time.Second, 1, []int{0}, "no stock"}, message{183 * time.Second, 1, []int{0}, "no stock"})
		if records := log.read(); records["error handler failed, trying again: orders"] != 8 || records["error handler failed: orders"] != 0 {
			t.Errorf("records = %v, want 8 of tries that failed", records)
		}
		checkNothingLeft(t, r, spec)
		r.stop(t)
	})
}

func TestAMessageIsNotTriedBeforeItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		c := newChannel(func(_ context.Context, try int) (spi.Decision, error) {
			if try == 1 {
				return "", &spi.Error{Code: spi.CodeRateLimited, Message: "busy", Retryable: true, RetryAfter: 100 * time.Second}
			}
			return spi.DecisionContinue, nil
		})
		r.fire(r.host("orders", 1, notifying(c, time.Minute, always("no stock"))))
		time.Sleep(time.Hour)
		checkMessages(t, c, message{100 * time.Second, 1, []int{0}, "no stock"})
		r.stop(t)
	})
}

// TestAMessageThatIsGivenUpIsInTheLog has channels that refuse messages, or are
// away for longer than messages are tried.
func TestAMessageThatIsGivenUpIsInTheLog(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		err   *spi.Error
		tries int
	}{
		{"refused", spi.NewError(spi.CodeFailed, "no such channel"), 2},
		{"longer away", spi.NewError(spi.CodeUnavailable, "away"), 2 * 20},
		{"not within a quarter of an hour", &spi.Error{Code: spi.CodeRateLimited, Message: "busy", Retryable: true, RetryAfter: time.Hour}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, log := tallyRig(t)
				c := newChannel(func(context.Context, int) (spi.Decision, error) { return "", test.err })
				spec := notifying(c, time.Minute, always("no stock"))
				j := r.host("orders", 1, spec)
				for range 30 {
					r.fire(j)
					time.Sleep(time.Second)
				}
				time.Sleep(time.Hour)
				if got := log.read()["error handler failed: orders"]; got != 30 || c.tries != test.tries {
					t.Errorf("failures in the log = %d after %d tries, want 30 after %d", got, c.tries, test.tries)
				}
				checkNothingLeft(t, r, spec)
				r.stop(t)
			})
		})
	}
}

// TestAnOutageOfAChannelDelaysNothingElse has a job with a channel that takes
// all of the time of a call, beside a handler that decides, another channel and
// another job.
func TestAnOutageOfAChannelDelaysNothingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		stopped := make(map[string]time.Duration)
		began := time.Now()
		r.handlers.stop = func(_ context.Context, job, handler string) { stopped[job+" by "+handler] = time.Since(began) }
		dead := newChannel(func(ctx context.Context, _ int) (spi.Decision, error) { return "", unanswered(ctx) })
		beside, others := newChannel(nil), newChannel(nil)
		spec := notifying(dead, time.Minute, always("no stock"))
		spec.Handlers = append(spec.Handlers,
			&Handler{Type: "BESIDE", Handler: beside, Notifies: true, Window: time.Minute},
			&Handler{Type: "STOPS", Handler: spi.ErrorHandlerFunc(func(context.Context, spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
				return spi.HandleErrorResponse{Decision: spi.DecisionStop}, nil
			})})
		r.fire(r.host("orders", 1, spec))
		r.fire(r.host("others", 1, notifying(others, time.Minute, always("no stock"))))
		synctest.Wait()
		want := message{0, 1, []int{0}, "no stock"}
		checkMessages(t, beside, want)
		checkMessages(t, others, want)
		if at, ok := stopped["orders by STOPS"]; !ok || at != 0 {
			t.Errorf("stops = %v, want one of the job at once", stopped)
		}
		r.stop(t)
		checkNothingLeft(t, r, spec)
	})
}

func TestAChannelMayStopItsJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		var stops []string
		r.handlers.outbox.stopJob = func(_ context.Context, job, handler string) { stops = append(stops, job+" by "+handler) }
		c := newChannel(func(context.Context, int) (spi.Decision, error) { return spi.DecisionStop, nil })
		r.fire(r.host("orders", 5, notifying(c, time.Minute, always("no stock"))))
		synctest.Wait()
		if diff := cmp.Diff([]string{"orders by CHANNEL"}, stops); diff != "" {
			t.Errorf("stops after the first answer (-want +got):\n%s", diff)
		}
		r.stop(t)
	})
}

// TestAStopSendsWhatWaits stops a node whose notices wait for the end of their
// window or for their next try.
func TestAStopSendsWhatWaits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		answer     func(context.Context, int) (spi.Decision, error)
		told, left int
	}{
		{"in the window", nil, 7, 0},
		{"before its next try", unavailable(1), 7, 0},
		{"still out of order", unavailable(100), 0, 7},
		{"silent", func(ctx context.Context, _ int) (spi.Decision, error) { return "", unanswered(ctx) }, 0, 7},
		{"deaf", func(context.Context, int) (spi.Decision, error) {
			time.Sleep(time.Minute)
			return "", errors.New("late")
		}, 0, 7},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, log := tallyRig(t)
				c := newChannel(test.answer)
				spec := notifying(c, time.Hour, always("no stock"))
				r.fire(r.host("orders", 7, spec))
				synctest.Wait()
				began := time.Now()
				r.stop(t)
				if took := time.Since(began); took > rigGrace+time.Second {
					t.Errorf("Stop() took %v, want little more than its grace", took)
				}
				records := log.read()
				if left := records["error handler failed: orders"] + records[lostOf("orders")]; c.count() != test.told || left != test.left {
					t.Errorf("failures told = %d, in the log = %d, want %d and %d; records %v", c.count(), left, test.told, test.left, records)
				}
				checkNothingLeft(t, r, spec)
				r.handlers.submit(failure{run: &run{job: r.Job("orders"), spec: spec}, err: spi.NewError(spi.CodeFailed, "late")})
				if got := log.read()[lostOf("orders")] - records[lostOf("orders")]; got != 1 {
					t.Errorf("records of a failure after the stop = %d, want 1", got)
				}
				time.Sleep(time.Hour)
			})
		})
	}
}

// TestANoticeIsSentByTheHandlerThatItsJobHasNow mends the configuration of a job
// while a notice waits for its next try.
func TestANoticeIsSentByTheHandlerThatItsJobHasNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		broken, mended := newChannel(unavailable(100)), newChannel(nil)
		old, latest := notifying(broken, time.Minute, always("no stock")), notifying(mended, time.Minute, always("no stock"))
		j := r.host("orders", 1, old)
		latest.Config, latest.Schedule = old.Config, old.Schedule
		r.fire(j)
		synctest.Wait()
		j.Swap(latest)
		time.Sleep(time.Second)
		synctest.Wait()
		checkMessages(t, mended, message{time.Second, 1, []int{0}, "no stock"})
		if err := old.WaitUnused(t.Context()); err != nil {
			t.Errorf("WaitUnused() = %v, want nil", err)
		}
		r.stop(t)
		checkNothingLeft(t, r, old, latest)
	})
}

func TestAFailureOfAWholeRunNamesNoItem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		c := newChannel(nil)
		spec := notifying(c, time.Minute, always(""))
		j := r.host("orders", 1, spec)
		r.handlers.submit(failure{run: &run{job: j, spec: spec}, item: wholeRun, err: spi.NewError(spi.CodeTimeout, "the others did not start")})
		synctest.Wait()
		checkMessages(t, c, message{0, 1, nil, "the others did not start"})
		r.stop(t)
	})
}

// TestNoticesAreBounded lets far more jobs fail than kinds of failures are
// remembered, while the channel is away. A job with few failures loses none.
func TestNoticesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const jobs = maxTopics/maxKinds + 10
		r, log := tallyRig(t)
		dead := newChannel(func(ctx context.Context, _ int) (spi.Decision, error) { return "", unanswered(ctx) })
		all := 0
		for i := range jobs {
			spec := notifying(dead, time.Minute, func(req spi.ExecuteRequest) string { return strings.Repeat("x", 1+req.Context.ShardingItem) })
			r.fire(r.host(fmt.Sprint("noisy-", i), maxKinds, spec))
			all += maxKinds
		}
		synctest.Wait()
		o := r.handlers.outbox
		o.mu.Lock()
		topics := o.count
		o.mu.Unlock()
		if topics != maxTopics {
			t.Errorf("topics = %d, want %d", topics, maxTopics)
		}
		time.Sleep(2 * asideTimeout) // tries of all of them have failed: they wait
		r.fire(r.host("other", 1, notifying(newChannel(nil), time.Minute, always("no stock"))))
		synctest.Wait()
		if n := log.read()[lostOf("other")]; n != 0 {
			t.Errorf("failures of the other job not handed on = %d, want none", n)
		}
		r.stop(t)
		given := 0
		for what, n := range log.read() {
			if strings.Contains(what, ": noisy-") && !strings.Contains(what, "trying again") {
				given += n
			}
		}
		if given != all {
			t.Errorf("failures in the log = %d, want all %d", given, all)
		}
		checkNothingLeft(t, r)
	})
}

// TestNoticesOfManyJobsAtOnce hands on failures from many goroutines while the
// handlers stop. Each is told, or in the log.
func TestNoticesOfManyJobsAtOnce(t *testing.T) {
	t.Parallel()
	const jobs, each = 16, 500
	log := &tally{}
	r := newRig(t, slog.New(log))
	h := r.handlers
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var half atomic.Int32
	c := newChannel(func(_ context.Context, try int) (spi.Decision, error) {
		if half.Add(1)%2 == 0 {
			return "", errors.New("refused")
		}
		return spi.DecisionContinue, nil
	})
	spec := notifying(c, time.Millisecond, always(""))
	var failing sync.WaitGroup
	for range jobs {
		one := &run{job: &Job{name: "orders", executor: r.Executor}, spec: spec}
		failing.Go(func() {
			for item := range each {
				h.submit(failure{run: one, item: item, err: spi.NewError(spi.Code(1000+item%40), "no stock")})
			}
		})
	}
	if err := h.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
	failing.Wait()
	records := log.read()
	given := records["error handler failed: orders"] + records[lostOf("orders")]
	if got := c.count() + given; got != jobs*each {
		t.Errorf("%d failures told and %d in the log, want %d in all", c.count(), given, jobs*each)
	}
	checkNothingLeft(t, r, spec)
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 100)
	for _, test := range []struct {
		a, b  string
		alike bool
	}{
		{"order 17: no stock", "order 18: no stock", true},
		{"order 17: no stock", "order 17: no disk", false},
		{"trace 4bf92f3577b34da6", "trace a3ce929d0e0e4736", true},
		{"dial 10.0.0.1:5432: refused", "dial 10.0.0.27:80: refused", true},
		{"order_17", "order_18", true},
		{"第3次失败", "第4次失败", true},
		{"第3次失败", "第4次成功", false},
		{"17", "", false},
		{long + "a", long + "b", true},
		{"a", "b", false},
	} {
		a, b := kindOf(spi.NewError(spi.CodeFailed, test.a)), kindOf(spi.NewError(spi.CodeFailed, test.b))
		if (a == b) != test.alike {
			t.Errorf("kindOf(%q), kindOf(%q) = %q, %q, want alike: %t", test.a, test.b, a, b, test.alike)
		}
		if len(a) > maxKind+16 {
			t.Errorf("kindOf(%q) has %d bytes, want no more than %d", test.a, len(a), maxKind+16)
		}
	}
	if kindOf(spi.NewError(1000, "m")) == kindOf(spi.NewError(1001, "m")) {
		t.Error("kindOf of two codes is alike, want it not to be")
	}
}
