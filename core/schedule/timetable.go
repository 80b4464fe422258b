package schedule

import (
	"sync/atomic"

	"github.com/robfig/cron/v3"
)

// entry is one job of the timer. It is kept small: a node may hold a hundred
// thousand.
type entry struct {
	at    int64 // the next instant, Unix nanoseconds
	place int32 // in its moment
	// gone says that the job was removed, also while it is being fired.
	gone     atomic.Bool
	schedule cron.Schedule
	target   Target
	name     string
}

// moment is an instant and the jobs that are due at it.
type moment struct {
	at      int64
	place   int // in the queue
	entries []*entry
}

// timetable holds jobs by their next instant. Instants are whole seconds for the
// most part, so many jobs share one, and what is done for an instant is not done
// for each of its jobs. The zero value is not usable.
type timetable struct {
	queue   []*moment // a heap, the earliest first
	moments map[int64]*moment
	// spare is a moment without jobs whose memory the next one uses.
	spare *moment
}

func newTimetable() timetable { return timetable{moments: make(map[int64]*moment)} }

// first returns the earliest moment, nil if there is none.
func (t *timetable) first() *moment {
	if len(t.queue) == 0 {
		return nil
	}
	return t.queue[0]
}

// add puts the entry where its instant says, and reports whether that is a new
// first moment.
func (t *timetable) add(e *entry) (isFirst bool) {
	m := t.moments[e.at]
	if m == nil {
		m = t.spare
		t.spare = nil
		if m == nil {
			m = &moment{}
		}
		m.at = e.at
		t.moments[e.at] = m
		t.push(m)
		isFirst = m.place == 0
	}
	e.place = int32(len(m.entries))
	m.entries = append(m.entries, e)
	return isFirst
}

// remove takes the entry out, unless its moment has been taken.
func (t *timetable) remove(e *entry) {
	m := t.moments[e.at]
	if m == nil || int(e.place) >= len(m.entries) || m.entries[e.place] != e {
		return
	}
	last := len(m.entries) - 1
	m.entries[e.place] = m.entries[last]
	m.entries[e.place].place = e.place
	m.entries[last] = nil
	m.entries = m.entries[:last]
	if last == 0 {
		t.take(m)
		t.recycle(m)
	}
}

// take takes a moment out with all its entries.
func (t *timetable) take(m *moment) {
	delete(t.moments, m.at)
	last := len(t.queue) - 1
	moved := t.queue[last]
	t.queue[last] = nil
	t.queue = t.queue[:last]
	if moved == m {
		return
	}
	moved.place = m.place
	t.queue[moved.place] = moved
	t.up(moved.place)
	t.down(moved.place)
}

// recycle keeps the memory of a moment that was taken. The larger one counts.
func (t *timetable) recycle(m *moment) {
	clear(m.entries)
	m.entries = m.entries[:0]
	if t.spare == nil || cap(t.spare.entries) < cap(m.entries) {
		t.spare = m
	}
}

func (t *timetable) push(m *moment) {
	m.place = len(t.queue)
	t.queue = append(t.queue, m)
	t.up(m.place)
}

func (t *timetable) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if t.queue[parent].at <= t.queue[i].at {
			return
		}
		t.swap(i, parent)
		i = parent
	}
}

func (t *timetable) down(i int) {
	for {
		least := 2*i + 1
		if least >= len(t.queue) {
			return
		}
		if right := least + 1; right < len(t.queue) && t.queue[right].at < t.queue[least].at {
			least = right
		}
		if t.queue[i].at <= t.queue[least].at {
			return
		}
		t.swap(i, least)
		i = least
	}
}

func (t *timetable) swap(i, j int) {
	t.queue[i], t.queue[j] = t.queue[j], t.queue[i]
	t.queue[i].place, t.queue[j].place = i, j
}
