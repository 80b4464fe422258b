package execution

import (
	"context"
	"time"
)

// overrunAfter is how long code may go on after its context has ended, before the
// log says so. Scripts and programs get some time to end in order.
const overrunAfter = 10 * time.Second

// watch says in the log, once, that the code of an item goes on although ctx has
// ended: it holds the item, and nothing else would tell. forget is to be called
// when the code has returned.
func (r *run) watch(ctx context.Context, item, attempt int) (forget func()) {
	returned, told := make(chan struct{}), make(chan struct{})
	unwatch := context.AfterFunc(ctx, func() {
		defer close(told)
		patience := time.NewTimer(overrunAfter)
		defer patience.Stop()
		select {
		case <-returned:
		case <-patience.C:
			r.job.executor.logger.Error("item ignores its cancellation and runs on",
				"job", r.job.name, "item", item, "run", r.id, "attempt", attempt, "cause", r.reason(cause(ctx)))
		}
	})
	return func() {
		close(returned)
		if !unwatch() {
			<-told
		}
	}
}
