package registry

import "maps"

// The part of the model that is about lost writes.

// clone is a copy that shares nothing that changes.
func (m *model) clone() *model {
	c := *m
	c.sessions, c.owned, c.marks = map[string]*modelSession{}, map[string]map[int]int64{}, map[string][]*modelMark{}
	for node, s := range m.sessions {
		c.sessions[node] = new(*s)
	}
	for node, floors := range m.owned {
		c.owned[node] = maps.Clone(floors)
	}
	for node, list := range m.marks {
		for _, k := range list {
			one := *k
			one.items = maps.Clone(k.items)
			c.marks[node] = append(c.marks[node], &one)
		}
	}
	c.triggers, c.runs = map[string]*modelTrigger{}, map[string]*modelRun{}
	for id, t := range m.triggers {
		one := *t
		one.left, one.ends = maps.Clone(t.left), maps.Clone(t.ends)
		c.triggers[id] = &one
	}
	for name, g := range m.runs {
		one := *g
		one.fate, one.calls = maps.Clone(g.fate), map[Moment]*modelCalls{}
		for moment, calls := range g.calls {
			one.calls[moment] = new(*calls)
		}
		c.runs[name] = &one
	}
	c.dead, c.stops, c.last, c.asked = maps.Clone(m.dead), maps.Clone(m.stops), maps.Clone(m.last), maps.Clone(m.asked)
	c.offItems, c.offServers, c.off = maps.Clone(m.offItems), maps.Clone(m.offServers), maps.Clone(m.off)
	c.missed, c.queued, c.saved = maps.Clone(m.missed), maps.Clone(m.queued), maps.Clone(m.saved)
	c.former, c.waits = maps.Clone(m.former), maps.Clone(m.waits)
	return &c
}

// known is what a session runs, as the marks that it knows say.
func (m *model) known(l Lease) (marks []Mark) {
	for _, k := range m.marks[l.Instance] {
		if k.epoch == l.Epoch {
			marks = append(marks, Mark{Fence: k.fence, Kind: k.kind, Instant: instantOf(k.instant), Trigger: k.trigger, Items: setOf(k.items)})
		}
	}
	return marks
}

func (m *model) reassert(q ReassertRequest) ReassertReply {
	r := ReassertReply{Code: CodeOK}
	if m.isLate(q.Lease, "m"+number(q.Asked)) {
		return ReassertReply{Code: CodeDuplicate}
	}
	runs := map[int64]Items{}
	for _, known := range q.Marks {
		runs[known.Fence] = known.Items
	}
	for _, k := range m.marks[q.Lease.Instance] {
		gone := map[int]bool{}
		for item := range k.items {
			if !runs[k.fence].Contains(item) && k.epoch == q.Lease.Epoch {
				gone[item] = true
				delete(k.items, item)
			}
		}
		if len(gone) > 0 {
			m.free(q, k, gone, &r)
		}
	}
	m.sweep(q.Lease.Instance)
	for _, known := range q.Marks {
		m.markAgain(q.Lease, known, &r)
	}
	return r
}

// note adds items of a run to a list.
func note(list *[]LostRun, k *modelMark, items map[int]bool) {
	run := k.trigger
	if run == "" {
		run = FormatRunID(instantOf(k.instant))
	}
	if len(items) > 0 {
		*list = append(*list, LostRun{setOf(items), run})
	}
}

// free is about items of a mark that the node does not run.
func (m *model) free(q ReassertRequest, k *modelMark, gone map[int]bool, r *ReassertReply) {
	isHeard := k.fence <= q.Newest
	if !isHeard && k.kind == KindOneOff {
		note(&r.Returned, k, gone)
		m.endManual(q.Lease.Instance, k.trigger, gone, OutcomeReturned)
		return
	}
	returned, lost := map[int]bool{}, map[int]bool{}
	for item := range gone {
		fails := k.kind == KindFailover || m.failover && m.how != HowBroadcast
		switch {
		case isHeard:
		case item < m.assigned && fails:
			m.queued[item] = modelOrphan{k.at(), k.kind, k.fence, q.Lease.Instance, k.epoch}
			returned[item] = true
			continue
		case item < m.assigned && m.misfire:
			m.missed[item] = max(m.missed[item], k.instant)
			returned[item] = true
		default:
			lost[item] = true
		}
		if isHeard || lost[item] {
			m.settle(k.trigger, map[int]bool{item: true}, 'L')
		}
		if g := m.runs[k.at()]; g != nil {
			m.endGone(g, item)
		}
	}
	if isHeard {
		note(&r.Ended, k, gone)
	}
	note(&r.Returned, k, returned)
	note(&r.Lost, k, lost)
}

// markAgain marks what a node runs, but for what others run since.
func (m *model) markAgain(l Lease, known Mark, r *ReassertReply) {
	own := &modelMark{fence: known.Fence, epoch: l.Epoch, kind: known.Kind, instant: known.Instant.UnixMilli(), trigger: known.Trigger, items: map[int]bool{}}
	isMarked := false
	for _, k := range m.marks[l.Instance] {
		if k.fence == known.Fence && k.epoch == l.Epoch {
			own, isMarked = k, true
		}
	}
	marked, refused := map[int]bool{}, map[int]bool{}
	for item := range known.Items.All() {
		if own.items[item] {
			continue
		}
		if m.holder(item) > known.Fence {
			refused[item] = true
			continue
		}
		marked[item] = true
		for _, list := range m.marks {
			for _, k := range list {
				delete(k.items, item)
			}
		}
		delete(m.queued, item)
		if known.Trigger != "" {
			if m.waits[item] == known.Trigger {
				delete(m.waits, item)
			}
			continue
		}
		if m.missed[item] <= own.instant {
			delete(m.missed, item)
		}
		for _, floors := range m.owned {
			if f, owns := floors[item]; owns {
				floors[item] = max(f, own.instant)
			}
		}
	}
	for item := range marked {
		own.items[item] = true
	}
	if !isMarked && len(marked) > 0 {
		m.marks[l.Instance] = append(m.marks[l.Instance], own)
	}
	if len(marked) > 0 {
		m.tok = max(m.tok, known.Fence)
	}
	note(&r.Refused, own, refused)
	note(&r.Marked, own, marked)
	for node := range m.marks {
		m.sweep(node)
	}
}

// holder is the fence under which an item runs or waits for a failover, zero if it
// does neither.
func (m *model) holder(item int) int64 {
	for _, list := range m.marks {
		for _, k := range list {
			if k.items[item] {
				return k.fence
			}
		}
	}
	return m.queued[item].fence
}
