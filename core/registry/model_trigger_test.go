package registry

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The part of the model that is about manual triggers.

// trigger is the answer to a request for items by themselves or for those of an
// instance.
func (m *model) trigger(t TriggerRequest) (TriggerReply, error) {
	if !m.exists {
		return TriggerReply{}, ErrUnknownJob
	}
	if before := m.triggers[t.ID]; before != nil {
		return TriggerReply{At: instantOf(before.at), Accepted: before.accepted, Refused: refusalsOf(before.refused), Repeated: true}, nil
	}
	wanted := t.Items
	switch {
	case t.Instance != "":
		var own []int
		for item := range m.owned[t.Instance] {
			if item < m.total() {
				own = append(own, item)
			}
		}
		if wanted = NewItems(own...); len(own) == 0 {
			return TriggerReply{}, ErrNothingToTrigger
		}
	case wanted.Len() == 0:
		wanted = AllItems(m.total())
	}
	if wanted.Len() == 0 {
		return TriggerReply{}, ErrNothingToTrigger
	}
	goes, refused, isBlocked := map[int]bool{}, map[string][]int{}, false
	for item := range wanted.All() {
		if item >= m.total() {
			return TriggerReply{}, ErrNothingToTrigger
		}
		_, fails := m.queued[item]
		id, waits := m.waits[item]
		var why string
		switch {
		case !m.enabled:
			why = "job-disabled@"
		case m.offItems[item]:
			why = "disabled@"
		case waits:
			why = "queued@" + id
		case t.Mode == TriggerRefuse && (fails || m.running(item)):
			why = "running@"
		default:
			goes[item] = true
			continue
		}
		refused[why] = append(refused[why], item)
		isBlocked = isBlocked || t.Mode == TriggerRefuse && !strings.Contains(why, "disabled")
	}
	var reasons []string
	for _, why := range slices.Sorted(maps.Keys(refused)) {
		reasons = append(reasons, NewItems(refused[why]...).String()+"@"+why)
	}
	if isBlocked {
		goes = map[int]bool{}
	}
	r := TriggerReply{At: instantOf(m.now()), Accepted: setOf(goes), Refused: refusalsOf(strings.Join(reasons, ";"))}
	if len(goes) == 0 {
		return r, nil
	}
	kept := &modelTrigger{
		at: m.now(), mode: t.Mode, by: t.By, accepted: r.Accepted, refused: strings.Join(reasons, ";"), left: maps.Clone(goes), ends: map[int]byte{},
	}
	if t.Parameter != nil {
		kept.hasParameter, kept.parameter = true, *t.Parameter
	}
	m.triggers[t.ID] = kept
	for item := range goes {
		m.waits[item] = t.ID
	}
	return r, nil
}

// total is the number of items that the job has.
func (m *model) total() int {
	if m.how == HowBroadcast {
		return m.assigned
	}
	return m.n
}

func refusalsOf(text string) []Refusal {
	r := &reply{values: []any{text}}
	return r.refusals()
}

// beginManual lets the items go that wait for the first trigger and are free.
func (m *model) beginManual(q BeginRequest, mine map[int]int64, free func(int) bool) BeginReply {
	first, goes, held, more := "", map[int]bool{}, map[int]bool{}, false
	isFree := func(item int) bool { return free(item) && !q.Busy.Contains(item) }
	for item, id := range m.waits {
		if _, own := mine[item]; own && isFree(item) && (first == "" || id < first) {
			first = id
		}
	}
	for item := range mine {
		id, waits := m.waits[item]
		switch {
		case waits && !isFree(item):
			held[item] = true
		case waits && id == first:
			goes[item] = true
			delete(m.waits, item)
		case waits:
			more = true
		}
	}
	if len(goes) == 0 {
		return BeginReply{Code: CodeNone, Held: setOf(held)}
	}
	k := &modelMark{fence: m.rise(&m.tok), epoch: q.Lease.Epoch, gen: m.gen, kind: KindOneOff, trigger: first, request: q.request(), items: goes}
	m.marks[q.Lease.Instance] = append(m.marks[q.Lease.Instance], k)
	return m.granted(k, setOf(held), more)
}

func (m *model) granted(k *modelMark, held Items, more bool) BeginReply {
	t := m.triggers[k.trigger]
	r := BeginReply{Code: CodeOK, Fence: k.fence, Items: setOf(k.items), Held: held, Instant: instantOf(t.at), Trigger: k.trigger, More: more}
	if t.hasParameter {
		r.Parameter = &t.parameter
	}
	return r
}

// endWaits ends what items of a job that broadcasts wait for, unless it is what the
// next owner waits for already or the item was nobody's.
func (m *model) endWaits(owner []string, before map[int]string) {
	waits := maps.Clone(m.waits)
	for item, node := range owner {
		id, has := waits[item]
		if !has || before[item] == "" || before[item] == node {
			continue
		}
		goesOn := false
		for other, was := range before {
			goesOn = goesOn || node != "" && was == node && waits[other] == id
		}
		if !goesOn {
			m.settle(id, map[int]bool{item: true}, 'L')
			delete(m.waits, item)
		}
	}
}

// endManual credits items to their trigger; those that were not started wait
// again, of a job that broadcasts if they are still the node's.
func (m *model) endManual(node, id string, ended map[int]bool, outcome Outcome) {
	for item := range ended {
		if outcome != OutcomeReturned {
			m.settle(id, map[int]bool{item: true}, byte(outcome))
			continue
		}
		_, taken := m.waits[item]
		_, own := m.owned[node][item]
		switch {
		case item >= m.total():
			m.settle(id, map[int]bool{item: true}, 'L')
		case taken, m.how == HowBroadcast && !own:
			m.settle(id, map[int]bool{item: true}, 'C')
		default:
			m.waits[item] = id
		}
	}
}

func (m *model) settle(id string, items map[int]bool, outcome byte) {
	t := m.triggers[id]
	if t == nil {
		return
	}
	for item := range items {
		if t.left[item] {
			delete(t.left, item)
			t.ends[item] = outcome
		}
	}
	if len(t.left) == 0 && t.ended == 0 {
		t.ended, t.hasParameter, t.parameter = m.now(), false, ""
	}
}

// text is what the key t holds.
func (t *modelTrigger) text() string {
	by := map[byte][]int{}
	for item, outcome := range t.ends {
		by[outcome] = append(by[outcome], item)
	}
	var ends []string
	for _, outcome := range slices.Sorted(maps.Keys(by)) {
		ends = append(ends, NewItems(by[outcome]...).String()+"@"+string(outcome))
	}
	return fmt.Sprintf("%d|%d|%c|%s|%s|%s|%s|%s|%s|%s", t.at, t.ended, t.mode, t.by, t.accepted, t.refused,
		setOf(t.left), strings.Join(ends, ";"), bit(t.hasParameter), t.parameter)
}
