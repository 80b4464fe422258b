package registry

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// modelRun is a gathered run of the model.
type modelRun struct {
	name    string
	instant int64  // of a firing
	trigger string // or its id
	wanted  []int
	written int64 // ms
	fate    map[int]string
	calls   map[Moment]*modelCalls
}

// modelCalls is how far the calls of one moment are.
type modelCalls struct {
	state string // waits, made, done, expired, lost, told
	by    string // fence,epoch,node
	// someoneWaits says that somebody was told to wait.
	someoneWaits bool
}

const (
	fateRuns, fateIdle                        = "running", "idle"
	fateSuccess, fateFailure, fateCancelled   = "success", "failure", "cancelled"
	callsWait, callsMade, callsDone           = "W", "C", "D"
	callsExpired, callsForsaken, callsBemoant = "X", "L", "M"
)

func (c *modelCalls) isOver() bool { return c.state != callsWait && c.state != callsMade }

func (g *modelRun) isRunning() bool {
	return slices.Contains(slices.Collect(maps.Values(g.fate)), fateRuns)
}

// mayStillBegin is whether an item of the run that nobody has begun could be.
func (m *model) mayStillBegin(g *modelRun, item int) bool {
	if g.trigger != "" {
		return m.waits[item] == g.trigger
	}
	instant := g.instant
	if !m.enabled || item >= m.assigned {
		return false
	}
	for node, floors := range m.owned {
		if floor, owns := floors[item]; owns {
			return floor < instant && m.last[node].instant < instant
		}
	}
	return false
}

// allBegan is whether every item has begun that will; strictly, only what is known
// of counts, else items that cannot begin any more are idle from now on.
func (m *model) allBegan(g *modelRun, strictly bool) bool {
	var open []int
	for _, item := range g.wanted {
		if g.fate[item] == "" {
			if strictly || m.mayStillBegin(g, item) {
				return false
			}
			open = append(open, item)
		}
	}
	for _, item := range open {
		g.fate[item] = fateIdle
	}
	return true
}

func (m *model) isDue(g *modelRun, moment Moment, strictly bool) bool {
	if moment == MomentAfter && (!g.calls[MomentBefore].isOver() || g.isRunning()) {
		return false
	}
	return m.allBegan(g, strictly)
}

// take gives who asks its turn.
func (m *model) take(g *modelRun, moment Moment, who string, strictly, waits, expire bool) Turn {
	c := g.calls[moment]
	switch {
	case c.state == callsWait && m.isDue(g, moment, strictly):
		c.state, c.by = callsMade, who
	case expire && (c.state == callsWait || c.state == callsMade && c.by != who):
		c.state, c.by = callsExpired, who
	case c.state == callsForsaken:
		c.state, c.by = callsBemoant, who
	}
	if own, ok := map[string]Turn{callsMade: TurnCall, callsExpired: TurnExpired, callsBemoant: TurnForsaken}[c.state]; ok && c.by == who {
		return own
	}
	if c.isOver() {
		return TurnGo
	}
	c.someoneWaits = c.someoneWaits || waits
	return TurnWait
}

func (g *modelRun) reply(turn Turn) *Gathering {
	r := &Gathering{Run: g.name, Turn: turn}
	if turn == TurnCall {
		r.Items, r.Succeeded, r.Failed, r.Cancelled = NewItems(slices.Collect(maps.Keys(g.fate))...), g.with(fateSuccess), g.with(fateFailure), g.with(fateCancelled)
	}
	return r
}

func (g *modelRun) with(fate string) Items {
	var list []int
	for item, f := range g.fate {
		if f == fate {
			list = append(list, item)
		}
	}
	return NewItems(list...)
}

func identity(l Lease, fence int64) string {
	return fmt.Sprintf("%d,%d,%s", fence, l.Epoch, l.Instance)
}

func (m *model) gatherBegun(l Lease, r BeginReply) *Gathering {
	instant, name := r.Instant.UnixMilli(), number(r.Instant.UnixMilli())
	if r.Trigger != "" {
		name = r.Trigger
	}
	g, known := m.runs[name]
	if !known {
		if len(m.runs) >= 64 {
			m.sweepRuns(48)
		}
		m.gather = m.gather || len(m.runs) == 0
		g = &modelRun{name: name, instant: instant, trigger: r.Trigger, wanted: AllItems(m.assigned).Slice(), fate: map[int]string{}, calls: map[Moment]*modelCalls{MomentBefore: {state: callsWait}, MomentAfter: {state: callsWait}}}
	}
	if !known && r.Trigger != "" {
		g.wanted = m.triggers[r.Trigger].accepted.Slice()
	}
	for item, floor := range m.owned[l.Instance] {
		if r.Trigger == "" && g.fate[item] == "" && (m.offItems[item] && floor < instant || r.Held.Contains(item)) {
			g.fate[item] = fateIdle
		}
	}
	for item := range r.Items.All() {
		if g.fate[item] == "" || g.fate[item] == fateIdle {
			g.fate[item] = fateRuns
		}
	}
	turn := TurnGo
	if r.Code == CodeOK {
		turn = m.take(g, MomentBefore, identity(l, r.Fence), known, true, false)
	} else if m.allBegan(g, known) && len(g.with(fateIdle).Slice()) == len(g.fate) {
		delete(m.runs, name)
		return g.reply(turn)
	}
	g.written = m.now()
	m.runs[name] = g
	return g.reply(turn)
}

func (m *model) gatherEnded(q CompleteRequest, rest bool) *Gathering {
	g := m.runs[q.Run]
	if g == nil {
		return &Gathering{Run: q.Run, Turn: TurnGo}
	}
	for item := range q.Items.All() {
		if g.fate[item] == fateRuns {
			delete(g.fate, item)
			if q.Outcome != OutcomeReturned {
				g.fate[item] = map[Outcome]string{OutcomeSuccess: fateSuccess, OutcomeFailure: fateFailure, OutcomeCancelled: fateCancelled}[q.Outcome]
			}
		}
	}
	g.written = m.now()
	return g.reply(m.take(g, MomentAfter, identity(q.Lease, q.Fence), false, !rest, false))
}

// isNowhere is whether nothing is known of a run.
func (m *model) isNowhere(name string) bool {
	return m.runs[name] == nil
}

func (m *model) meet(q MeetRequest) Gathering {
	g := m.runs[q.Run]
	if g == nil {
		if q.Act == ActDone {
			return Gathering{Run: q.Run, Turn: TurnGo}
		}
		return Gathering{Run: q.Run, Turn: TurnForsaken}
	}
	g.written = m.now()
	who, c := identity(q.Lease, q.Fence), g.calls[q.Moment]
	if q.Act == ActDone {
		if c.state == callsMade && c.by == who {
			c.state, c.by = callsDone, ""
		}
		return *g.reply(TurnGo)
	}
	return *g.reply(m.take(g, q.Moment, who, false, true, q.Act == ActExpire))
}

// gatherDead ends the part of a dead session in all runs, before its marks are
// taken away.
func (m *model) gatherDead(dead Lease) {
	for _, g := range m.runs {
		touched := false
		for _, k := range m.marks[dead.Instance] {
			if k.epoch != dead.Epoch || k.trigger != g.trigger || g.trigger == "" && (k.instant != g.instant || k.kind == KindMisfire) {
				continue
			}
			for item := range k.items {
				if g.fate[item] == fateRuns && !m.takesOver(item) {
					g.fate[item], touched = fateCancelled, true
				}
			}
		}
		for _, c := range g.calls {
			if c.state == callsMade && strings.HasSuffix(c.by, fmt.Sprintf(",%d,%s", dead.Epoch, dead.Instance)) {
				c.state, c.by, touched = callsForsaken, "", true
			}
		}
		if touched {
			g.written = m.now()
		}
	}
}

// sweepRuns forgets old runs, and the oldest beyond so many.
func (m *model) sweepRuns(most int) {
	isOver := func(g *modelRun) bool { return g.calls[MomentBefore].isOver() && g.calls[MomentAfter].isOver() }
	maps.DeleteFunc(m.runs, func(_ string, g *modelRun) bool {
		kept := int64(8 * 24 * 3600_000)
		if isOver(g) {
			kept = 3600_000
		}
		return m.now()-g.written > kept
	})
	order := slices.SortedFunc(maps.Keys(m.runs), func(x, y string) int {
		a, b := m.runs[x], m.runs[y]
		switch {
		case isOver(a) != isOver(b):
			if isOver(a) {
				return -1
			}
			return 1
		case a.written != b.written:
			return int(a.written - b.written)
		default:
			return strings.Compare(x, y)
		}
	})
	for i := range len(order) - most {
		delete(m.runs, order[i])
	}
}

func (m *model) dumpRuns() map[string]string {
	d := map[string]string{}
	for name, g := range m.runs {
		want := strconv.Itoa(len(g.wanted))
		if g.trigger != "" {
			want = "=" + NewItems(g.wanted...).String()
		}
		waiting, calls := "", []string{}
		for _, moment := range []Moment{MomentBefore, MomentAfter} {
			c := g.calls[moment]
			if c.someoneWaits {
				waiting += string(moment)
			}
			if c.by != "" {
				calls = append(calls, c.state+","+c.by)
			} else {
				calls = append(calls, c.state)
			}
		}
		d[name] = fmt.Sprintf("%d|%s|%s|%s|%s|%s|%s|%s|%s", g.written, want, waiting, g.with(fateRuns), g.with(fateIdle),
			g.with(fateSuccess), g.with(fateFailure), g.with(fateCancelled), strings.Join(calls, "|"))
	}
	return d
}
