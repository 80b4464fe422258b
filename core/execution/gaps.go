package execution

import "time"

// gap is a stretch of missed fires of one item, still growing.
type gap struct {
	reason   Reason
	count    int
	from, to time.Time
	before   time.Time // the fire before the last, of those that came one by one
}

// gaps are the open gaps of a job's items. An open gap becomes one record when
// it is closed: when the item runs again, or the reason is another.
type gaps map[int]gap

// add counts missed fires of an item. It returns the record of the gap that
// this ends, if the reason is another one now.
func (g gaps) add(job string, item int, reason Reason, count int, from, to time.Time) (ended ItemMisfired, ok bool) {
	open, grows := g[item]
	if grows && open.reason != reason {
		ended, ok = g.close(job, item)
		grows = false
	}
	if !grows {
		g[item] = gap{reason: reason, count: count, from: from, to: to}
		return ended, ok
	}
	open.count += count
	open.before, open.to = open.to, to
	g[item] = open
	return ItemMisfired{}, false
}

// take removes the last fire of an item's open gap if it is of this instant: it
// runs after all, nearly in time.
func (g gaps) take(item int, instant time.Time) {
	open, ok := g[item]
	if !ok || !open.to.Equal(instant) || open.reason != ReasonStillRunning {
		return
	}
	if open.count--; open.count == 0 {
		delete(g, item)
		return
	}
	open.to = open.before
	g[item] = open
}

// close ends the item's gap, if it has one, and returns its record.
func (g gaps) close(job string, item int) (ItemMisfired, bool) {
	open, ok := g[item]
	if !ok {
		return ItemMisfired{}, false
	}
	delete(g, item)
	return ItemMisfired{Job: job, Item: item, Reason: open.reason, Count: open.count, From: open.from, To: open.to}, true
}
