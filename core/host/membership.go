package host

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/service"
)

// follower is told of what concerns the node as a member of its namespace.
// Calls of joined and changed come one at a time.
type follower interface {
	// joined says that a session has begun. It is called again for every session
	// after a lost one.
	joined(ctx context.Context, lease registry.Lease) error
	// changed says that the namespace may have changed. leadership is nil unless
	// this node leads.
	changed(ctx context.Context, leadership *registry.Leadership) error
	// renewed says that the lease was renewed. It comes from another goroutine
	// than the others and must be quick.
	renewed()
	// lost says that the session is over; it returns when everything that runs
	// under it has been cancelled. It may be called while joined or changed is
	// under way, and again afterwards.
	lost(lease registry.Lease)
}

// membership keeps the node registered: it renews the lease, notices when it
// is lost, and then registers anew, for ever. Renewals have a goroutine of
// their own and never wait for the follower.
type membership struct {
	center   *registry.Partition
	instance registry.Instance
	timeout  time.Duration // of a session
	follower follower
	logger   *slog.Logger

	// renewed is the local time in milliseconds at which the last successful
	// renewal was sent.
	renewed atomic.Int64
	refused chan registry.Lease
	loop    *service.Background
	// ready gets the outcome of the first session's set-up.
	ready     chan error
	readyOnce sync.Once
}

var _ service.Service = (*membership)(nil)

func newMembership(center *registry.Partition, instance registry.Instance, timeout time.Duration, f follower, logger *slog.Logger) *membership {
	m := &membership{
		center: center, instance: instance, timeout: timeout, follower: f, logger: logger,
		refused: make(chan registry.Lease, 1), ready: make(chan error, 1),
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

// lastRenewal returns when the last successful renewal was sent.
func (m *membership) lastRenewal() time.Time { return time.UnixMilli(m.renewed.Load()) }

// Bounds of the pause between two tries to register.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// run holds one session after the other until ctx ends.
func (m *membership) run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		sent := time.Now()
		registration, err := m.center.Register(ctx, m.instance)
		if err == nil {
			pause = firstPause
			m.logger.Info("session registered")
			err = m.hold(ctx, registration.Lease, sent)
			if ctx.Err() != nil {
				return
			}
			m.logger.Warn("session lost", "err", err)
		} else if ctx.Err() == nil {
			m.logger.Warn("not registered, trying again", "err", err)
		}
		m.setUp(err)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, longestPause)
	}
}

// setUp tells Start how the first session began; later calls do nothing.
func (m *membership) setUp(err error) { m.readyOnce.Do(func() { m.ready <- err }) }

// session is one lease.
type session struct {
	lease registry.Lease
	// until is when the node must have stopped, by the local clock.
	until time.Time
	// version is the newest of the feed that a renewal told of.
	version int64
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
func (m *membership) hold(ctx context.Context, lease registry.Lease, sent time.Time) error {
	s := &session{lease: lease, began: make(chan struct{}), news: make(chan struct{}, 1)}
	m.extend(s, sent)
	held, end := context.WithCancelCause(ctx)
	var following sync.WaitGroup
	following.Go(func() {
		if err := m.follow(held, s); err != nil {
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
		m.follower.lost(lease)
	}
	following.Wait()
	m.follower.lost(lease)
	if errors.Is(err, registry.ErrLeaseLost) {
		return err
	}
	m.leave(ctx, lease)
	return err
}

// follow sets the follower up and tells it of changes until ctx ends. It fails
// only if the set-up does, or when the lease is refused.
func (m *membership) follow(ctx context.Context, s *session) error {
	bell, err := m.center.Watch(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err := bell.Close(); err != nil {
			m.logger.Warn("doorbell not closed", "err", err)
		}
	}()
	if err := m.follower.joined(ctx, s.lease); err != nil {
		return err
	}
	select {
	case <-s.began:
	case <-ctx.Done():
		return nil
	}
	if err := m.follower.changed(ctx, s.leadership.Load()); err != nil {
		return err
	}
	m.setUp(nil)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.news:
		case <-bell.C():
		}
		err := m.follower.changed(ctx, s.leadership.Load())
		switch {
		case errors.Is(err, registry.ErrLeaseLost):
			return err
		case err != nil && ctx.Err() == nil:
			m.logger.Warn("change not followed, trying again with the next renewal", "err", err)
		}
	}
}

// renewTimeout bounds one try of a renewal, so that several fit into a lease.
const renewTimeout = 500 * time.Millisecond

// renewAll renews the lease until it is lost or ctx ends. The first renewal is
// made at once: it takes the lead if nobody has it.
func (m *membership) renewAll(ctx context.Context, s *session) error {
	interval := m.center.RenewInterval()
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
		case <-next.C:
		}
		err := m.renew(ctx, s)
		switch {
		case err == nil:
			next.Reset(interval)
		case errors.Is(err, registry.ErrLeaseLost):
			return err
		case ctx.Err() != nil:
			return nil
		case !time.Now().Before(s.until):
			return errors.Join(registry.ErrLeaseLost, err)
		default:
			m.logger.Warn("lease not renewed, trying again", "err", err)
			next.Reset(min(renewTimeout, time.Until(s.until)))
		}
	}
}

func (m *membership) renew(ctx context.Context, s *session) error {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	sent := time.Now()
	renewal, err := m.center.Renew(ctx, s.lease, true)
	if err != nil {
		return err
	}
	m.extend(s, sent)
	before := s.leadership.Load()
	switch {
	case !renewal.Leader:
		s.leadership.Store(nil)
	case before == nil || before.Term != renewal.Term:
		m.logger.Info("leader elected")
		s.leadership.Store(&registry.Leadership{Lease: s.lease, Term: renewal.Term})
		s.tell()
	}
	m.follower.renewed()
	if !s.hasBegun {
		s.hasBegun = true
		close(s.began)
	}
	if renewal.Version != s.version || renewal.Leader {
		// A leader also looks when nothing changed: sessions end silently.
		s.version = renewal.Version
		s.tell()
	}
	return nil
}

func (s *session) tell() {
	select {
	case s.news <- struct{}{}:
	default: // one unheard word says it all
	}
}

// extend moves the local end of the lease: counted from before the renewal
// was sent, less 1 % for clocks that run at different speeds, less the time
// that code has to stop.
func (m *membership) extend(s *session, sent time.Time) {
	margin := max(time.Second, m.timeout/10)
	s.until = sent.Add(m.timeout - m.timeout/100 - margin)
	m.renewed.Store(sent.UnixMilli())
}

// leaveTimeout bounds the farewell of a node that stops.
const leaveTimeout = 2 * time.Second

func (m *membership) leave(ctx context.Context, lease registry.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := m.center.Leave(ctx, lease, time.Time{}); err != nil {
		m.logger.Warn("session not ended, it ends by itself", "err", err)
	}
}
