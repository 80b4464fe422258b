package tracing

import (
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// queue holds events in their order, and knows how large they are as messages.
// It is bounded in both. The zero value is empty.
type queue struct {
	events []spi.TraceEvent
	sizes  []int // of each event, in bytes
	size   int   // their sum
	space  []byte
}

// add appends events, all of them or, if there is no room, none.
func (q *queue) add(events []spi.TraceEvent) bool {
	if len(q.events)+len(events) > maxQueue || q.size > maxQueueSize {
		return false
	}
	for i := range events {
		q.space = wire.AppendTraceRequest(q.space[:0], "", spi.TraceRequest{Events: events[i : i+1]})
		q.sizes = append(q.sizes, len(q.space))
		q.size += len(q.space)
	}
	q.events = append(q.events, events...)
	return true
}

// hasBatch says whether there is as much as is handed over at once.
func (q *queue) hasBatch() bool { return len(q.events) >= maxBatch || q.size >= maxBatchSize }

// head returns the first events, at most so many and no more than one message
// takes; at least one if there is one, as each fits by far.
func (q *queue) head(most int) []spi.TraceEvent {
	n, size := 0, 0
	for n < min(most, len(q.sizes)) && (n == 0 || size+q.sizes[n] <= maxBatchSize) {
		size += q.sizes[n]
		n++
	}
	return q.events[:n:n]
}

// drop removes the first n events.
func (q *queue) drop(n int) {
	for _, size := range q.sizes[:n] {
		q.size -= size
	}
	q.events, q.sizes = q.events[n:], q.sizes[n:]
	if len(q.events) == 0 {
		*q = queue{} // its arrays may be large
	}
}
