package schedule

import "github.com/robfig/cron/v3"

// entry is one job in the queue. It is kept small: a node may hold a hundred
// thousand.
type entry struct {
	at       int64 // next instant, Unix nanoseconds
	index    int   // place in the queue
	schedule cron.Schedule
	target   Target
	name     string
}

// queue is a heap with four children a node, ordered by instant: half as deep
// as a binary one, and siblings share a cache line.
type queue []*entry

const children = 4

func (q queue) first() *entry {
	if len(q) == 0 {
		return nil
	}
	return q[0]
}

func (q *queue) push(e *entry) {
	e.index = len(*q)
	*q = append(*q, e)
	q.up(e.index)
}

func (q *queue) remove(e *entry) {
	last := len(*q) - 1
	hole := e.index
	moved := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	if hole == last {
		return
	}
	(*q)[hole] = moved
	moved.index = hole
	q.fix(moved)
}

// fix restores the order after the entry's instant changed.
func (q *queue) fix(e *entry) {
	if i := e.index; q.up(i) == i {
		q.down(i)
	}
}

func (q *queue) up(i int) int {
	h := *q
	e := h[i]
	for i > 0 {
		parent := (i - 1) / children
		if h[parent].at <= e.at {
			break
		}
		h[i] = h[parent]
		h[i].index = i
		i = parent
	}
	h[i] = e
	e.index = i
	return i
}

func (q *queue) down(i int) {
	h := *q
	e := h[i]
	for {
		child := children*i + 1
		if child >= len(h) {
			break
		}
		least := child
		for c := child + 1; c < min(child+children, len(h)); c++ {
			if h[c].at < h[least].at {
				least = c
			}
		}
		if e.at <= h[least].at {
			break
		}
		h[i] = h[least]
		h[i].index = i
		i = least
	}
	h[i] = e
	e.index = i
}
