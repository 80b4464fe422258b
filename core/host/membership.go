package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/service"
)

// follower is told of what concerns the node as a member of a partition. Calls
// of joined and changed come one at a time.
type follower interface {
	// description is what the node says of itself when it registers.
	description() registry.Instance
	// joined says that a session has begun. It is called again for every session
	// after a lost one.
	joined(ctx context.Context, registration registry.Registration) error
	// changed says that the partition may have changed. leadership is nil unless
	// this node leads. It returns when it wants to be called again at the latest,
	// by the server's clock; zero for when something changes.
	changed(ctx context.Context, leadership *registry.Leadership) (time.Time, error)
	// heard says what the doorbell tells ahead of the feed, if it does. It comes from
	// another goroutine than the others, also before joined, and must be quick.
	heard(change registry.Change)
	// renewed says that the lease was renewed, and lets everything wait until
	// notBefore if that is not zero. It comes from another goroutine than the
	// others and must be quick.
	renewed(renewal registry.Renewal)
	// lost says that the session is over; it returns when everything that runs
	// under it has been cancelled. It may be called while joined or changed is
	// under way, and again afterwards.
	lost(lease registry.Lease)
	// stopped is the instant up to which the node has fired, zero while it fires.
	stopped() time.Time
}

// membership keeps the node registered in a partition: it renews the lease,
// notices when it is lost, and then registers anew, for ever. Renewals have a
// goroutine of their own and never wait for the follower.
type membership struct {
	partition *registry.Partition
	timeout   time.Duration // of a session
	grace     time.Duration // of the registry
	elapsed   leaseClock
	clock     *serverClock // nil: the registry's clock is this machine's
	follower  follower
	logger    *slog.Logger

	// sent is the local time in milliseconds at which the last successful
	// renewal was sent, version the feed's that it told of.
	sent    atomic.Int64
	version atomic.Int64
	// current is the session that is held, nil if there is none.
	current atomic.Pointer[session]
	refused chan registry.Lease
	poked   chan struct{}
	loop    *service.Background
	// ready gets the outcome of the first session's set-up.
	ready     chan error
	readyOnce sync.Once
}

var _ service.Service = (*membership)(nil)

func newMembership(p *registry.Partition, timeout, grace time.Duration, elapsed leaseClock, clock *serverClock, f follower, logger *slog.Logger) *membership {
	m := &membership{
		partition: p, timeout: timeout, grace: grace, elapsed: elapsed, clock: clock, follower: f, logger: logger,
		refused: make(chan registry.Lease, 1), poked: make(chan struct{}, 1), ready: make(chan error, 1),
	}
	m.loop = service.NewBackground(m.run)
	return m
}

// Start registers the node and waits until the follower is set up; it fails if
// that fails.
func (m *membership) Start(ctx context.Context) error {
	if err := m.loop.Start(ctx); err != nil {
		return err
	}
	var err error
	select {
	case err = <-m.ready:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return errors.Join(err, m.Stop(context.WithoutCancel(ctx)))
	}
	return nil
}

// Stop ends the session.
func (m *membership) Stop(ctx context.Context) error { return m.loop.Stop(ctx) }

// refuse is told that the registry has refused a lease.
func (m *membership) refuse(lease registry.Lease) {
	select {
	case m.refused <- lease:
	default: // one is noticed already
	}
}

// poke makes the next renewal come at once: the lead may be free, or the
// quarantine's end is to be known.
func (m *membership) poke() {
	select {
	case m.poked <- struct{}{}:
	default: // it is coming
	}
}

// tell makes the follower look for changes.
func (m *membership) tell() {
	if s := m.current.Load(); s != nil {
		s.tell()
	}
}

// alive reports whether the lease still holds by the local clock. If it does
// not, the follower has heard of it before alive returns.
func (m *membership) alive() bool {
	s := m.current.Load()
	if s == nil {
		return false
	}
	if m.elapsed() < time.Duration(s.until.Load()) {
		return true
	}
	m.follower.lost(s.lease)
	m.refuse(s.lease)
	return false
}

// lease is that of the session which is held, the zero value if there is none.
func (m *membership) lease() registry.Lease {
	if s := m.current.Load(); s != nil {
		return s.lease
	}
	return registry.Lease{}
}

// lastRenewal returns when the last successful renewal was sent.
func (m *membership) lastRenewal() time.Time { return time.UnixMilli(m.sent.Load()) }

// Bounds of the pause between two tries to register. The longest is how late a node
// is at most when the registry can be reached again.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = time.Second
	// conflictPause is the longest while a former session of the id has not ended.
	conflictPause = 500 * time.Millisecond
	// conflictSlack is for the last of these pauses and a slow answer.
	conflictSlack = time.Second
)

// run holds one session after the other until ctx ends.
func (m *membership) run(ctx context.Context) {
	pause := firstPause
	// since is when this node last had a session, or began to want one.
	since := m.elapsed()
	nonce := uuid.NewString()
	for isFirst := true; ctx.Err() == nil; {
		registration, sent, err := m.register(ctx, nonce)
		switch {
		case err == nil:
			isFirst, nonce = false, uuid.NewString()
			m.logger.Info("session registered")
			err = m.hold(ctx, registration, sent)
			if ctx.Err() != nil {
				return
			}
			m.logger.Warn("session lost", "err", err)
			if m.elapsed()-since > m.timeout {
				pause = firstPause
			}
			since = m.elapsed()
		case ctx.Err() != nil:
			return
		case errors.Is(err, registry.ErrInstanceConflict) && m.elapsed()-since < m.timeout+m.grace+conflictSlack:
			// The registry keeps the id for a grace longer than the lease, and the
			// lease for longer than its node does, so that code which is cancelled
			// has time to return. A process that died leaves its session behind as
			// well; a living one renews it.
			if isFirst && pause == firstPause {
				m.logger.Warn("the instance id is in use; waiting whether its session ends, as that of a process which died would", "err", err)
			}
			pause = min(2*pause, conflictPause)
			if !service.Sleep(ctx, pause) {
				return
			}
			continue
		default:
			if errors.Is(err, registry.ErrInstanceConflict) {
				err = fmt.Errorf("%w: another process renews it; give each node an instance.id of its own", err)
			}
			if !isFirst { // else the start fails
				m.logger.Warn("not registered, trying again", "err", err)
			}
		}
		m.setUp(err)
		if !service.Sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, longestPause)
	}
}

// registerTimeout bounds one try to register.
const registerTimeout = 5 * time.Second

// register opens a session. It returns when the request was sent, by the lease
// clock.
func (m *membership) register(ctx context.Context, nonce string) (registry.Registration, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	at, sent := m.clock.local(), m.elapsed()
	instance := m.follower.description()
	// A registration whose answer was lost is known by it when it is repeated.
	instance.Nonce = nonce
	registration, err := m.partition.Register(ctx, instance)
	if err != nil {
		return registration, sent, err
	}
	if m.clock != nil {
		m.clock.observe(registration.Now, at, m.clock.local())
	}
	return registration, sent, nil
}

// setUp tells Start how the first session began; later calls do nothing.
func (m *membership) setUp(err error) { m.readyOnce.Do(func() { m.ready <- err }) }

// session is one lease.
type session struct {
	lease registry.Lease
	// until is when the node must have stopped, by the lease clock.
	until atomic.Int64
	// leadership is nil unless the session leads.
	leadership atomic.Pointer[registry.Leadership]
	// began is closed by the first renewal, from which on it is known who leads.
	began    chan struct{}
	hasBegun bool
	// news tells the following goroutine to look.
	news chan struct{}
}

// hold keeps a session until it is lost or ctx ends. When it returns, nothing
// runs under the session any more.
func (m *membership) hold(ctx context.Context, registration registry.Registration, sent time.Duration) error {
	s := &session{lease: registration.Lease, began: make(chan struct{}), news: make(chan struct{}, 1)}
	m.extend(s, sent)
	m.current.Store(s)
	held, end := context.WithCancelCause(ctx)
	var following sync.WaitGroup
	following.Go(func() {
		if err := m.follow(held, s, registration); err != nil {
			end(err)
		}
	})
	err := m.renewAll(held, s)
	if cause := context.Cause(held); cause != nil {
		err = cause
	}
	end(err)
	// Items must not run on while the follower, which may be in the hands of a
	// plugin, comes to its end; what it began meanwhile is lost after it.
	if errors.Is(err, registry.ErrLeaseLost) {
		m.follower.lost(s.lease)
	}
	following.Wait()
	m.follower.lost(s.lease)
	m.current.Store(nil)
	if errors.Is(err, registry.ErrLeaseLost) {
		return err
	}
	m.leave(ctx, s.lease)
	return err
}

const (
	// pollInterval is how often a node without a doorbell looks for changes.
	pollInterval = time.Second
	// bellPause is the time between two tries to hang the doorbell up.
	bellPause = 5 * time.Second
)

// follow sets the follower up and tells it of changes until ctx ends. It fails
// only if the set-up does, or when the lease is refused.
func (m *membership) follow(ctx context.Context, s *session, registration registry.Registration) error {
	bell := &bell{partition: m.partition, heard: m.follower.heard, logger: m.logger}
	defer bell.close()
	bell.hang(ctx)
	if err := m.follower.joined(ctx, registration); err != nil {
		return err
	}
	select {
	case <-s.began:
	case <-ctx.Done():
		return nil
	}
	next, err := m.follower.changed(ctx, s.leadership.Load())
	if err != nil {
		return err
	}
	m.setUp(nil)
	for {
		wake := time.NewTimer(m.untilWake(next, bell.isHung()))
		select {
		case <-ctx.Done():
			wake.Stop()
			return nil
		case <-wake.C:
		case <-s.news:
		case <-bell.rings():
		}
		wake.Stop()
		bell.hang(ctx)
		next, err = m.follower.changed(ctx, s.leadership.Load())
		switch {
		case errors.Is(err, registry.ErrLeaseLost):
			return err
		case err != nil && ctx.Err() == nil:
			m.logger.Warn("change not followed, trying again", "err", err)
		}
	}
}

// untilWake is how long the following goroutine sleeps at most.
func (m *membership) untilWake(next time.Time, hasBell bool) time.Duration {
	wait := m.partition.RenewInterval()
	if !hasBell {
		wait = pollInterval
	}
	if !next.IsZero() {
		wait = min(wait, max(next.Sub(m.now()), 10*time.Millisecond))
	}
	return wait
}

// now is the time of the registry's server.
func (m *membership) now() time.Time {
	if m.clock == nil {
		return time.Now()
	}
	return m.clock.now()
}

// renewTimeout bounds one try of a renewal, so that several fit into a lease; the end
// of the lease bounds it, too.
const renewTimeout = 500 * time.Millisecond

// renewAll renews the lease until it is lost or ctx ends. The first renewal is
// made at once: it takes the lead if nobody has it.
func (m *membership) renewAll(ctx context.Context, s *session) error {
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case lease := <-m.refused:
			if lease == s.lease {
				return registry.ErrLeaseLost
			}
			continue
		case <-m.poked:
		case <-next.C:
		}
		// After a suspend of the machine or the process this comes first.
		if m.hasExpired(s) {
			return fmt.Errorf("%w: not renewed in time", registry.ErrLeaseLost)
		}
		pause, err := m.renew(ctx, s)
		switch {
		case err == nil:
			next.Reset(pause)
		case errors.Is(err, registry.ErrLeaseLost):
			return err
		case ctx.Err() != nil:
			return nil
		case m.hasExpired(s):
			return errors.Join(registry.ErrLeaseLost, err)
		default:
			m.logger.Warn("lease not renewed, trying again", "err", err)
			next.Reset(min(renewTimeout, time.Duration(s.until.Load())-m.elapsed()))
		}
	}
}

func (m *membership) hasExpired(s *session) bool {
	return m.elapsed() >= time.Duration(s.until.Load())
}

// renew renews the lease once and returns when to do so again.
func (m *membership) renew(ctx context.Context, s *session) (time.Duration, error) {
	at, sent := m.clock.local(), m.elapsed()
	ctx, cancel := context.WithTimeout(ctx, min(renewTimeout, time.Duration(s.until.Load())-sent))
	defer cancel()
	renewal, err := m.partition.Renew(ctx, s.lease, true)
	if err != nil {
		return 0, err
	}
	if m.clock != nil {
		m.clock.observe(renewal.Now, at, m.clock.local())
	}
	m.extend(s, sent)
	changed := m.version.Swap(renewal.Version) != renewal.Version
	before := s.leadership.Load()
	switch {
	case !renewal.Leader:
		s.leadership.Store(nil)
	case before == nil || before.Term != renewal.Term:
		m.logger.Info("leader elected")
		s.leadership.Store(&registry.Leadership{Lease: s.lease, Term: renewal.Term})
		changed = true
	}
	m.follower.renewed(renewal)
	if !s.hasBegun {
		s.hasBegun = true
		close(s.began)
	}
	if changed {
		s.tell()
	}
	// The lease counts from when this was sent, and the answer may have come late, as
	// when the process stood still.
	pause := max(m.partition.RenewInterval()-(m.elapsed()-sent), 0)
	if !renewal.LeaderUntil.IsZero() {
		// Be there when the leader's lead ends, if it does not renew it.
		vacant := renewal.LeaderUntil.Add(m.grace + 10*time.Millisecond).Sub(renewal.Now)
		pause = min(pause, max(vacant, 10*time.Millisecond))
	}
	return pause, nil
}

func (s *session) tell() {
	select {
	case s.news <- struct{}{}:
	default: // one unheard word says it all
	}
}

// marginOf is how long code has to stop when a lease of this length is lost.
func marginOf(timeout time.Duration) time.Duration { return max(time.Second, timeout/10) }

// extend moves the local end of the lease: counted from before the renewal
// was sent, less 1 % for clocks that run at different speeds, less the time
// that code has to stop.
func (m *membership) extend(s *session, sent time.Duration) {
	s.until.Store(int64(sent + m.timeout - m.timeout/100 - marginOf(m.timeout)))
	m.sent.Store(m.now().Add(sent - m.elapsed()).UnixMilli())
}

// leaveTimeout bounds the farewell of a node that stops.
const leaveTimeout = 2 * time.Second

func (m *membership) leave(ctx context.Context, lease registry.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := m.partition.Leave(ctx, lease, m.follower.stopped()); err != nil {
		m.logger.Warn("session not ended, it ends by itself", "err", err)
	}
}

// bell is the doorbell of the feed, hung up again whenever it is down. Without
// it changes are found by looking, once a second.
type bell struct {
	partition *registry.Partition
	heard     func(registry.Change)
	logger    *slog.Logger
	doorbell  *registry.Doorbell
	next      time.Time // of a try to hang it up
}

// hang subscribes unless there is a subscription.
func (b *bell) hang(ctx context.Context) {
	if b.doorbell != nil || time.Now().Before(b.next) {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	doorbell, err := b.partition.Watch(bounded, b.heard)
	if err != nil {
		b.next = time.Now().Add(bellPause)
		if ctx.Err() == nil {
			b.logger.Warn("no doorbell for changes, looking for them every second", "err", err)
		}
		return
	}
	b.doorbell = doorbell
}

func (b *bell) isHung() bool { return b.doorbell != nil }

// rings has a value after each ring; nil, which never has one, without doorbell.
func (b *bell) rings() <-chan struct{} {
	if b.doorbell == nil {
		return nil
	}
	return b.doorbell.C()
}

func (b *bell) close() {
	if b.doorbell == nil {
		return
	}
	if err := b.doorbell.Close(); err != nil {
		b.logger.Warn("doorbell not closed", "err", err)
	}
}
