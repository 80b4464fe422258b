package execution

import (
	"slices"
	"sync"
)

// task is one attempt, from 1, of one item of one run.
type task struct {
	run     *run
	item    int
	attempt int
}

// workers runs tasks on at most max goroutines at once, in the order in which
// they were submitted. A goroutine lives as long as there are tasks. One that
// takes its first task starts the next one if more tasks wait: there are as many
// as it takes until nothing waits, but short tasks do not cost one each.
type workers struct {
	max     int
	perform func(task)
	running tracker

	mu       sync.Mutex
	busy     int
	starting bool // the goroutine that was started last has not taken a task yet
	queue    fifo
}

func newWorkers(most int, perform func(task)) *workers { return &workers{max: most, perform: perform} }

// submit takes a task and never blocks: when all workers are busy, the task
// waits.
func (w *workers) submit(t task) {
	w.mu.Lock()
	w.queue.push(t)
	more := w.hire()
	w.mu.Unlock()
	if more {
		go w.begin()
	}
}

// room is how many tasks would find a worker at once.
func (w *workers) room() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.max - w.busy - w.queue.len()
}

// hire decides whether one more goroutine is to be started. The caller holds the
// lock, and then starts it.
func (w *workers) hire() bool {
	if w.starting || w.busy >= w.max || w.queue.len() == 0 {
		return false
	}
	w.starting = true
	w.busy++
	w.running.add()
	return true
}

// begin is a new worker.
func (w *workers) begin() {
	w.mu.Lock()
	w.starting = false
	t, ok := w.take()
	more := w.hire()
	w.mu.Unlock()
	if more {
		go w.begin()
	}
	w.work(t, ok)
}

// work performs tasks until none waits.
func (w *workers) work(t task, ok bool) {
	returned := false
	defer func() {
		// Code that ends its goroutine takes this worker with it.
		if !returned {
			go w.work(w.next())
		}
	}()
	for ; ok; t, ok = w.next() {
		w.perform(t)
	}
	returned = true
	w.running.done()
}

// next returns a task that waits; without one the worker is over.
func (w *workers) next() (task, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.take()
}

// take is next, with the lock held.
func (w *workers) take() (task, bool) {
	t, ok := w.queue.pop()
	if !ok {
		w.busy--
	}
	return t, ok
}

// waiting returns the tasks that wait.
func (w *workers) waiting() []task {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.queue.waiting())
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

func (f *fifo) len() int { return len(f.tasks) - f.head }

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

// waiting are the tasks in the queue, until it changes.
func (f *fifo) waiting() []task { return f.tasks[f.head:] }

func (f *fifo) takeAll() []task {
	tasks := f.waiting()
	*f = fifo{}
	return tasks
}
