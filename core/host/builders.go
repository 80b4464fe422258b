package host

import (
	"sync"
	"time"
)

// builderPatience is how long one task may keep the others waiting.
const builderPatience = time.Second

// builders runs tasks one after the other, as each may read files and compile.
// One that takes long is left to itself, and the others go on. It is safe for
// concurrent use.
type builders struct {
	// spawn runs a function in a goroutine.
	spawn func(func())

	mu       sync.Mutex
	tasks    []func()
	isAtWork bool // somebody takes the next task before long
}

// add runs a task in the background.
func (b *builders) add(task func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tasks = append(b.tasks, task)
	b.hire()
}

// hire sees to it that the tasks are done. The caller holds the lock.
func (b *builders) hire() {
	if !b.isAtWork && len(b.tasks) > 0 {
		b.isAtWork = true
		b.spawn(b.work)
	}
}

func (b *builders) work() {
	for {
		b.mu.Lock()
		if len(b.tasks) == 0 {
			b.isAtWork = false
			b.mu.Unlock()
			return
		}
		task := b.tasks[0]
		b.tasks = b.tasks[1:]
		b.mu.Unlock()
		if b.isSlow(task) {
			return // another one has taken over
		}
	}
}

// isSlow runs a task and reports whether the others did not wait for its end.
func (b *builders) isSlow(task func()) bool {
	patience := time.AfterFunc(builderPatience, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.isAtWork = false
		b.hire()
	})
	task()
	return !patience.Stop()
}
