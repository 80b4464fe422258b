package tracing

import (
	"unicode/utf8"

	"github.com/elasticjob-go/elasticjob/spi"
)

// queue holds events in their order, and knows how large they are as messages.
// It is bounded in both. The zero value is empty.
type queue struct {
	events []spi.TraceEvent
	sizes  []int // of each event, in bytes
	size   int   // their sum
}

// add appends events, all of them or, if there is no room, none.
func (q *queue) add(events []spi.TraceEvent) bool {
	if len(q.events)+len(events) > maxQueue || q.size > maxQueueSize {
		return false
	}
	for i := range events {
		size := sizeOf(&events[i])
		q.sizes = append(q.sizes, size)
		q.size += size
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

// Sizes of the parts of an event that have a bound, in the JSON of the ABI.
const (
	frameSize = 512 // names of members, ids and instants
	labelSize = 6   // punctuation of a label
	itemSize  = 6   // an item below 10000, and a comma
)

// sizeOf is about how many bytes an event has as a message, rather more than
// less. The messages of programs are smaller.
func sizeOf(e *spi.TraceEvent) int {
	size := frameSize + itemSize*len(e.Items)
	for _, text := range [...]string{e.JobName, e.TaskID, e.RunID, e.Instance.ID, e.Instance.IP, e.Message} {
		size += textSize(text)
	}
	for name, value := range e.Instance.Labels {
		size += labelSize + textSize(name) + textSize(value)
	}
	if e.Error != nil {
		size += textSize(e.Error.Message) + textSize(e.Error.Stack) + textSize(e.Error.Property)
	}
	return size
}

// textSize is the size of a text that is escaped as JSON asks.
func textSize(text string) int {
	size := 0
	for _, r := range text {
		switch {
		case r == '"' || r == '\\' || r == '\n' || r == '\r' || r == '\t':
			size += len(`\n`)
		case r < ' ' || r == utf8.RuneError:
			size += len(`\u0001`)
		default:
			size += utf8.RuneLen(r)
		}
	}
	return size
}
