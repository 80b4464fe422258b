package execution

import (
	"context"
	"sync"
)

// task is one item of one run.
type task struct {
	run  *run
	item int
}

// workers runs tasks on at most max goroutines at once, in the order in which
// they were submitted. A goroutine lives as long as there are tasks.
type workers struct {
	max int

	mu      sync.Mutex
	running int
	queue   fifo
	drained chan struct{} // closed when running falls to zero, if anybody waits
}

func newWorkers(most int) *workers { return &workers{max: most} }

// submit takes a task and never blocks: when all workers are busy, the task
// waits.
func (w *workers) submit(t task) {
	w.mu.Lock()
	if w.running >= w.max {
		w.queue.push(t)
		w.mu.Unlock()
		return
	}
	w.running++
	w.mu.Unlock()
	go w.work(t)
}

func (w *workers) work(t task) {
	for {
		t.run.perform(t.item)
		w.mu.Lock()
		next, ok := w.queue.pop()
		if !ok {
			w.running--
			if w.running == 0 && w.drained != nil {
				close(w.drained)
				w.drained = nil
			}
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		t = next
	}
}

// takeQueued returns the tasks that wait, which will not run any more.
func (w *workers) takeQueued() []task {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queue.takeAll()
}

// wait returns when no task runs, or with the cause when ctx ends.
func (w *workers) wait(ctx context.Context) error {
	w.mu.Lock()
	if w.running == 0 {
		w.mu.Unlock()
		return nil
	}
	if w.drained == nil {
		w.drained = make(chan struct{})
	}
	drained := w.drained
	w.mu.Unlock()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// count returns how many tasks run.
func (w *workers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running
}

// fifo is a queue of tasks that reuses its memory. The zero value is empty.
type fifo struct {
	tasks []task
	head  int
}

func (f *fifo) push(t task) { f.tasks = append(f.tasks, t) }

func (f *fifo) pop() (task, bool) {
	if f.head == len(f.tasks) {
		return task{}, false
	}
	t := f.tasks[f.head]
	f.tasks[f.head] = task{}
	f.head++
	switch {
	case f.head == len(f.tasks):
		f.tasks, f.head = f.tasks[:0], 0
	case f.head >= 1024 && 2*f.head >= len(f.tasks):
		kept := copy(f.tasks, f.tasks[f.head:])
		clear(f.tasks[kept:])
		f.tasks, f.head = f.tasks[:kept], 0
	}
	return t, true
}

func (f *fifo) takeAll() []task {
	tasks := f.tasks[f.head:]
	*f = fifo{}
	return tasks
}
