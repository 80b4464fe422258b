package sim_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// place is one sharding item of a job.
type place struct {
	job  string
	item int
}

func (p place) String() string { return fmt.Sprintf("%s/%d", p.job, p.item) }

// token is a fencing token of a job.
type token struct {
	job   string
	value int64
}

// history is what happened in a life. All times are since its begin, by the clock
// of the bubble, which no fault touches.
type history struct {
	mu sync.Mutex

	runs      []*run
	effects   []*effect
	missed    []missed
	grants    []grant
	ends      []end
	leases    []lease
	spreads   []spread
	lost      []lost
	repairs   []string
	faults    []fault
	noted     []noted
	switches  []change // of the server's data
	unsettled []unsettled
	// isPlotted says that nothing happened by chance: no instant is without a verdict.
	isPlotted bool
	evicted   []evicted
	// witnessed is the job whose listener is called once for a run, heard are its calls.
	witnessed string
	heard     []*heard
	orphans   []orphan
	clock     []clockChange
	pauses    map[string][]span // by node
	periods   map[string]time.Duration
	loose     map[string]bool // jobs that are not monitored
	// after are the jobs of the graph, with those that they run after, and graph is
	// what the registry had of their runs whenever it lost data, and in the end.
	after map[string][]job.Dependency
	graph []notedRun
	// state is what the registry had at concluded, and up the nodes that lived.
	state     map[string]jobState
	up        []string
	healed    time.Duration
	concluded time.Duration
	begin     time.Time
}

// run is one call of the code of an item.
type run struct {
	place
	node    string
	id      string
	source  spi.Source
	attempt int
	token   int64
	from    time.Duration
	to      time.Duration // zero: not ended
	died    bool          // with its node
}

// span is a stretch of time.
type span struct{ from, to time.Duration }

// effect is one try of a run to write to the resource of its item.
type effect struct {
	place
	node   string
	run    string // with its attempt
	token  int64
	sent   time.Duration
	at     time.Duration // when the resource decided
	back   time.Duration // when the node knew, zero if it never did
	accept bool
}

// missed is what a node has recorded as missed.
type missed struct {
	node string
	at   time.Duration
	execution.ItemMisfired
}

// grant is what the registry decided about a firing.
type grant struct {
	at    time.Duration
	node  string
	epoch string
	job   string
	kind  string
	gen   string
	code  registry.Code
	fence int64
	// instant is that of a normal firing or of what a catch-up makes up for, in ms;
	// of a manual run its id is in run.
	instant   int64
	run       string
	items     registry.Items
	held      registry.Items
	coalesced []registry.ItemsAt
	// repeated says that the mark had been made before.
	repeated bool
	// What the registry had at that moment: the epoch of the node's session, how
	// long its lease goes on and the generation of the job.
	hasEpoch string
	lease    time.Duration
	hasGen   string
}

// end is a completion that the registry took.
type end struct {
	at      time.Duration
	node    string
	job     string
	fence   int64
	items   registry.Items
	outcome string
}

// lease is how long a session goes on after a renewal.
type lease struct {
	at, until time.Duration
	node      string
	epoch     string
}

// spread is an assignment.
type spread struct {
	at    time.Duration
	job   string
	gen   string
	total int
	owned map[string]string // ranges by node
}

// lost are items that the registry gave up.
type lost struct {
	at    time.Duration
	job   string
	items registry.Items
	run   string
}

// clockChange is a setting of the server's clock: how far it is ahead from then on.
type clockChange struct{ at, ahead time.Duration }

// onServer is what the server's clock shows at a time, since the begin of the life.
func (h *history) onServer(at time.Duration) time.Duration {
	ahead := time.Duration(0)
	for _, c := range h.clock {
		if c.at <= at {
			ahead = c.ahead
		}
	}
	return at + ahead
}

// evicted is a session that the leader ended because its lease was over.
type evicted struct {
	at          time.Duration
	node, epoch string
}

// orphan is an item that ran on a dead node and waits for another one.
type orphan struct {
	at time.Duration
	place
	fence int64 // under which it ran
	run   string
}

// fault is something that was done to the fleet.
type fault struct {
	at   time.Duration
	kind string
	what string
	node string
}

// noted is a line of the story.
type noted struct {
	at   time.Duration
	text string
}

// change is another server, or other data: what was written after since is gone.
type change struct{ since, at time.Duration }

// unsettled is a stretch in which somebody had disabled a job, a part of it or a node,
// or given it other items.
type unsettled struct {
	span
	job string // empty: all
}

// jobState is what the registry has of a job.
type jobState struct {
	total    int
	disabled bool // it, or a part of it
	owned    map[string]string
	marks    map[string]string
	failed   map[string]string
}

func (h *history) add(do func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	do()
}

// note adds a line to the story.
func (h *history) note(at time.Duration, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	h.add(func() { h.noted = append(h.noted, noted{at, text}) })
}

// story is all that happened, in order.
func (h *history) story() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	lines := slices.Clone(h.noted)
	for _, r := range h.runs {
		lines = append(lines, noted{r.from, fmt.Sprintf("%s runs %s of %s, %s, attempt %d, token %d", r.node, r.place, r.id, r.source, r.attempt, r.token)})
		if r.to > 0 {
			lines = append(lines, noted{r.to, fmt.Sprintf("%s ends %s of %s, token %d", r.node, r.place, r.id, r.token)})
		}
	}
	for _, c := range h.heard {
		lines = append(lines, noted{c.from, c.String()})
	}
	for _, e := range h.effects {
		lines = append(lines, noted{e.at, fmt.Sprintf("%s writes %s with token %d: accepted %v", e.node, e.place, e.token, e.accept)})
	}
	for _, m := range h.missed {
		lines = append(lines, noted{m.at, fmt.Sprintf("%s says that %s/%d missed %d from %s to %s: %s", m.node, m.Job, m.Item, m.Count, clock(m.From), clock(m.To), m.Reason)})
	}
	for _, g := range h.grants {
		lines = append(lines, noted{g.at, fmt.Sprintf("begin of %s by %s under %s: %s of %s in generation %s: %s, fence %d, items %s, held %s, coalesced %v, repeated %v",
			g.kind, g.node, g.epoch, g.job, g.name(), g.gen, g.code, g.fence, g.items, g.held, g.coalesced, g.repeated)})
	}
	for _, e := range h.ends {
		lines = append(lines, noted{e.at, fmt.Sprintf("complete by %s: %s/%s, fence %d, %s", e.node, e.job, e.items, e.fence, e.outcome)})
	}
	for _, s := range h.spreads {
		lines = append(lines, noted{s.at, fmt.Sprintf("assignment of %s, generation %s: %v of %d", s.job, s.gen, s.owned, s.total)})
	}
	for _, l := range h.lost {
		lines = append(lines, noted{l.at, fmt.Sprintf("lost %s/%s of %s", l.job, l.items, l.run)})
	}
	for _, f := range h.faults {
		lines = append(lines, noted{f.at, fmt.Sprintf("FAULT: %s %s %s", f.node, f.kind, f.what)})
	}
	slices.SortStableFunc(lines, func(a, b noted) int { return cmp.Compare(a.at, b.at) })
	var text strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&text, "%10.4f %s\n", l.at.Seconds(), l.text)
	}
	return text.String()
}

// name is the run id of a grant.
func (g grant) name() string {
	if g.run != "" {
		return g.run
	}
	if g.instant == 0 {
		return "-"
	}
	return registry.FormatRunID(time.UnixMilli(g.instant))
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }
