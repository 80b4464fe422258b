package execution

import (
	"iter"
	"maps"
)

// Progress is how far an item says it is.
type Progress struct {
	// Done of Total are done, in units of the job. Total is zero when it is not
	// known.
	Done, Total int64
	Message     string
}

// kept is what a running item has left with its node.
type kept struct {
	progress   Progress
	checkpoint []byte
}

// RunningItem is an item whose code runs here, or waits for room, for the listeners
// of its run or for its next attempt.
type RunningItem struct {
	// Run is the id of its run.
	Run string
	// Progress is what it has reported last.
	Progress Progress
	// Checkpoint is what it has saved last, nil if nothing.
	Checkpoint []byte
}

// Running yields the items that run here.
func (j *Job) Running() iter.Seq2[int, RunningItem] {
	j.mu.Lock()
	defer j.mu.Unlock()
	running := make(map[int]RunningItem, j.busy)
	for item, r := range j.running {
		if r == nil {
			continue
		}
		one := RunningItem{Run: r.id}
		if k := j.kept[item]; k != nil {
			one.Progress, one.Checkpoint = k.progress, k.checkpoint
		}
		running[item] = one
	}
	return maps.All(running)
}

// keep notes something of an item. It reports false when this attempt of the run
// has ended.
func (j *Job) keep(r *run, item, attempt int, note func(*kept)) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.isBusy(item) || j.running[item] != r || j.attemptOf(item) != attempt {
		return false
	}
	note(j.keptOf(item))
	return true
}

// keptOf is what an item has left, and where more is to go. The caller holds the lock.
func (j *Job) keptOf(item int) *kept {
	if j.kept == nil {
		j.kept = make(map[int]*kept)
	}
	k := j.kept[item]
	if k == nil {
		k = &kept{}
		j.kept[item] = k
	}
	return k
}
