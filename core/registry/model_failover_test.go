package registry

import (
	"fmt"
	"strconv"
	"strings"
)

// The part of the model that is about failover and checkpoints.

// modelOrphan is an item that waits for somebody to take it over.
type modelOrphan struct {
	at    string // the instant in ms, or the trigger
	kind  Kind
	fence int64
	node  string
	epoch int64
}

func (o modelOrphan) text() string {
	return fmt.Sprintf("%s|%c|%d|%s|%d", o.at, o.kind, o.fence, o.node, o.epoch)
}

// trigger is the one that the item ran for.
func (o modelOrphan) trigger() (string, bool) { return o.at, strings.Contains(o.at, "-") }

// before orders timed runs, and triggers behind them.
func (o modelOrphan) before(other modelOrphan) bool {
	_, manual := o.trigger()
	if _, otherIs := other.trigger(); manual != otherIs {
		return otherIs
	}
	if manual {
		return o.at < other.at
	}
	return parseNumber(o.at) < parseNumber(other.at)
}

type modelCheckpoint struct {
	fence int64
	data  string
}

// takesOver is whether what a dead session ran of an item is another's to do.
func (m *model) takesOver(item int) bool {
	return m.failover && m.how != HowBroadcast && item < m.assigned
}

func (m *model) claim(q ClaimRequest) ClaimReply {
	node := q.Lease.Instance
	for _, k := range m.marks[node] {
		if k.epoch == q.Lease.Epoch && k.request == q.Request {
			return m.claimed(k, nil, len(m.queued) > 0)
		}
	}
	if m.isLate(q.Lease, q.Request) {
		return ClaimReply{Code: CodeNone, More: len(m.queued) > 0}
	}
	if !m.enabled || m.offServers[node] || m.off[node] {
		return ClaimReply{Code: CodeDisabled}
	}
	free := map[int]modelOrphan{}
	var first *modelOrphan
	for item, o := range m.queued {
		if m.offItems[item] || q.Busy.Contains(item) {
			continue
		}
		free[item] = o
		if first == nil || o.before(*first) {
			first = &o
		}
	}
	sessions := 0
	for _, s := range m.sessions {
		if !s.gone {
			sessions++
		}
	}
	most := min(q.Most, (len(free)+sessions-1)/sessions)
	if len(m.marks[node]) >= 64 {
		most = 0
	}
	goes, former := map[int]bool{}, map[string][]int{}
	for item := range m.assigned {
		if o, ok := free[item]; ok && o.at == first.at && len(goes) < most {
			goes[item] = true
			former[o.node] = append(former[o.node], item)
		}
	}
	if len(goes) == 0 {
		return ClaimReply{Code: CodeNone, More: len(free) > 0}
	}
	k := &modelMark{fence: m.rise(&m.tok), epoch: q.Lease.Epoch, kind: KindFailover, request: q.Request, items: goes}
	if id, manual := first.trigger(); manual {
		k.trigger = id
	} else {
		k.instant = parseNumber(first.at)
	}
	for item := range goes {
		if c := m.saved[item]; c.fence == m.queued[item].fence && c.fence > 0 {
			m.saved[item] = modelCheckpoint{k.fence, c.data}
		}
		delete(m.queued, item)
	}
	m.marks[node] = append(m.marks[node], k)
	return m.claimed(k, former, len(free) > len(goes))
}

func (m *model) claimed(k *modelMark, former map[string][]int, more bool) ClaimReply {
	r := ClaimReply{Code: CodeOK, Fence: k.fence, Items: setOf(k.items), Instant: instantOf(k.instant), Run: k.at(), Trigger: k.trigger, More: more}
	r.Former, _ = parseOrphans(orphanText(former))
	if t := m.triggers[k.trigger]; t != nil {
		r.Instant = instantOf(t.at)
		if t.hasParameter {
			r.Parameter = &t.parameter
		}
	}
	for item := range k.items {
		if c := m.saved[item]; c.fence == k.fence {
			if r.Checkpoints == nil {
				r.Checkpoints = map[int][]byte{}
			}
			r.Checkpoints[item] = []byte(c.data)
		}
	}
	return r
}

// giveBack lets others take over what was taken over in a run, and leaves in ended
// what no longer exists.
func (m *model) giveBack(node, run string, k *modelMark, ended map[int]bool) {
	for item := range ended {
		if item < m.assigned {
			m.queued[item] = modelOrphan{k.at(), KindFailover, k.fence, node, k.epoch}
			delete(ended, item)
		} else if g := m.runs[run]; g != nil {
			m.endGone(g, item)
		}
	}
}

func (m *model) save(q CheckpointRequest) bool {
	for _, k := range m.marks[q.Lease.Instance] {
		if k.epoch == q.Lease.Epoch && k.fence == q.Fence && k.items[q.Item] {
			m.saved[q.Item] = modelCheckpoint{q.Fence, string(q.Data)}
			return true
		}
	}
	return false
}

// gatherGone ends the part of an item in its run that nobody takes over any more.
func (m *model) gatherGone(item int) {
	o, waits := m.queued[item]
	g := m.runs[o.at]
	if !waits || g == nil {
		return
	}
	m.endGone(g, item)
}

func (m *model) endGone(g *modelRun, item int) {
	if g.fate[item] == fateRuns {
		g.fate[item], g.written = fateCancelled, m.now()
	}
}

func (m *model) dumpFailover(d map[string]map[string]string) {
	d["f"], d["cp"] = map[string]string{}, map[string]string{}
	for item, o := range m.queued {
		d["f"][strconv.Itoa(item)] = o.text()
	}
	for item, c := range m.saved {
		d["cp"][strconv.Itoa(item)] = number(c.fence) + "|" + encodeCheckpoint([]byte(c.data))
	}
}
