package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/robfig/cron/v3"

	quartz "github.com/elasticjob-go/elasticjob/core/cron"
	"github.com/elasticjob-go/elasticjob/core/schedule"
	"github.com/elasticjob-go/elasticjob/core/service"
	"github.com/elasticjob-go/elasticjob/core/service/servicetest"
)

// every fires at multiples of its length.
type every time.Duration

func (e every) Next(t time.Time) time.Time {
	d := time.Duration(e)
	return t.Truncate(d).Add(d)
}

// list fires at the given instants.
type list []time.Time

func (l list) Next(t time.Time) time.Time {
	for _, instant := range l {
		if instant.After(t) {
			return instant
		}
	}
	return time.Time{}
}

type recorder struct {
	mu  sync.Mutex
	due []schedule.Due
}

func (r *recorder) Fire(due schedule.Due) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.due = append(r.due, due)
}

func (r *recorder) take() []schedule.Due {
	r.mu.Lock()
	defer r.mu.Unlock()
	due := r.due
	r.due = nil
	return due
}

func startTimer(t *testing.T, now func() time.Time) *schedule.Timer {
	t.Helper()
	timer := schedule.NewTimer(now)
	if err := timer.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return timer
}

func stop(t *testing.T, s service.Service) {
	t.Helper()
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("Stop() = %v, want nil", err)
	}
}

func TestTimerKeepsTheServiceContract(t *testing.T) {
	t.Parallel()
	servicetest.Stress(t, func(*testing.T) service.Service { return schedule.NewTimer(time.Now) })
}

func TestTimerFiresEveryInstantOnTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		timer := startTimer(t, time.Now)
		defer stop(t, timer)
		begin := time.Now()
		const jobs = 200
		recorders := make([]*recorder, jobs)
		for i := range recorders {
			recorders[i] = &recorder{}
			timer.Set(fmt.Sprint(i), every(time.Duration(i%7+1)*time.Second), begin, recorders[i])
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for i, r := range recorders {
			period := every(time.Duration(i%7+1) * time.Second)
			var want []time.Time
			for at := period.Next(begin); !at.After(begin.Add(time.Minute)); at = period.Next(at) {
				want = append(want, at.UTC())
			}
			var got []time.Time
			for _, due := range r.take() {
				got = append(got, due.Instant)
				if due.Missed != 0 {
					t.Errorf("job %d: due %v passed over %d instants, want 0", i, due.Instant, due.Missed)
				}
			}
			if !slices.EqualFunc(got, want, time.Time.Equal) {
				t.Errorf("job %d fired at %v, want %v", i, got, want)
			}
		}
	})
}

func TestTimerSetReplacesAndRemoveEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		timer := startTimer(t, time.Now)
		defer stop(t, timer)
		r := &recorder{}
		timer.Set("a", every(time.Hour), time.Now(), r)
		timer.Set("a", every(time.Second), time.Now(), r)
		time.Sleep(3500 * time.Millisecond)
		if got := len(r.take()); got < 3 || got > 4 {
			t.Errorf("fired %d times in 3.5 s, want one a second", got)
		}
		if timer.Len() != 1 {
			t.Errorf("Len() = %d, want 1", timer.Len())
		}
		timer.Remove("a")
		time.Sleep(time.Minute)
		if got := r.take(); len(got) != 0 {
			t.Errorf("fired %v after Remove", got)
		}
	})
}

func TestTimerForgetsASpentSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		timer := startTimer(t, time.Now)
		defer stop(t, timer)
		r := &recorder{}
		at := time.Now().Add(time.Second)
		timer.Set("once", list{at}, time.Now(), r)
		if next, ok := timer.Next("once"); !ok || !next.Equal(at) {
			t.Errorf("Next(once) = %v, %v, want %v", next, ok, at)
		}
		time.Sleep(time.Minute)
		if got := r.take(); len(got) != 1 {
			t.Errorf("fired %d times, want 1", len(got))
		}
		if _, ok := timer.Next("once"); ok || timer.Len() != 0 {
			t.Error("a spent schedule is still in the timer")
		}
	})
}

func TestTimerPassesOverWhatASuspendMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var jump time.Duration
		now := func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(jump)
		}
		timer := startTimer(t, now)
		defer stop(t, timer)
		r := &recorder{}
		begin := now().Truncate(time.Minute)
		timer.Set("a", every(time.Minute), begin, r)
		mu.Lock()
		jump = time.Hour + time.Second
		mu.Unlock()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		got := r.take()
		if len(got) != 1 {
			t.Fatalf("fired %d times after the jump, want once", len(got))
		}
		due := got[0]
		if due.Missed != 59 || !due.From.Equal(begin.Add(time.Minute)) || !due.To.Equal(begin.Add(59*time.Minute)) || !due.Instant.Equal(begin.Add(time.Hour)) {
			t.Errorf("due = %+v, want the instant of the hour and 59 missed before it", due)
		}
	})
}

// TestTimerSaysAgainWhatAStepBackMakesDueAgain sets the clock back: whoever could not
// take an instant when it was due first has it again.
func TestTimerSaysAgainWhatAStepBackMakesDueAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		timer := startTimer(t, now)
		defer stop(t, timer)
		begin := time.Now()
		often, seldom := &recorder{}, &recorder{}
		timer.Set("often", every(2*time.Second), begin, often)
		timer.Set("seldom", every(time.Minute), begin, seldom)
		instants := func(r *recorder) (at []time.Duration) {
			for _, due := range r.take() {
				at = append(at, due.Instant.Sub(begin))
			}
			return at
		}
		const s = time.Second
		ahead.Store(int64(5 * s))
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if got, want := instants(often), []time.Duration{2 * s, 4 * s, 6 * s}; !slices.Equal(got, want) {
			t.Errorf("instants before the step = %v, want %v", got, want)
		}
		ahead.Store(0)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got, want := instants(often), []time.Duration{2 * s, 4 * s, 6 * s}; !slices.Equal(got, want) {
			t.Errorf("instants after a step back from 6.5s to 1.5s = %v, want %v", got, want)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, want := instants(seldom), []time.Duration{time.Minute}; !slices.Equal(got, want) {
			t.Errorf("instants of a job that was not due = %v, want %v", got, want)
		}
	})
}

func TestMissedAgainstPlainCounting(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 500 {
		period := every(time.Duration(random.IntN(5000)+1) * time.Second)
		after := begin.Add(time.Duration(random.IntN(100_000)) * time.Second)
		until := after.Add(time.Duration(random.IntN(100_000)) * time.Second)
		var want schedule.Gap
		for at := period.Next(after); !at.After(until); at = period.Next(at) {
			if want.Count == 0 {
				want.First = at
			}
			want.Count++
			want.BeforeLast, want.Last = want.Last, at
		}
		if want.Count > schedule.MaxCount {
			want.Count = schedule.MaxCount
		}
		if got := schedule.Missed(period, after, until); got != want {
			t.Fatalf("Missed(%v, %v, %v) = %+v, want %+v", time.Duration(period), after, until, got, want)
		}
	}
}

func TestLatestAgainstPlainCounting(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 100 {
		period := every(time.Duration(random.IntN(5000)+500) * time.Millisecond)
		after := begin.Add(time.Duration(random.IntN(100_000)) * time.Millisecond)
		until := after.Add(time.Duration(random.IntN(20_000_000)) * time.Millisecond)
		most := random.IntN(200) + 1
		var want []time.Time
		for at := period.Next(after); !at.After(until); at = period.Next(at) {
			if want = append(want, at); len(want) > most {
				want = want[1:]
			}
		}
		if got := schedule.Latest(period, after, until, most); !slices.Equal(got, want) {
			t.Fatalf("Latest(%v, %v, %v, %d) = %v, want %v", time.Duration(period), after, until, most, got, want)
		}
	}
}

// TestLatestIsBounded looks back over years of seconds, and over a month of them
// that lies months back.
func TestLatestIsBounded(t *testing.T) {
	t.Parallel()
	after := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	until := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	january, err := quartz.Parse("* * * * 1 ?", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		schedule cron.Schedule
		last     time.Time
	}{
		"every second":            {every(time.Second), until},
		"every second of January": {january, time.Date(2026, 1, 31, 23, 59, 59, 0, time.UTC)},
	} {
		counted := &counting{schedule: c.schedule}
		got := schedule.Latest(counted, after, until, 100)
		if len(got) != 100 || !got[99].Equal(c.last) || !got[0].Equal(c.last.Add(-99*time.Second)) {
			t.Errorf("%s: Latest() = %v, want the hundred up to %v", name, got, c.last)
		}
		if most := 40 * schedule.MaxCount; counted.calls > most {
			t.Errorf("%s: Latest asked the schedule %d times, want at most %d", name, counted.calls, most)
		}
	}
}

func TestMissedIsBoundedOverYears(t *testing.T) {
	t.Parallel()
	after := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	until := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	counted := &counting{schedule: every(time.Second)}
	got := schedule.Missed(counted, after, until)
	want := schedule.Gap{Count: schedule.MaxCount, First: after.Add(time.Second), BeforeLast: until.Add(-time.Second), Last: until}
	if got != want {
		t.Errorf("Missed(26 years of seconds) = %+v, want %+v", got, want)
	}
	if counted.calls > schedule.MaxCount+100 {
		t.Errorf("Missed asked the schedule %d times, want at most %d", counted.calls, schedule.MaxCount+100)
	}
}

type counting struct {
	schedule cron.Schedule
	calls    int
}

func (c *counting) Next(t time.Time) time.Time {
	c.calls++
	return c.schedule.Next(t)
}

// TestTimerHammer changes jobs from many goroutines while the timer runs.
func TestTimerHammer(t *testing.T) {
	t.Parallel()
	timer := startTimer(t, time.Now)
	defer stop(t, timer)
	r := &recorder{}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 500 {
				name := fmt.Sprint(i % 50)
				if (i+worker)%3 == 0 {
					timer.Remove(name)
				} else {
					timer.Set(name, every(time.Millisecond), time.Now(), r)
				}
				timer.Next(name)
			}
		})
	}
	wg.Wait()
	for i := range 50 {
		timer.Remove(fmt.Sprint(i))
	}
	if timer.Len() != 0 {
		t.Errorf("Len() = %d after removing all jobs, want 0", timer.Len())
	}
}
