package script

import (
	"sync"

	"github.com/elasticjob-go/elasticjob/internal/reaper"
)

// reapers gives all jobs of a node one reaper, as long as there are jobs. It is
// safe for concurrent use; its zero value has none.
type reapers struct {
	mu      sync.Mutex
	users   int
	current *reaper.Reaper
}

// acquire adds a job and returns the reaper of its scripts.
func (r *reapers) acquire() *reaper.Reaper {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users == 0 {
		r.current = reaper.New()
	}
	r.users++
	return r.current
}

// release takes a job away, none of whose scripts runs.
func (r *reapers) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users--; r.users == 0 {
		r.current.Close()
	}
}
