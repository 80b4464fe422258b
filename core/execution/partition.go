package execution

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
)

// Center is what the jobs of one partition need of the registry center and of
// the node's membership in it. It is safe for concurrent use.
type Center interface {
	// BeginAll asks which items of each job run now. The requests of one call
	// belong to one lease; the replies may be those of a part when an error
	// comes with them.
	BeginAll(ctx context.Context, requests []registry.BeginRequest) ([]registry.BeginReply, error)
	// CompleteAll ends items of marks, likewise.
	CompleteAll(ctx context.Context, requests []registry.CompleteRequest) ([]registry.CompleteReply, error)
	// MeetAll asks or tells how far the calls of listeners are that are made once
	// for a run, likewise.
	MeetAll(ctx context.Context, requests []registry.MeetRequest) ([]registry.Gathering, error)
	// ClaimAll takes over items that dead instances were running, likewise.
	ClaimAll(ctx context.Context, requests []registry.ClaimRequest) ([]registry.ClaimReply, error)
	// ReassertAll makes the marks of a session those of what runs here, likewise.
	ReassertAll(ctx context.Context, requests []registry.ReassertRequest) ([]registry.ReassertReply, error)
	// SaveCheckpoint keeps what an item has saved for whoever takes it over.
	SaveCheckpoint(ctx context.Context, request registry.CheckpointRequest) error
	// Fresh reports whether this node may start an unmonitored firing of the
	// instant: it has renewed its lease lately and knows all reassignments.
	Fresh(instant time.Time) bool
	// Alive reports whether the lease still holds by the node's own clock. When
	// it does not, what ran under it has been cancelled before Alive returns.
	Alive() bool
	// Refresh reads the job's assignment from the registry and adopts it.
	Refresh(ctx context.Context, job string)
	// Refused is told that the registry has refused to serve a lease: with
	// [registry.ErrLeaseLost], or with [registry.ErrQuarantined], after which
	// somebody must call Resume.
	Refused(lease registry.Lease, err error)
}

// Partition is the node's part in one partition of the registry center: the
// session that the items of its jobs run under. It is safe for concurrent use.
type Partition struct {
	executor *Executor
	center   Center
	session  atomic.Pointer[session]
	putOff   atomic.Bool // unmonitored jobs wait for a renewal
	held     atomic.Bool // nothing begins until Resume

	mu   sync.Mutex
	jobs map[string]*Job
}

// session is one lease of the node and the context of everything that runs
// under it.
type session struct {
	lease registry.Lease
	// lifetime is the context of job code that a lost lease does not cancel, ctx that
	// of all other.
	lifetime context.Context //nolint:containedctx // the node's
	ctx      context.Context //nolint:containedctx // the lifetime of a lease is what this type is
	cancel   context.CancelCauseFunc
	// marksCtx bounds calls to the registry: it outlives ctx when the node
	// stops, so that what ended can be reported.
	marksCtx    context.Context //nolint:containedctx // as above
	cancelMarks context.CancelCauseFunc

	asked atomic.Int64 // numbers the requests that are no normal firings

	begins    batcher[registry.BeginRequest, registry.BeginReply]
	completes batcher[registry.CompleteRequest, registry.CompleteReply]
	meets     batcher[registry.MeetRequest, registry.Gathering]
	claims    batcher[registry.ClaimRequest, registry.ClaimReply]
	reasserts batcher[registry.ReassertRequest, registry.ReassertReply]
}

// request names the next request that is no normal firing. One of a job is answered
// before the next is named.
func (s *session) request(letter string) string {
	return letter + strconv.FormatInt(s.asked.Add(1), 10)
}

func (s *session) end(cause error) {
	s.cancel(cause)
	s.cancelMarks(cause)
}

// Jobs returns the hosted jobs of the partition in no order.
func (p *Partition) Jobs() []*Job {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.jobs))
}

// Attach makes the lease the one under which items begin.
func (p *Partition) Attach(lease registry.Lease) {
	s := &session{lease: lease, lifetime: p.executor.lifetime}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.marksCtx, s.cancelMarks = context.WithCancelCause(context.Background())
	s.begins.send, s.begins.spawn = p.center.BeginAll, p.executor.calls.Go
	s.completes.send, s.completes.spawn = p.center.CompleteAll, p.executor.calls.Go
	s.meets.send, s.meets.spawn = p.center.MeetAll, p.executor.calls.Go
	s.claims.send, s.claims.spawn = p.center.ClaimAll, p.executor.calls.Go
	s.reasserts.send, s.reasserts.spawn = p.center.ReassertAll, p.executor.calls.Go
	for _, j := range p.Jobs() {
		j.rejoin()
	}
	if old := p.session.Swap(s); old != nil {
		p.lose(old)
	}
}

// Detach ends the lease: items that run under it are cancelled with
// [spi.ErrLeaseLost] before Detach returns, unless their job lets them go on, and
// nothing begins until the next Attach.
func (p *Partition) Detach(lease registry.Lease) {
	s := p.session.Load()
	if s != nil && s.lease == lease && p.session.CompareAndSwap(s, nil) {
		p.lose(s)
	}
}

// Hold puts off whatever is due until Resume. Items that run go on.
func (p *Partition) Hold() { p.held.Store(true) }

// Release ends Hold without beginning anything.
func (p *Partition) Release() { p.held.Store(false) }

// IsHeld reports whether what is due waits for Resume.
func (p *Partition) IsHeld() bool { return p.held.Load() }

// Resume begins what was put off by Hold or because the registry was in
// quarantine.
func (p *Partition) Resume() {
	p.held.Store(false)
	for _, j := range p.Jobs() {
		j.resume()
	}
}

// Leave says which instant is the last of this node, so that assignments made
// later are understood. [Executor.HandOver] follows.
func (p *Partition) Leave(stopped time.Time) {
	for _, j := range p.Jobs() {
		j.leave(stopped)
	}
}

// HasHandedOver reports whether no job of the partition fires any more.
func (p *Partition) HasHandedOver() bool {
	for _, j := range p.Jobs() {
		if !j.isLeaving() {
			return false
		}
	}
	return true
}

// Distrust says that the registry has lost data: the assignments that it names
// next count, although their generations may be lower than those before.
func (p *Partition) Distrust() {
	for _, j := range p.Jobs() {
		j.distrust()
	}
}

// IsPutOff reports whether unmonitored firings wait for Renewed.
func (p *Partition) IsPutOff() bool { return p.putOff.Load() }

// Renewed says that the lease was renewed and what changed was followed:
// unmonitored firings that waited for that start now.
func (p *Partition) Renewed() {
	if !p.putOff.Swap(false) {
		return
	}
	for _, j := range p.Jobs() {
		j.lookAgain()
	}
}
