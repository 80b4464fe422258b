package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elasticjob-go/elasticjob/core/coordinator"
	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/registry"
)

// member is the node as a member of one partition of the registry center: its
// session there, the leader's duties if it leads, and the assignments of the
// jobs that live there.
type member struct {
	host        *Host
	partition   *registry.Partition
	executor    *execution.Partition
	membership  *membership
	coordinator *coordinator.Coordinator
	logger      *slog.Logger

	// applied is the version of the feed up to which changes were followed.
	applied atomic.Int64
	// departed says that the registry knows of the node's farewell under this
	// session, and last is the instant in milliseconds that it agreed to, zero
	// before.
	departed atomic.Bool
	last     atomic.Int64
	// notBefore is the end of the quarantine in milliseconds of the server's
	// clock, zero if there is none.
	notBefore atomic.Int64
	// incarnation is the identity of the data under the last session, disabled the
	// servers that are for all jobs; only the following goroutine uses them.
	incarnation string
	disabled    []string
	// rereads says that all jobs are to be read again, not only what has changed;
	// only the following goroutine uses it.
	rereads bool

	clockTold time.Time // when a difference of clocks was last told; for the renewing goroutine

	mu        sync.Mutex
	announced []string // the jobs that the registry knows this node to host
}

var (
	_ follower         = (*member)(nil)
	_ execution.Center = (*member)(nil)
)

// description is what the node says of itself in this partition.
func (m *member) description() registry.Instance {
	i := m.host.instance
	i.Jobs = m.host.jobs.namesIn(m.partition.Index())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.announced = i.Jobs
	return i
}

// joined stores the definitions of the node's jobs under the new session, and
// hosts what others have stored.
func (m *member) joined(ctx context.Context, r registry.Registration) error {
	m.applied.Store(0)
	m.departed.Store(false)
	m.quarantine(r.NotBefore)
	if isAnother := m.incarnation != "" && m.incarnation != r.Incarnation; isAnother {
		m.executor.Distrust()
		if err := m.restore(ctx); err != nil {
			return err
		}
	}
	m.incarnation = r.Incarnation
	if err := m.host.jobs.store(ctx, m); err != nil {
		return err
	}
	m.executor.Attach(r.Lease)
	return nil
}

// authorRestore is the author of states that a node has put back.
const authorRestore = "restore"

// restore gives a registry that came back empty what this node knows of it:
// definitions of jobs and desired state.
func (m *member) restore(ctx context.Context) error {
	known := m.host.jobs.statesIn(m.partition.Index())
	restored, err := m.partition.Restore(ctx, known)
	if err != nil {
		return err
	}
	for _, server := range m.disabled {
		if _, err := m.partition.SetInstanceState(ctx, server, false, authorRestore); err != nil {
			return err
		}
	}
	m.logger.Warn("registry came back without its data; job definitions and desired state were put back from this node", "jobs", restored, "known", len(known))
	return nil
}

// quarantine lets everything that is due wait until the given time of the
// server's clock, and says so once; the zero time is none.
func (m *member) quarantine(notBefore time.Time) {
	if notBefore.IsZero() || !notBefore.After(m.host.now()) {
		return
	}
	until := notBefore.UnixMilli()
	isNews := m.notBefore.Swap(until) != until
	m.executor.Hold()
	if isNews {
		m.logger.Warn("nothing is started for a while: the registry is new or may have lost its latest writes, so items of earlier holders may still run", "until", notBefore)
		// Others may begin these items when the wait is over.
		m.executor.Reassert()
		m.membership.tell()
	}
}

// isHeld reports whether the quarantine lasts.
func (m *member) isHeld() bool { return m.notBefore.Load() > m.host.now().UnixMilli() }

// renewed takes note of the quarantine.
func (m *member) renewed(r registry.Renewal) {
	m.quarantine(r.NotBefore)
	if m.executor.IsPutOff() {
		m.membership.tell()
	}
	if m.partition.Index() == 0 && m.host.clock != nil {
		m.checkClock()
	}
}

const (
	// clockAlarm is the least difference of the clocks that is looked at while the
	// node runs; jobs bound it in seconds.
	clockAlarm = 500 * time.Millisecond
	// clockAlarmEvery is how often it is told.
	clockAlarmEvery = time.Minute
)

// checkClock says when the clocks of this machine and of the registry's server
// have drifted further apart than a job allows. Firing goes on by the server's.
func (m *member) checkClock() {
	difference := m.host.clock.difference().Abs()
	if difference < clockAlarm || time.Since(m.clockTold) < clockAlarmEvery {
		return
	}
	if bound, name := m.host.jobs.clockBound(); bound >= 0 && difference > bound {
		m.clockTold = time.Now()
		m.logger.Warn("clocks differ more than a job allows; firing goes on by the registry's", "job", name, "difference", difference.Round(time.Millisecond).String())
	}
}

// caughtUp lets unmonitored firings go on that waited for a renewal or for the
// changes that it told of.
func (m *member) caughtUp() {
	if m.applied.Load() >= m.membership.version.Load() {
		m.executor.Renewed()
	}
}

// lost ends what runs under the session.
func (m *member) lost(lease registry.Lease) { m.executor.Detach(lease) }

// stopped is the instant up to which the node has fired, zero while it fires.
func (m *member) stopped() time.Time {
	if ms := m.last.Load(); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

// changed does the leader's duties if this node leads, and follows what has
// changed, also when a duty fails.
func (m *member) changed(ctx context.Context, leadership *registry.Leadership) (time.Time, error) {
	if m.notBefore.Load() != 0 {
		// What the leader has done may be lost.
		m.coordinator.Forget()
	}
	if m.isHeld() {
		return time.UnixMilli(m.notBefore.Load()), m.follow(ctx)
	}
	leaves := m.host.leaving.Load() != 0
	if m.executor.IsHeld() && (!leaves || m.executor.HasHandedOver()) {
		if m.notBefore.Swap(0) != 0 {
			m.logger.Info("the wait is over")
			// The data may be older than what this node knows: read them anew.
			m.executor.Distrust()
			m.applied.Store(0)
		}
		m.executor.Resume()
	}
	if leaves && !m.departed.Load() && m.executor.HasHandedOver() {
		if err := m.depart(ctx, true); err != nil {
			return time.Time{}, err
		}
	}
	var next time.Time
	var errs []error
	if leadership != nil {
		var err error
		next, err = m.coordinator.Coordinate(ctx, *leadership)
		if errors.Is(err, registry.ErrQuarantined) || errors.Is(err, registry.ErrNotLeader) {
			m.membership.poke()
			next, err = m.host.now().Add(refusedRetry), nil
		}
		errs = append(errs, err)
	}
	errs = append(errs, m.follow(ctx))
	return next, errors.Join(errs...)
}

// refusedRetry is how soon a leader tries again that was refused.
const refusedRetry = 50 * time.Millisecond

// follow hosts jobs that were defined, drops those that were removed, adopts
// what was assigned anew and begins what is held no longer.
func (m *member) follow(ctx context.Context) error {
	if err := m.host.jobs.storeReloaded(ctx, m); err != nil {
		return err
	}
	since := m.applied.Load()
	if m.rereads {
		since = 0
	}
	news, err := m.newsSince(ctx, since)
	if err != nil {
		return err
	}
	m.tellMeetings(news)
	m.tellWaits(news)
	if news.servers {
		if m.disabled, err = m.partition.DisabledServers(ctx); err != nil {
			return err
		}
	}
	if err := m.host.jobs.define(ctx, m, news.defined); err != nil {
		return err
	}
	for _, name := range news.removed {
		m.host.jobs.remove(name)
	}
	news.assigned = append(news.assigned, m.host.jobs.install(m.partition.Index())...)
	err = m.announce(ctx)
	if err == nil {
		err = m.adopt(ctx, news.assigned)
	}
	if err != nil {
		// What was installed begins nothing until its assignment is adopted.
		m.rereads = true
		return err
	}
	m.rereads = false
	for _, name := range news.released {
		if j := m.host.executor.Job(name); j != nil {
			j.Released()
		}
	}
	for _, c := range news.triggered {
		m.heard(c)
	}
	for _, name := range news.orphaned {
		if j := m.host.executor.Job(name); j != nil {
			j.Orphaned()
		}
	}
	if news.left || news.paused {
		// The lead may be free; the renewal tells how long the quarantine lasts.
		m.membership.poke()
	}
	m.applied.Store(news.latest)
	m.caughtUp()
	return nil
}

// announce tells the others when the node hosts other jobs than before.
func (m *member) announce(ctx context.Context) error {
	hosted := m.host.jobs.namesIn(m.partition.Index())
	m.mu.Lock()
	same := slices.Equal(m.announced, hosted)
	m.mu.Unlock()
	if same {
		return nil
	}
	return m.partition.Host(ctx, m.membership.lease(), m.description())
}

// news is what changed in a partition, by what it means for this node.
type news struct {
	defined   []string // jobs to read again
	removed   []string
	assigned  []string          // hosted jobs of which the assignment is to be read
	released  []string          // hosted jobs of which items became free
	gathered  []registry.Change // runs whose listeners are waited for no more, or may be called
	looks     []string          // jobs in which who waits for listeners asks again
	triggered []registry.Change // the last of each job of which items wait for a manual run
	answered  []string          // jobs of which a trigger has ended, or is forgotten
	gap       bool              // what ended meanwhile is not known
	orphaned  []string          // jobs of which items wait for somebody to take them over
	servers   bool              // a server was disabled or enabled for all jobs
	left      bool              // an instance is gone
	paused    bool              // a quarantine has begun
	latest    int64             // the version up to which this goes
}

// newsSince reads what changed after a version of the feed; when the feed has a
// gap, or is read for the first time, that is everything.
func (m *member) newsSince(ctx context.Context, since int64) (news, error) {
	changes, latest, complete, err := m.partition.Changes(ctx, since)
	n := news{latest: latest}
	if err != nil {
		return n, err
	}
	if since == 0 || !complete {
		if n.defined, err = m.partition.JobNames(ctx); err != nil {
			return n, err
		}
		// Only data that were there say that a job is not.
		incarnation, err := m.partition.Incarnation(ctx)
		if err != nil {
			return n, err
		}
		if incarnation != m.incarnation {
			return n, fmt.Errorf("%w: the registry has other data than it had", registry.ErrLeaseLost)
		}
		if latest < since {
			m.executor.Distrust()
		}
		for _, name := range m.host.jobs.namesIn(m.partition.Index()) {
			if _, stored := slices.BinarySearch(n.defined, name); !stored && !m.host.jobs.isOfFile(name) {
				n.removed = append(n.removed, name)
			}
		}
		for _, name := range n.defined {
			// Nothing tells which items became free meanwhile.
			if j := m.host.executor.Job(name); j != nil && j.HasGaps() {
				n.released = append(n.released, name)
			}
		}
		n.assigned, n.servers, n.looks, n.gap = n.defined, true, n.defined, true
		return n, nil
	}
	seen := make(map[registry.Change]bool)
	last := make(map[string]int64) // versions of triggers
	for _, c := range changes {
		if c.Kind == registry.ChangeTrigger {
			last[c.Job] = c.Version
		}
		n.left = n.left || c.Kind == registry.ChangeLeave
		n.paused = n.paused || c.Kind == registry.ChangeQuarantine
		if c.Kind == registry.ChangeState && c.Job == "" && !n.servers {
			n.servers = true
			n.assigned = append(n.assigned, m.host.jobs.namesIn(m.partition.Index())...)
		}
		key := registry.Change{Kind: c.Kind, Job: c.Job, Run: c.Run}
		if c.Job == "" || seen[key] {
			continue
		}
		seen[key] = true
		if c.Run == "" {
			n.looks = append(n.looks, c.Job)
		}
		switch c.Kind {
		case registry.ChangeBefore, registry.ChangeAfter, registry.ChangeGathered:
			n.gathered = append(n.gathered, c)
		case registry.ChangeJob, registry.ChangeState:
			n.defined = append(n.defined, c.Job)
			n.assigned = append(n.assigned, c.Job)
		case registry.ChangeRemoved:
			n.removed = append(n.removed, c.Job)
			n.answered = append(n.answered, c.Job)
		case registry.ChangeAssigned:
			n.assigned = append(n.assigned, c.Job)
		case registry.ChangeRepair:
			n.assigned = append(n.assigned, c.Job)
			n.released = append(n.released, c.Job)
		case registry.ChangeTrigger:
			n.triggered = append(n.triggered, c)
		case registry.ChangeTriggered:
			n.answered = append(n.answered, c.Job)
		case registry.ChangeReleased:
			n.released = append(n.released, c.Job)
		case registry.ChangeDrain:
			n.released = append(n.released, c.Job)
			n.orphaned = append(n.orphaned, c.Job)
		case registry.ChangeJoin, registry.ChangeLeave, registry.ChangeDepart, registry.ChangeHost, registry.ChangeQuarantine, registry.ChangeRan, registry.ChangeEnded:
		}
	}
	for i := range n.triggered {
		n.triggered[i].Version = last[n.triggered[i].Job]
	}
	n.removed = slices.DeleteFunc(n.removed, func(name string) bool {
		// Removed and put again: reading it says what it is now.
		return slices.Contains(n.defined, name)
	})
	slices.Sort(n.assigned)
	n.assigned = slices.Compact(n.assigned)
	return n, nil
}

// tellMeetings tells those that wait for listeners which are called once.
func (m *member) tellMeetings(n news) {
	for _, c := range n.gathered {
		j := m.host.executor.Job(c.Job)
		switch {
		case j == nil:
		case c.Kind == registry.ChangeBefore:
			j.Gathered(c.Run, registry.MomentBefore)
		case c.Kind == registry.ChangeAfter:
			j.Gathered(c.Run, registry.MomentAfter)
		default:
			j.LookAgain(c.Run)
		}
	}
	for _, name := range n.looks {
		if j := m.host.executor.Job(name); j != nil {
			j.LookAgain("")
		}
	}
}

// heard begins what waits for a manual run, and calls those who wait for the end of
// one. The feed tells the same as the doorbell, a little later.
func (m *member) heard(c registry.Change) {
	if c.Kind == registry.ChangeTriggered {
		m.host.waits.call(c.Job)
		return
	}
	if j := m.host.executor.Job(c.Job); j != nil {
		j.Triggered(c.Version)
	}
}

// tellWaits tells those that wait for the end of triggers.
func (m *member) tellWaits(n news) {
	if n.gap {
		m.host.waits.callEveryone()
		return
	}
	m.host.waits.call(n.answered...)
}

// adopt reads the assignments of hosted jobs and hands them over.
func (m *member) adopt(ctx context.Context, names []string) error {
	hosted := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return m.host.executor.Job(name) == nil })
	if len(hosted) == 0 {
		return nil
	}
	assignments, err := m.partition.Assignments(ctx, m.host.instance.ID, hosted)
	if err != nil {
		return err
	}
	for _, a := range assignments {
		if !a.Monitored && a.Epoch < m.membership.lease().Epoch && a.Items.Len() > 0 {
			// The leader counts the session that had these as dead and is about to
			// give them away.
			continue
		}
		if j := m.host.executor.Job(a.Job); j != nil {
			m.host.jobs.adopt(j, a)
		}
	}
	return nil
}

// BeginAll asks which items of each job run now.
func (m *member) BeginAll(ctx context.Context, requests []registry.BeginRequest) ([]registry.BeginReply, error) {
	return m.partition.BeginAll(ctx, requests)
}

// CompleteAll ends items of marks.
func (m *member) CompleteAll(ctx context.Context, requests []registry.CompleteRequest) ([]registry.CompleteReply, error) {
	return m.partition.CompleteAll(ctx, requests)
}

// MeetAll asks or tells how far the calls of listeners are that are made once.
func (m *member) MeetAll(ctx context.Context, requests []registry.MeetRequest) ([]registry.Gathering, error) {
	return m.partition.MeetAll(ctx, requests)
}

// ClaimAll takes over items that dead instances were running.
func (m *member) ClaimAll(ctx context.Context, requests []registry.ClaimRequest) ([]registry.ClaimReply, error) {
	return m.partition.ClaimAll(ctx, requests)
}

// ReassertAll makes the marks of the session those of what runs here.
func (m *member) ReassertAll(ctx context.Context, requests []registry.ReassertRequest) ([]registry.ReassertReply, error) {
	return m.partition.ReassertAll(ctx, requests)
}

// SaveCheckpoint keeps what an item has saved for whoever takes it over.
func (m *member) SaveCheckpoint(ctx context.Context, request registry.CheckpointRequest) error {
	return m.partition.SaveCheckpoint(ctx, request)
}

// Fresh reports whether the node has renewed its lease so shortly before the
// instant that nobody else can own its unmonitored items then, and has followed
// all changes that the renewal told of.
func (m *member) Fresh(instant time.Time) bool {
	return m.membership.lastRenewal().Add(m.partition.HandOver()).After(instant) &&
		m.applied.Load() >= m.membership.version.Load()
}

// Alive reports whether the lease holds by the node's own clock.
func (m *member) Alive() bool { return m.membership.alive() }

// Refresh reads one job's assignment because the one in force is stale.
func (m *member) Refresh(ctx context.Context, name string) {
	if err := m.adopt(ctx, []string{name}); err != nil {
		m.logger.Warn("assignment not read, trying again with the next change", "job", name, "err", err)
	}
}

// Refused takes note that the registry does not serve the lease.
func (m *member) Refused(lease registry.Lease, err error) {
	if errors.Is(err, registry.ErrLeaseLost) {
		m.membership.refuse(lease)
		return
	}
	// The renewal tells until when.
	m.membership.poke()
}

// itemsLost publishes what a dead session left running.
func (m *member) itemsLost(dead registry.Lease, name string, run registry.LostRun) {
	for item := range run.Items.All() {
		m.host.events.Lost.Publish(execution.ItemLost{Job: name, Item: item, Run: run.Run, From: dead.Instance})
	}
}
