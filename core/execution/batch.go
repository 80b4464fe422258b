package execution

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/service"
)

// batcher sends requests of many goroutines together. A request that finds the
// line free is sent at once; those that come while it is under way go together
// in the next batch. What one goroutine asks after an answer is sent after it. After
// a batch that was not answered the line waits a little, with all that asks meanwhile.
type batcher[Request, Reply any] struct {
	// send sends a batch. It may answer a part and fail: the error is for the
	// requests without an answer.
	send func(ctx context.Context, requests []Request) ([]Reply, error)
	// spawn runs the sending goroutine, which ends when nothing waits.
	spawn func(func())

	mu      sync.Mutex
	sending bool
	queue   []*waiting[Request, Reply]
}

// longestSilence bounds the pause after a batch without an answer, and so how long
// after the registry is back again it is asked.
const longestSilence = 250 * time.Millisecond

// maxBatch bounds a batch, so that one is over well within its time.
const maxBatch = 500

// waiting is a request that waits for its answer.
type waiting[Request, Reply any] struct {
	request  Request
	reply    Reply
	err      error
	answered chan struct{}
}

// do sends the request in some batch, each of which is bounded by ctx of the
// session, and waits for its answer.
func (b *batcher[Request, Reply]) do(ctx context.Context, request Request) (Reply, error) {
	w := &waiting[Request, Reply]{request: request, answered: make(chan struct{})}
	b.mu.Lock()
	b.queue = append(b.queue, w)
	if !b.sending {
		b.sending = true
		b.spawn(func() { b.flush(ctx) })
	}
	b.mu.Unlock()
	<-w.answered
	return w.reply, w.err
}

func (b *batcher[Request, Reply]) flush(ctx context.Context) {
	for pause := firstPause; ; {
		b.mu.Lock()
		batch := b.queue[:min(len(b.queue), maxBatch)]
		b.queue = b.queue[len(batch):]
		b.sending = len(batch) > 0
		b.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		requests := make([]Request, len(batch))
		for i, w := range batch {
			requests[i] = w.request
		}
		bounded, cancel := context.WithTimeout(ctx, callTimeout)
		replies, err := b.send(bounded, requests)
		cancel()
		for i, w := range batch {
			if i < len(replies) {
				w.reply = replies[i]
			} else {
				w.err = err
			}
			close(w.answered)
		}
		if err == nil || isRefusal(err) {
			pause = firstPause
			continue
		}
		service.Sleep(ctx, pause)
		pause = min(2*pause, longestSilence)
	}
}

// isRefusal reports whether an error is an answer: the session is over or the
// registry is in quarantine.
func isRefusal(err error) bool {
	return errors.Is(err, registry.ErrLeaseLost) || errors.Is(err, registry.ErrQuarantined)
}
