package execution

import "sync"

// task is one item of one run.
type task struct {
	run  *run
	item int
}

// workers runs tasks on at most max goroutines at once, in the order in which
// they were submitted. A goroutine lives as long as there are tasks.
type workers struct {
	max     int
	running tracker

	mu    sync.Mutex
	busy  int
	queue fifo
}

func newWorkers(most int) *workers { return &workers{max: most} }

// submit takes a task and never blocks: when all workers are busy, the task
// waits.
func (w *workers) submit(t task) {
	w.mu.Lock()
	if w.busy >= w.max {
		w.queue.push(t)
		w.mu.Unlock()
		return
	}
	w.busy++
	w.mu.Unlock()
	w.running.add()
	go w.work(t)
}

func (w *workers) work(t task) {
	returned := false
	defer func() {
		// Code that ends its goroutine takes this worker with it.
		if !returned {
			if next, ok := w.next(); ok {
				go w.work(next)
			}
		}
	}()
	for ok := true; ok; t, ok = w.next() {
		t.run.perform(t.item)
	}
	returned = true
}

// next returns a task that waits; without one the worker is over.
func (w *workers) next() (task, bool) {
	w.mu.Lock()
	next, ok := w.queue.pop()
	if !ok {
		w.busy--
	}
	w.mu.Unlock()
	if !ok {
		w.running.done()
	}
	return next, ok
}

// takeQueued returns the tasks that wait, which will not run any more.
func (w *workers) takeQueued() []task {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queue.takeAll()
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
