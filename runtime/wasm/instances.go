package wasm

import (
	"context"
	goruntime "runtime"
	"sync"
)

// maxIdleMemory is the largest memory of an instance that is kept for the
// next call; a bigger one would hold what one call needed for ever.
const maxIdleMemory = 64 << 20

// instances makes instances ready for calls. It is safe for concurrent use.
type instances interface {
	// get returns an instance for the call c, started. When starting failed
	// it returns what there is of the instance, closed, with the error.
	get(ctx context.Context, c *call) (*instance, error)
	// put takes an instance back after its call. It may be used again only if
	// clean.
	put(ctx context.Context, in *instance, clean bool)
	// close discards what is idle. No calls follow.
	close(ctx context.Context)
}

// fresh makes a new instance for every call.
type fresh struct {
	program *program
	terms   terms
}

var _ instances = fresh{}

func (f fresh) get(ctx context.Context, c *call) (*instance, error) {
	return f.program.start(ctx, c, f.terms, nil)
}

func (f fresh) put(ctx context.Context, in *instance, _ bool) { in.close(ctx) }

func (fresh) close(context.Context) {}

// pooled keeps a bounded number of idle instances, the latest used first, and
// makes new ones when there is none.
type pooled struct {
	fresh   fresh
	maxIdle int

	mu   sync.Mutex
	idle []*instance
}

var _ instances = (*pooled)(nil)

func newPooled(f fresh) *pooled {
	// As many as the default pool of a job runs at once.
	return &pooled{fresh: f, maxIdle: min(2*goruntime.GOMAXPROCS(0), f.terms.concurrency)}
}

func (p *pooled) get(ctx context.Context, c *call) (*instance, error) {
	p.mu.Lock()
	var in *instance
	if n := len(p.idle); n > 0 {
		in, p.idle = p.idle[n-1], p.idle[:n-1]
	}
	p.mu.Unlock()
	if in == nil {
		return p.fresh.get(ctx, c)
	}
	in.memory.refused = false
	c.noMemory = p.fresh.program.layout.memory == nil
	return in, nil
}

func (p *pooled) put(ctx context.Context, in *instance, clean bool) {
	if clean && in.memory.size() <= maxIdleMemory {
		// Nothing of the call may stay reachable.
		in.current = nil
		p.mu.Lock()
		if len(p.idle) < p.maxIdle {
			p.idle = append(p.idle, in)
			in = nil
		}
		p.mu.Unlock()
	}
	if in != nil {
		in.close(ctx)
	}
}

func (p *pooled) close(ctx context.Context) {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, in := range idle {
		in.close(ctx)
	}
}
