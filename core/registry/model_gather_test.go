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
	n       int
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
func (m *model) mayStillBegin(item int, instant int64) bool {
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
func (m *model) allBegan(g *modelRun, instant int64, strictly bool) bool {
	var open []int
	for item := range g.n {
		if g.fate[item] == "" {
			if strictly || m.mayStillBegin(item, instant) {
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

func (m *model) isDue(g *modelRun, instant int64, moment Moment, strictly bool) bool {
	if moment == MomentAfter && (!g.calls[MomentBefore].isOver() || g.isRunning()) {
		return false
	}
	return m.allBegan(g, instant, strictly)
}

// take gives who asks its turn.
func (m *model) take(g *modelRun, instant int64, moment Moment, who string, strictly, waits, expire bool) Turn {
	c := g.calls[moment]
	switch {
	case c.state == callsWait && m.isDue(g, instant, moment, strictly):
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

func (g *modelRun) reply(instant int64, turn Turn) *Gathering {
	r := &Gathering{Run: number(instant), Turn: turn}
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
	instant := r.Instant.UnixMilli()
	g, known := m.runs[instant]
	if !known {
		if len(m.runs) >= 64 {
			m.sweepRuns(48)
		}
		m.gather = m.gather || len(m.runs) == 0
		g = &modelRun{n: m.assigned, fate: map[int]string{}, calls: map[Moment]*modelCalls{MomentBefore: {state: callsWait}, MomentAfter: {state: callsWait}}}
	}
	for item, floor := range m.owned[l.Instance] {
		if g.fate[item] == "" && (m.offItems[item] && floor < instant || r.Held.Contains(item)) {
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
		turn = m.take(g, instant, MomentBefore, identity(l, r.Fence), known, true, false)
	} else if m.allBegan(g, instant, known) && len(g.with(fateIdle).Slice()) == len(g.fate) {
		delete(m.runs, instant)
		return g.reply(instant, turn)
	}
	g.written = m.now()
	m.runs[instant] = g
	return g.reply(instant, turn)
}

func (m *model) gatherEnded(q CompleteRequest, rest bool) *Gathering {
	instant, g := m.run(q.Run)
	if g == nil {
		return &Gathering{Run: q.Run, Turn: TurnGo}
	}
	for item := range q.Items.All() {
		if g.fate[item] == fateRuns {
			g.fate[item] = map[Outcome]string{OutcomeSuccess: fateSuccess, OutcomeFailure: fateFailure, OutcomeCancelled: fateCancelled}[q.Outcome]
		}
	}
	g.written = m.now()
	return g.reply(instant, m.take(g, instant, MomentAfter, identity(q.Lease, q.Fence), false, !rest, false))
}

func (m *model) run(name string) (int64, *modelRun) {
	instant, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return 0, nil
	}
	return instant, m.runs[instant]
}

// isNowhere is whether nothing is known of a run.
func (m *model) isNowhere(name string) bool {
	_, g := m.run(name)
	return g == nil
}

func (m *model) meet(q MeetRequest) Gathering {
	instant, g := m.run(q.Run)
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
		return *g.reply(instant, TurnGo)
	}
	return *g.reply(instant, m.take(g, instant, q.Moment, who, false, true, q.Act == ActExpire))
}

// gatherDead ends the part of a dead session in all runs, before its marks are
// taken away.
func (m *model) gatherDead(dead Lease) {
	for instant, g := range m.runs {
		touched := false
		for _, k := range m.marks[dead.Instance] {
			if k.epoch != dead.Epoch || k.instant != instant || k.kind != KindNormal {
				continue
			}
			for item := range k.items {
				if g.fate[item] == fateRuns {
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
	maps.DeleteFunc(m.runs, func(_ int64, g *modelRun) bool {
		kept := int64(8 * 24 * 3600_000)
		if isOver(g) {
			kept = 3600_000
		}
		return m.now()-g.written > kept
	})
	order := slices.SortedFunc(maps.Keys(m.runs), func(x, y int64) int {
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
			return strings.Compare(number(x), number(y))
		}
	})
	for i := range len(order) - most {
		delete(m.runs, order[i])
	}
}

func (m *model) dumpRuns() map[string]string {
	d := map[string]string{}
	for instant, g := range m.runs {
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
		d[number(instant)] = fmt.Sprintf("%d|%d|%s|%s|%s|%s|%s|%s|%s", g.written, g.n, waiting, g.with(fateRuns), g.with(fateIdle),
			g.with(fateSuccess), g.with(fateFailure), g.with(fateCancelled), strings.Join(calls, "|"))
	}
	return d
}
