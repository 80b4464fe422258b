package registry

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// model is the protocol of one job in plain Go, written from its description
// and item by item, without the shortcuts of the scripts.
type model struct {
	us       int64 // the server's clock
	hlc      int64
	sessions map[string]*modelSession
	dead     map[Lease]modelEnd
	stops    map[string]int64
	exists   bool

	n, assigned                                         int
	how                                                 How
	departed                                            string // nodes that drained at the last commit
	version, gen, previous, gave, tok, from, floor, upd int64
	began                                               int64 // the last epoch at the last assignment
	reborn                                              int64 // from when on an item that comes back is fired
	monitored, misfire, failover                        bool
	enabled                                             bool
	offItems                                            map[int]bool
	offServers                                          map[string]bool
	off                                                 map[string]bool // servers, for all jobs

	owned    map[string]map[int]int64 // node -> item -> floor
	marks    map[string][]*modelMark
	last     map[string]modelDecision
	asked    map[string]modelAsked
	missed   map[int]int64
	queued   map[int]modelOrphan // failover
	saved    map[int]modelCheckpoint
	former   map[int]string // owners that died
	waits    map[int]string // the trigger that an item waits for
	triggers map[string]*modelTrigger
	runs     map[string]*modelRun
	gather   bool // runs are or were gathered
	dirty    bool
}

type modelSession struct {
	epoch, deadline int64 // ms
	gone            bool
}

// modelEnd is how a session ended: its last instant, or its last renewal.
type modelEnd struct {
	at   int64
	died bool
}

type modelMark struct {
	fence, epoch, gen int64
	kind              Kind
	instant           int64
	trigger           string // its id, instead of an instant
	request           string
	items             map[int]bool
}

// at is what the mark says of when or why it runs.
func (k *modelMark) at() string {
	if k.trigger != "" {
		return k.trigger
	}
	return number(k.instant)
}

// modelTrigger is what is kept of a manual trigger. ends says how items that have
// ended did.
type modelTrigger struct {
	at, ended    int64
	mode         TriggerMode
	by           string
	accepted     Items
	refused      string
	left         map[int]bool
	ends         map[int]byte
	hasParameter bool
	parameter    string
}

type modelDecision struct {
	instant   int64
	request   string
	held      Items
	coalesced []ItemsAt
}

// modelAsked is the last request of a session that was no normal firing.
type modelAsked struct{ epoch, number int64 }

// isLate notes a request that is no normal firing, unless it is a copy of an earlier
// one, which no mark tells of any more.
func (m *model) isLate(l Lease, request string) bool {
	before, n := m.asked[l.Instance], parseNumber(strings.TrimLeft(request, "cmo"))
	if before.epoch == l.Epoch && n <= before.number {
		return true
	}
	m.asked[l.Instance] = modelAsked{l.Epoch, n}
	return false
}

func newModel(us int64) *model {
	return &model{
		us: us, sessions: map[string]*modelSession{},
		offItems: map[int]bool{}, offServers: map[string]bool{}, off: map[string]bool{},
		owned: map[string]map[int]int64{}, marks: map[string][]*modelMark{}, last: map[string]modelDecision{}, asked: map[string]modelAsked{},
		missed: map[int]int64{}, queued: map[int]modelOrphan{}, saved: map[int]modelCheckpoint{}, former: map[int]string{},
		waits: map[int]string{}, triggers: map[string]*modelTrigger{},
		dead: map[Lease]modelEnd{}, stops: map[string]int64{}, runs: map[string]*modelRun{},
	}
}

func (m *model) now() int64 { return m.us / 1000 }

func (m *model) rise(n *int64) int64 {
	*n = max(*n+1, m.us)
	return *n
}

func (m *model) live(node string, epoch int64) bool {
	s := m.sessions[node]
	return s != nil && !s.gone && s.epoch == epoch && s.deadline >= m.now()
}

func (m *model) register(node string) (int64, bool) {
	if s := m.sessions[node]; s != nil {
		if !s.gone && s.deadline+defaultGrace.Milliseconds() >= m.now() {
			return 0, false
		}
		m.end(node, nil)
	}
	epoch := m.rise(&m.hlc)
	m.sessions[node] = &modelSession{epoch: epoch, deadline: m.now() + sessionTimeout.Milliseconds()}
	if m.exists {
		m.dirty = true
	}
	return epoch, true
}

// end ends the session of a node, which may have said its last instant.
func (m *model) end(node string, stopped *int64) {
	s := m.sessions[node]
	if s.gone {
		return
	}
	s.gone = true
	e := modelEnd{at: s.deadline - sessionTimeout.Milliseconds(), died: true}
	if stopped != nil {
		e = modelEnd{at: *stopped}
	}
	if first, departed := m.stops[node]; departed {
		e = modelEnd{at: first}
	}
	m.dead[Lease{node, s.epoch}] = e
	delete(m.stops, node)
}

func (m *model) depart(node string, epoch, stopped int64) bool {
	if !m.live(node, epoch) {
		return false
	}
	if _, departed := m.stops[node]; !departed {
		m.stops[node] = max(stopped, m.now())
	}
	m.dirty = m.dirty || m.exists
	return true
}

// reap evicts at most sixteen sessions, which are all.
func (m *model) reap(caller string, force bool) Reaped {
	var due []string
	var r Reaped
	all := 0
	for _, node := range slices.Sorted(maps.Keys(m.sessions)) {
		s := m.sessions[node]
		if s.gone {
			continue
		}
		all++
		at := s.deadline + defaultGrace.Milliseconds() + 1
		if m.now() >= at {
			due = append(due, node)
		} else if next := instantOf(at); node != caller && (r.Next.IsZero() || next.Before(r.Next)) {
			r.Next = next
		}
	}
	if !force && 2*len(due) > all {
		r.Held = len(due)
		return r
	}
	// Those whose lease ended first come first.
	slices.SortStableFunc(due, func(a, b string) int { return cmp.Compare(m.sessions[a].deadline, m.sessions[b].deadline) })
	for _, node := range due {
		r.Dead = append(r.Dead, Lease{node, m.sessions[node].epoch})
		m.end(node, nil)
	}
	return r
}

func (m *model) renew(node string, epoch int64) bool {
	if !m.live(node, epoch) {
		return false
	}
	m.sessions[node].deadline = m.now() + sessionTimeout.Milliseconds()
	return true
}

func (m *model) leave(node string, epoch int64, stopped *int64) {
	if s := m.sessions[node]; s != nil && s.epoch == epoch {
		m.end(node, stopped)
	}
}

func (m *model) put(d JobDefinition) PutOutcome {
	same := m.exists && m.n == d.Items && m.misfire == d.Misfire && m.failover == d.Failover && m.monitored == d.Monitored
	switch {
	case same:
		return PutUnchanged
	case m.exists && !d.Overwrite:
		return PutKept
	}
	outcome := PutUpdated
	m.rise(&m.version)
	m.upd = m.now()
	if !m.exists {
		outcome = PutCreated
		m.exists, m.enabled = true, true
		m.from = m.now() + 1
	}
	if outcome == PutCreated || m.n != d.Items || m.monitored != d.Monitored {
		m.floor = max(m.floor, m.now())
	}
	if outcome == PutUpdated && m.monitored != d.Monitored {
		m.raise(func(string) bool { return true })
	}
	m.n, m.misfire, m.failover, m.monitored = d.Items, d.Misfire, d.Failover, d.Monitored
	m.dirty = true
	return outcome
}

func (m *model) raise(of func(node string) bool) {
	for node, floors := range m.owned {
		if of(node) {
			for item, f := range floors {
				floors[item] = max(f, m.now())
				delete(m.former, item)
			}
		}
	}
}

func (m *model) setJob(enabled bool) bool {
	if m.enabled == enabled {
		return false
	}
	m.enabled = enabled
	if enabled {
		m.floor = max(m.floor, m.now())
		m.raise(func(string) bool { return true })
	}
	return true
}

func (m *model) setItem(item int, enabled bool) bool {
	if m.offItems[item] != enabled {
		return false
	}
	if enabled {
		delete(m.offItems, item)
	} else {
		m.offItems[item] = true
	}
	return true
}

func (m *model) setServer(node string, enabled bool) bool {
	if m.offServers[node] != enabled {
		return false
	}
	m.dirty = true
	if !enabled {
		m.offServers[node] = true
		return true
	}
	delete(m.offServers, node)
	m.raise(func(n string) bool { return n == "" || n == node })
	return true
}

func (m *model) setInstance(node string, enabled bool) bool {
	if m.off[node] != enabled {
		return false
	}
	m.dirty = m.dirty || m.exists
	if !enabled {
		m.off[node] = true
		return true
	}
	delete(m.off, node)
	if s := m.sessions[node]; s != nil && !s.gone {
		m.raise(func(n string) bool { return n == "" || n == node })
	}
	return true
}

// owner says of the session for which a node owns items whether it goes on, the
// last instant it fires if that is known, and whether it died. Of a monitored job
// any session of the node will do.
func (m *model) owner(node string) (live bool, last int64, died bool) {
	counts := func(epoch int64) bool { return m.monitored || epoch <= m.began }
	if s := m.sessions[node]; s != nil && !s.gone && counts(s.epoch) {
		return true, m.stops[node], false
	}
	var newest int64
	died = true
	for l, e := range m.dead {
		if l.Instance == node && counts(l.Epoch) && l.Epoch > newest {
			newest, last, died = l.Epoch, e.at, e.died
		}
	}
	return false, last, died
}

// renewed is when the session of a node was last renewed.
func (m *model) renewed(node string) int64 {
	return m.sessions[node].deadline - sessionTimeout.Milliseconds()
}

func (m *model) commit(p Plan) CommitResult {
	r := CommitResult{Job: p.Job, Code: CodeStale, Generation: m.gen}
	if m.gen != p.ExpectGeneration || m.version != p.ExpectVersion {
		return r
	}
	owner := make([]string, p.Items)
	for node, list := range p.Owners {
		_, departs := m.stops[node]
		if s := m.sessions[node]; s == nil || s.gone || departs {
			r.Code = CodeOwnerGone
			return r
		}
		for item := range list.All() {
			owner[item] = node
		}
	}
	first, handOver := m.gen == 0, (sessionTimeout/3 + time.Second).Milliseconds()
	floor, before := map[int]int64{}, map[int]string{}
	for node, floors := range m.owned {
		for item, f := range floors {
			before[item] = node
			floor[item] = max(f, m.last[node].instant)
		}
	}
	same, waits, until := !first && m.assigned == p.Items, false, m.from
	changes, later := !same, false
	moved, stays := map[int]bool{}, []int{}
	for item, node := range owner {
		was, known := before[item]
		live, last, _ := m.owner(was)
		if known && node != was && !m.monitored && live && last == 0 && m.renewed(was)+handOver < m.now() {
			owner[item], node, later = was, was, true
		}
		again := known && was != "" && !live && !m.monitored
		if known && was == node && !again {
			continue
		}
		same = false
		if known && live && last == 0 {
			stays = append(stays, item)
		} else {
			changes = true
		}
		if known && was != "" {
			moved[item] = true
			if live {
				waits = waits || last == 0
				if node != "" {
					until = max(until, m.gen/1000+handOver)
				}
			}
		}
	}
	if !m.monitored && !first && !same && until > m.now() {
		if !changes {
			r.Code, r.From = CodePending, instantOf(until)
			return r
		}
		if len(stays) > 0 {
			later = true
			for _, item := range stays {
				owner[item] = before[item]
				delete(moved, item)
			}
			waits = false
		}
	}
	if p.Dirty > 0 && !later {
		m.dirty = false
	}
	hadBroadcast, broadcasts := m.how == HowBroadcast, p.How == HowBroadcast && !first && !same
	m.how = p.How
	if broadcasts {
		floor = m.broadcast(owner, before, floor)
		m.endWaits(owner, before)
	}
	dropped := map[int]bool{}
	for item := p.Items; item < MaxItems; item++ {
		_, inMissed := m.missed[item]
		_, inQueue := m.queued[item]
		id, waits := m.waits[item]
		_, isSaved := m.saved[item]
		if inMissed || inQueue || waits || isSaved {
			dropped[item] = true
		}
		m.gatherGone(item)
		delete(m.saved, item)
		if failed, trigger := m.queued[item].trigger(); trigger {
			m.settle(failed, map[int]bool{item: true}, 'L')
		}
		m.settle(id, map[int]bool{item: true}, 'L')
		delete(m.waits, item)
		delete(m.missed, item)
		delete(m.queued, item)
		delete(m.offItems, item)
	}
	r.Dropped = setOf(dropped)
	if same {
		r.Code, r.From = CodeNone, instantOf(m.from)
		if later {
			r.Code, r.From = CodePending, instantOf(m.now()+handOver)
		}
		return r
	}
	from, handedOver := max(m.now(), m.from), m.from <= m.now()
	if waits {
		from = m.now() + handOver
	}
	forgets := m.gen/1000 + sessionTimeout.Milliseconds() + handOver
	former := map[int]string{}
	for item := range owner {
		was, known := before[item]
		if !moved[item] {
			if name, orphan := m.former[item]; orphan && known && (was == "" || m.now() < forgets) {
				former[item] = name
			}
			continue
		}
		live, last, died := m.owner(was)
		if died {
			former[item] = was
		}
		if !m.monitored {
			if live && last == 0 {
				last = from - 1
			}
			floor[item] = max(floor[item], last)
		}
	}
	if broadcasts {
		former = map[int]string{}
	}
	newest := m.floor
	if hadBroadcast && !first {
		newest = max(newest, m.now())
	}
	if m.reborn > m.now() {
		newest = max(newest, m.reborn-1, from-1)
	}
	for item := range before {
		if !m.monitored && item >= p.Items {
			m.reborn = m.now() + handOver
		}
	}
	m.owned = map[string]map[int]int64{}
	for item, node := range owner {
		f, ok := floor[item]
		if !ok {
			f = newest
		}
		if m.owned[node] == nil {
			m.owned[node] = map[int]int64{}
		}
		m.owned[node][item] = f
	}
	m.last = map[string]modelDecision{}
	maps.DeleteFunc(m.asked, func(node string, a modelAsked) bool {
		s := m.sessions[node]
		return s == nil || s.gone || s.epoch != a.epoch
	})
	m.from, m.former, m.began = from, former, m.hlc
	if first {
		m.from = m.floor + 1
	}
	m.departed = strings.Join(slices.Sorted(maps.Keys(m.stops)), ",")
	if handedOver && m.gave > 0 {
		m.previous = m.gave
	}
	m.assigned, m.gen = p.Items, m.rise(&m.tok)
	if waits {
		m.gave = m.gen
	}
	r.Code, r.Generation, r.From = CodeOK, m.gen, instantOf(m.from)
	if later {
		r.Code, r.From = CodePending, instantOf(m.now()+handOver)
	}
	return r
}

// broadcast carries what nodes have decided and missed over to their next items, and
// returns the floors of those.
func (m *model) broadcast(owner []string, before map[int]string, floor map[int]int64) map[int]int64 {
	decided, missed := map[string]int64{}, map[string]int64{}
	for item, node := range before {
		decided[node] = max(decided[node], floor[item])
		if at, has := m.missed[item]; has {
			missed[node] = max(missed[node], at)
		}
	}
	next := map[int]int64{}
	m.missed = map[int]int64{}
	for item, node := range owner {
		own, served := decided[node]
		nobodys, unserved := decided[""]
		switch _, known := floor[item]; {
		case node == "" && known:
			next[item] = floor[item]
		case node == "":
			next[item] = m.now()
		case served:
			next[item] = own
		case unserved:
			next[item] = nobodys
		default:
			next[item] = m.now()
		}
		if at, has := missed[node]; has && node != "" {
			m.missed[item] = at
		}
	}
	return next
}

func (m *model) begin(q BeginRequest) BeginReply {
	r := m.decide(q)
	if q.Gathers && (q.Kind == KindNormal && (r.Code == CodeOK || r.Code == CodeNone) || q.Kind == KindOneOff && r.Code == CodeOK) {
		r.Gathering = m.gatherBegun(q.Lease, r)
	}
	return r
}

func (m *model) decide(q BeginRequest) BeginReply {
	node, instant := q.Lease.Instance, q.Instant.UnixMilli()
	request := q.request()
	last, normal := m.last[node], q.Kind == KindNormal
	repeated := normal && last.request == request
	for _, k := range m.marks[node] {
		if k.epoch == q.Lease.Epoch && k.request == request && k.trigger != "" {
			return m.granted(k, Items{}, true)
		}
		if k.epoch == q.Lease.Epoch && k.request == request {
			r := BeginReply{Code: CodeOK, Fence: k.fence, Items: setOf(k.items), Instant: instantOf(k.instant)}
			if repeated {
				r.Held, r.Coalesced = last.held, last.coalesced
			}
			return r
		}
	}
	switch {
	case repeated:
		return BeginReply{Code: CodeNone, Held: last.held, Coalesced: last.coalesced, Instant: instantOf(last.instant)}
	case !normal && m.isLate(q.Lease, request):
		return BeginReply{Code: CodeNone}
	case !m.enabled || m.offServers[node] || m.off[node]:
		return BeginReply{Code: CodeDisabled}
	case q.Generation != m.gen:
		return BeginReply{Code: CodeStale, Generation: m.gen}
	case normal && instant <= last.instant:
		return BeginReply{Code: CodeDuplicate}
	case normal && instant > m.now()+5000:
		return BeginReply{Code: CodeEarly}
	}
	free := func(item int) bool {
		if m.how == HowBroadcast {
			return len(m.marks[node]) == 0
		}
		_, waits := m.queued[item]
		return !waits && !m.running(item) && len(m.marks[node]) < 64
	}
	mine := map[int]int64{}
	for item, f := range m.owned[node] {
		if !m.offItems[item] {
			mine[item] = f
		}
	}
	if q.Kind == KindOneOff {
		return m.beginManual(q, mine, free)
	}
	goes, held, old := map[int]bool{}, map[int]bool{}, map[int]int64{}
	if normal {
		for item, f := range mine {
			if f >= instant {
				continue
			}
			at, flagged := m.missed[item]
			if free(item) {
				goes[item] = true
				delete(m.missed, item)
			} else {
				held[item] = true
				if m.misfire {
					m.missed[item] = instant
				}
				flagged = flagged && m.misfire
			}
			if flagged {
				old[item] = at
			}
		}
		m.last[node] = modelDecision{instant, request, setOf(held), groupsOf(old)}
	} else {
		instant = 0
		for item := range mine {
			if at, ok := m.missed[item]; ok && free(item) && (instant == 0 || at < instant) {
				instant = at
			}
		}
		for item := range mine {
			if m.missed[item] == instant && instant > 0 && free(item) {
				goes[item] = true
			}
		}
		for item := range goes {
			delete(m.missed, item)
		}
	}
	r := BeginReply{Code: CodeNone, Held: setOf(held), Coalesced: groupsOf(old), Instant: instantOf(instant)}
	if len(goes) > 0 {
		r.Code, r.Fence, r.Items = CodeOK, m.rise(&m.tok), setOf(goes)
		m.marks[node] = append(m.marks[node], &modelMark{r.Fence, q.Lease.Epoch, m.gen, q.Kind, instant, "", request, goes})
	}
	return r
}

func (m *model) running(item int) bool {
	for _, list := range m.marks {
		for _, k := range list {
			if k.items[item] {
				return true
			}
		}
	}
	return false
}

func (m *model) complete(q CompleteRequest) CompleteReply {
	node, released, rest, back := q.Lease.Instance, map[int]bool{}, false, false
	for _, k := range m.marks[node] {
		if k.fence != q.Fence || k.epoch != q.Lease.Epoch {
			continue
		}
		ended := map[int]bool{}
		for item := range q.Items.All() {
			if k.items[item] {
				ended[item] = true
			}
			delete(k.items, item)
		}
		outcome := q.Outcome
		if outcome == OutcomeReturned && k.kind == KindFailover {
			m.giveBack(node, q.Run, k, ended)
			outcome, back = OutcomeCancelled, true
		}
		for item := range ended {
			released[item] = k.gen != m.gen
			if outcome == OutcomeSuccess {
				delete(m.saved, item)
			}
		}
		if k.trigger != "" {
			m.endManual(node, k.trigger, ended, outcome)
		}
		rest = len(k.items) > 0
		m.dirty = m.dirty || m.how == HowEveryRun && len(k.items) == 0
	}
	m.sweep(node)
	maps.DeleteFunc(released, func(_ int, is bool) bool { return !is })
	r := CompleteReply{
		Code: CodeOK, Released: setOf(released), HasFailover: len(m.queued) > 0, HasMisfire: len(m.missed) > 0, HasQueued: len(m.waits) > 0,
	}
	if q.Run != "" && !back {
		r.Gathering = m.gatherEnded(q, rest)
	}
	return r
}

func (m *model) drain(dead Lease) []Drained {
	m.gatherDead(dead)
	var lost []LostRun
	for _, k := range m.marks[dead.Instance] {
		if k.epoch != dead.Epoch {
			continue
		}
		for item := range k.items {
			if m.takesOver(item) {
				m.queued[item] = modelOrphan{k.at(), k.kind, k.fence, dead.Instance, dead.Epoch}
				delete(k.items, item)
			}
		}
		if len(k.items) > 0 {
			run := k.trigger
			if run == "" {
				run = FormatRunID(instantOf(k.instant))
			}
			m.settle(k.trigger, k.items, 'L')
			lost = append(lost, LostRun{setOf(k.items), run})
		}
		k.items = nil
	}
	m.sweep(dead.Instance)
	if len(m.owned[dead.Instance]) > 0 {
		m.dirty = true
	}
	if lost == nil {
		return nil
	}
	return []Drained{{Job: "j", Lost: lost}}
}

func (m *model) sweep(node string) {
	m.marks[node] = slices.DeleteFunc(m.marks[node], func(k *modelMark) bool { return len(k.items) == 0 })
	if len(m.marks[node]) == 0 {
		delete(m.marks, node)
	}
}

// dump is what the keys of the job hold, by letter and field.
func (m *model) dump() map[string]map[string]string {
	d := map[string]map[string]string{"a": {}, "r": {}, "hw": {}, "m": {}, "q": {}, "t": {}, "j": {}, "g": m.dumpRuns()}
	foreign := 0
	for node, floors := range m.owned {
		d["a"][node] = groupText(groupsOf(floors))
	}
	for node, list := range m.marks {
		var texts []string
		for _, k := range list {
			if k.gen != m.gen {
				foreign++
			}
			texts = append(texts, fmt.Sprintf("%d|%d|%d|%c|%s|%s|%s", k.fence, k.epoch, k.gen, k.kind, k.at(), k.request, setOf(k.items)))
		}
		d["r"][node] = strings.Join(texts, ";")
	}
	for _, node := range slices.Concat(slices.Collect(maps.Keys(m.last)), slices.Collect(maps.Keys(m.asked))) {
		l, asked := m.last[node], ""
		if a, has := m.asked[node]; has {
			asked = number(a.epoch) + "." + number(a.number)
		}
		d["hw"][node] = fmt.Sprintf("%d|%s|%s|%s|%s", l.instant, l.request, l.held, groupText(l.coalesced), asked)
	}
	for item, at := range m.missed {
		d["m"][strconv.Itoa(item)] = number(at)
	}
	for item, id := range m.waits {
		d["q"][strconv.Itoa(item)] = id
	}
	for id, t := range m.triggers {
		d["t"][id] = t.text()
	}
	m.dumpFailover(d)
	if m.exists {
		state := map[bool]string{true: "E", false: "D"}[m.enabled]
		d["j"] = map[string]string{
			"gen": number(m.gen), "pg": number(m.previous), "lg": number(m.gave), "tok": number(m.tok), "cver": number(m.version), "upd": number(m.upd),
			"x": strconv.Itoa(foreign), "n": strconv.Itoa(m.n), "from": number(m.from), "fl": number(m.floor),
			"st": state, "dn": setOf(m.offItems).String(), "nd": strconv.Itoa(len(m.offServers)),
			"an": strconv.Itoa(m.assigned), "ep": number(m.began), "lo": m.orphans(), "nf": number(m.reborn), "sd": m.departed, "how": string(m.how),
			"gr": map[bool]string{true: "1"}[m.gather],
		}
	}
	d["dead"], d["stop"] = map[string]string{}, map[string]string{}
	for l, e := range m.dead {
		d["dead"][l.Instance+":"+number(l.Epoch)] = number(e.at) + map[bool]string{true: "|d", false: "|g"}[e.died]
	}
	d["off"] = map[string]string{}
	for node := range m.off {
		d["off"][node] = "D"
	}
	for node, at := range m.stops {
		d["stop"][node] = number(at)
	}
	return d
}

func (m *model) orphans() string {
	by := map[string][]int{}
	for item, node := range m.former {
		by[node] = append(by[node], item)
	}
	return orphanText(by)
}

func orphanText(by map[string][]int) string {
	var parts []string
	for _, node := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, NewItems(by[node]...).String()+"|"+node)
	}
	return strings.Join(parts, ";")
}

func setOf(set map[int]bool) Items { return NewItems(slices.Collect(maps.Keys(set))...) }

func groupsOf(values map[int]int64) []ItemsAt {
	by := map[int64][]int{}
	for item, v := range values {
		by[v] = append(by[v], item)
	}
	var groups []ItemsAt
	for _, v := range slices.Sorted(maps.Keys(by)) {
		groups = append(groups, ItemsAt{NewItems(by[v]...), instantOf(v)})
	}
	return groups
}

func groupText(groups []ItemsAt) string {
	var parts []string
	for _, g := range groups {
		parts = append(parts, g.Items.String()+"@"+millis(g.At))
	}
	return strings.Join(parts, ";")
}
