package event_test

import (
	"slices"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/event"
)

func TestTopicCallsSubscribersInOrder(t *testing.T) {
	t.Parallel()
	var topic event.Topic[int]
	topic.Publish(0)
	var got []int
	topic.Subscribe(func(n int) { got = append(got, n) })
	topic.Subscribe(func(n int) { got = append(got, 10*n) })
	topic.Publish(1)
	topic.Publish(2)
	if want := []int{1, 10, 2, 20}; !slices.Equal(got, want) {
		t.Errorf("subscribers saw %v, want %v", got, want)
	}
}
