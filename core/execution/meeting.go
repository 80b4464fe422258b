package execution

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// meeting is the part of this instance in a run whose listeners are called once
// for the items of all instances: before the first of them starts, by the
// instance whose begin was the last, and after the last has ended, by the
// instance that reported it. The registry decides who that is. The others wait
// for BeforeJob, and watch over AfterJob.
type meeting struct {
	run string // the registry's name of the run
	// begun is the answer to the begin.
	begun registry.Gathering
	// news is told to look again.
	news chan struct{}
	// reported is closed when the registry knows the ends of all items of this
	// instance, or never will.
	reported chan struct{}

	// The rest is guarded by the job's lock.

	unreported int                // items whose end is not reported
	ended      registry.Gathering // the turn of the last report
	isOver     [2]bool            // by moment: nobody waits any more
}

// Indexes of the moments in meeting.isOver.
const (
	atBefore = iota
	atAfter
)

// Bounds of the pause after which somebody who waits asks without having been
// told to.
const (
	firstLook = time.Second
	lastLook  = time.Minute
)

// gather makes a run part of one whose listeners are called once.
func (r *run) gather(g *registry.Gathering) {
	if g == nil {
		return
	}
	r.meeting = &meeting{
		run: g.Run, begun: *g, news: make(chan struct{}, 1), reported: make(chan struct{}), unreported: r.items.Len(),
		ended: registry.Gathering{Run: g.Run, Turn: registry.TurnGo},
	}
	r.company = newCompany()
	r.job.meetings = append(r.job.meetings, r)
	if g.Turn == registry.TurnCall {
		r.job.executor.listeners.called.add()
	}
}

// hasReported notes that the registry knows the ends of so many items, and what
// it answered, or that it will never know.
func (r *run) hasReported(items int, g *registry.Gathering) {
	m := r.meeting
	if m == nil {
		return
	}
	r.job.mu.Lock()
	defer r.job.mu.Unlock()
	if g != nil && m.ended.Turn != registry.TurnCall {
		m.ended = *g
		if g.Turn == registry.TurnCall {
			r.job.executor.listeners.called.add()
		}
	}
	if m.unreported -= items; m.unreported == 0 {
		close(m.reported)
	}
}

// leaveMeeting ends the part of this instance.
func (j *Job) leaveMeeting(r *run) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if i := slices.Index(j.meetings, r); i >= 0 {
		j.meetings = slices.Delete(j.meetings, i, i+1)
	}
}

// Gathered says that nobody waits any more for the listeners of a run that are
// called once at a moment.
func (j *Job) Gathered(run string, at registry.Moment) {
	index := atBefore
	if at == registry.MomentAfter {
		index = atAfter
	}
	j.tellMeetings(func(m *meeting) bool {
		m.isOver[index] = m.isOver[index] || m.run == run
		return m.run == run
	})
}

// LookAgain makes those ask for their turn that wait for listeners called once: of
// one run, or with "" of all.
func (j *Job) LookAgain(run string) {
	j.tellMeetings(func(m *meeting) bool { return run == "" || m.run == run })
}

func (j *Job) tellMeetings(isMeant func(*meeting) bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.meetings {
		if isMeant(r.meeting) {
			r.meeting.tell()
		}
	}
}

// tell makes who waits look again.
func (m *meeting) tell() {
	select {
	case m.news <- struct{}{}:
	default: // one unheard word says it all
	}
}

func (r *run) meetingIsOver(index int) bool {
	r.job.mu.Lock()
	defer r.job.mu.Unlock()
	return r.meeting.isOver[index]
}

// open calls the listeners before the run, or waits until another instance has.
// The channel is closed when the registry knows of the calls, if there were any.
func (l *listeners) open(r *run) (reported <-chan struct{}) {
	m, ctx := r.meeting, r.session.ctx
	g := m.begun
	if g.Turn == registry.TurnWait {
		g = l.await(ctx, r, registry.MomentBefore, r.spec.Config.StartedTimeout(), r.company.ended)
	}
	closed := make(chan struct{})
	if !l.decide(r, g, before) {
		close(closed)
		return closed
	}
	if cause(ctx) == nil {
		l.tell(ctx, r, before, true, func() []spi.RunItem { return r.itemsOf(g, before) })
	}
	go func() {
		defer close(closed)
		l.report(r, registry.MomentBefore)
	}()
	return closed
}

// conclude calls the listeners after the run if this instance is to, or watches
// until another has.
func (l *listeners) conclude(r *run) {
	m := r.meeting
	select {
	case <-m.reported:
	case <-l.lifetime.Done():
		return
	}
	r.job.mu.Lock()
	g := m.ended
	r.job.mu.Unlock()
	if g.Turn == registry.TurnWait {
		g = l.await(r.session.ctx, r, registry.MomentAfter, r.spec.Config.CompletedTimeout(), l.closing)
	}
	if !l.decide(r, g, after) {
		return
	}
	l.tell(l.lifetime, r, after, true, func() []spi.RunItem { return r.itemsOf(g, after) })
	l.report(r, registry.MomentAfter)
}

// await asks for the turn of this instance at a moment, whenever it is told to and
// now and then, until there is one or ctx or done has ended. After the limit it
// gives the calls up.
func (l *listeners) await(ctx context.Context, r *run, at registry.Moment, limit time.Duration, done <-chan struct{}) registry.Gathering {
	index := atBefore
	if at == registry.MomentAfter {
		index = atAfter
	}
	over := registry.Gathering{Run: r.meeting.run, Turn: registry.TurnGo}
	expire, pause := time.NewTimer(limit), firstLook
	defer expire.Stop()
	look := time.NewTimer(pause)
	defer look.Stop()
	for {
		act := registry.ActAsk
		select {
		case <-ctx.Done():
			return over
		case <-done:
			return over
		case <-r.meeting.news:
			if r.meetingIsOver(index) {
				return over
			}
		case <-look.C:
			pause = min(2*pause, lastLook)
			look.Reset(pause)
		case <-expire.C:
			act = registry.ActExpire
		}
		if at == registry.MomentAfter && r.job.isClosed() {
			// The job is gone, or is for other instances to run.
			return over
		}
		g, isAnswered := l.ask(r, at, act, done)
		if !isAnswered {
			return over
		}
		if g.Turn != registry.TurnWait {
			return g
		}
	}
}

// ask asks for the turn of this instance, unless done has ended. What asks counts as
// a call: the answer that the turn is this instance's may be lost, and is then only
// known when the request has been repeated.
func (l *listeners) ask(r *run, at registry.Moment, act registry.Act, done <-chan struct{}) (g registry.Gathering, isAnswered bool) {
	l.called.add()
	select {
	case <-done: // who stops may not wait for it any more
		l.called.done()
		return g, false
	default:
	}
	g, err := r.meet(at, act)
	if err != nil || g.Turn != registry.TurnCall {
		l.called.done()
	}
	return g, err == nil
}

// report tells the registry that the calls of a moment are made.
func (l *listeners) report(r *run, at registry.Moment) {
	defer l.called.done()
	if _, err := r.meet(at, registry.ActDone); err != nil {
		l.logger.Warn("calls of job listeners not recorded", "job", r.job.name, "run", r.id, "err", err)
	}
}

func (r *run) meet(at registry.Moment, act registry.Act) (registry.Gathering, error) {
	return untilAnswered(r.job, r.session, &r.session.meets, registry.MeetRequest{
		Lease: r.session.lease, Job: r.job.name, Run: r.meeting.run, Fence: r.fence, Moment: at, Act: act,
	})
}

// decide reports whether this instance makes the calls. If they were given up, it
// hands that to the error handlers when it is this instance's to tell.
func (l *listeners) decide(r *run, g registry.Gathering, when moment) bool {
	switch g.Turn {
	case registry.TurnCall:
		return true
	case registry.TurnExpired:
		what, limit := "begun", r.spec.Config.StartedTimeout()
		if when == after {
			what, limit = "ended", r.spec.Config.CompletedTimeout()
		}
		r.fail(spi.NewError(spi.CodeTimeout, fmt.Sprintf("not all items of the run had %s after %s, so the listeners that are called once %s it were not called", what, limit, when)))
	case registry.TurnForsaken:
		r.fail(spi.NewError(spi.CodeUnavailable, fmt.Sprintf("the instance that was to call the listeners that are called once %s the run is gone; whether it has called them is not known", when)))
	case registry.TurnGo, registry.TurnWait:
	}
	return false
}

// fail hands a failure of the run itself to the error handlers. They see it with
// the first item of this instance.
func (r *run) fail(err *spi.Error) {
	first := 0
	for item := range r.items.All() {
		first = item
		break
	}
	r.job.executor.handlers.submit(failure{run: r, item: wholeRun, err: err, context: spi.ShardingContext{
		JobName: r.job.name, TaskID: r.task(), ShardingTotalCount: r.total, JobParameter: r.jobParameter(),
		ShardingItem: first, ShardingParameter: r.spec.Parameters[first], RunID: r.id, FireTime: r.instant, ExecutionSource: r.source,
		Attempt: 1, FencingToken: r.fence, Props: r.spec.Values,
	}})
}

// itemsOf are the items of the whole run. Only those of this instance have the
// errors that they ended with.
func (r *run) itemsOf(g registry.Gathering, when moment) []spi.RunItem {
	items := make([]spi.RunItem, 0, g.Items.Len())
	for item := range g.Items.All() {
		one := spi.RunItem{Item: item, Parameter: r.spec.Parameters[item]}
		if when == after {
			switch {
			case g.Succeeded.Contains(item):
				one.Outcome = spi.OutcomeSuccess
			case g.Failed.Contains(item):
				one.Outcome = spi.OutcomeFailure
			case g.Cancelled.Contains(item):
				one.Outcome = spi.OutcomeCancelled
			}
		}
		items = append(items, one)
	}
	if when == before {
		return items
	}
	for _, own := range r.companions() {
		if i, found := slices.BinarySearchFunc(items, own.Item, func(one spi.RunItem, item int) int { return one.Item - item }); found {
			items[i].Error = own.Error
		}
	}
	return items
}
