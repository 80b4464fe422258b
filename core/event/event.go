// Package event carries typed events between the parts of one node.
//
// Order and back-pressure: Publish calls the subscribers one after the other,
// in the order in which they subscribed, in the goroutine of the publisher,
// and returns when the last one has. Events published by one goroutine reach
// every subscriber in that order. There is no queue and nothing is dropped; a
// subscriber that has more to do than to note the event brings its own
// bounded queue.
package event

// Topic delivers events of one type. The zero value has no subscribers.
// Subscribing is for the set-up of a node: it must be over before the first
// Publish. Publish is safe for concurrent use.
type Topic[T any] struct {
	subscribers []func(T)
}

// Subscribe adds a subscriber, which must be safe for concurrent use and
// quick.
func (t *Topic[T]) Subscribe(subscriber func(T)) {
	t.subscribers = append(t.subscribers, subscriber)
}

// Publish hands the event to all subscribers.
func (t *Topic[T]) Publish(e T) {
	for _, subscriber := range t.subscribers {
		subscriber(e)
	}
}
