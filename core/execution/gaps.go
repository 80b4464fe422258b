package execution

import (
	"time"
)

// gap is a stretch of missed fires of one item, still growing.
type gap struct {
	reason   Reason
	count    int
	from, to time.Time
}

// gaps are the open gaps of a job's items. An open gap becomes one record when
// it is closed. It is guarded by the job's lock.
type gaps map[int]gap

// add counts missed fires of an item and reports whether that opened a gap.
func (g gaps) add(item int, reason Reason, count int, from, to time.Time) bool {
	open, ok := g[item]
	if !ok {
		g[item] = gap{reason: reason, count: count, from: from, to: to}
		return true
	}
	open.count += count
	open.to = to
	g[item] = open
	return false
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
