package registry

import "slices"

// ledger is what an onlooker knows of jobs that run after others: what began, what
// ended and how, and what has to follow from that. It knows nothing of keys and
// scripts.
type ledger struct {
	jobs map[string]*ledgerJob
}

type ledgerJob struct {
	items   int
	on      []Dependency
	enabled bool
	// waiting are the items that are queued, by the run that they wait for.
	waiting map[int]string
	runs    map[string]*ledgerRun
}

// ledgerRun is a run of a job that has begun, waits for others, or is skipped.
type ledgerRun struct {
	// open are the items that have begun or are queued and have not ended.
	open map[int]bool
	// bad says that an item did not succeed.
	bad bool
	// starts counts how often each item began, but for those given back.
	starts map[int]int
	// began is false while the run waits for others, and when it is skipped.
	began  bool
	reason SkipReason
	heard  map[string]RunOutcome
	// closed says that the registry has told of its end.
	closed bool
}

func newLedgerRun() *ledgerRun {
	return &ledgerRun{open: map[int]bool{}, starts: map[int]int{}, heard: map[string]RunOutcome{}}
}

func (l *ledger) run(job, run string) *ledgerRun {
	j := l.jobs[job]
	if j.runs[run] == nil {
		j.runs[run] = newLedgerRun()
	}
	return j.runs[run]
}

// down are the jobs that depend on one.
func (l *ledger) down(job string) []string {
	var names []string
	for name, j := range l.jobs {
		if slices.ContainsFunc(j.on, func(d Dependency) bool { return d.Job == job }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// queue lets all items of a job that do not wait yet wait for a run.
func (l *ledger) queue(job, run string) Items {
	j, r := l.jobs[job], l.run(job, run)
	var accepted []int
	for item := range j.items {
		if _, waits := j.waiting[item]; !waits && j.enabled {
			j.waiting[item] = run
			r.open[item] = true
			accepted = append(accepted, item)
		}
	}
	r.began = r.began || len(accepted) > 0
	return NewItems(accepted...)
}

// arrive is what becomes of a run when the job hears of one before it.
func (l *ledger) arrive(a Arrival) ArrivalReply {
	j, r := l.jobs[a.Job], l.run(a.Job, a.Run)
	switch {
	case r.reason != "":
		return ArrivalReply{Stage: RunEnded, Reason: r.reason}
	case len(r.heard) == len(j.on):
		return ArrivalReply{Stage: RunOpen}
	}
	if _, again := r.heard[a.From]; !again {
		r.heard[a.From] = a.Outcome
	}
	if len(r.heard) < len(j.on) {
		return ArrivalReply{Stage: RunWaits}
	}
	for _, d := range j.on {
		if got := r.heard[d.Job]; d.On != OnAlways && byte(got) != byte(d.On) {
			r.reason = SkippedUpstream
			return ArrivalReply{Stage: RunEnded, Reason: r.reason}
		}
	}
	if r.began {
		return ArrivalReply{Stage: RunOpen} // somebody has triggered it by this id
	}
	if l.queue(a.Job, a.Run).Len() == 0 {
		r.reason = SkippedItemsBusy
		if !j.enabled {
			r.reason = SkippedJobDisabled
		}
		return ArrivalReply{Stage: RunEnded, Reason: r.reason}
	}
	return ArrivalReply{Stage: RunOpen}
}

// outcome is how a run has ended.
func (r *ledgerRun) outcome() RunOutcome {
	switch {
	case r.reason != "":
		return RunSkipped
	case r.bad:
		return RunFailed
	default:
		return RunSucceeded
	}
}

// unfinished is what the runs of the job at the beginning must have led to and have
// not, as one line each.
func (l *ledger) unfinished(first string, order []string) []string {
	var wrong []string
	for run, r := range l.jobs[first].runs {
		if !r.began {
			continue
		}
		for _, name := range order {
			one := l.jobs[name].runs[run]
			switch {
			case one == nil || !one.closed:
				wrong = append(wrong, name+" "+run+" has not ended")
			case one.reason == "" && len(one.starts) == 0:
				wrong = append(wrong, name+" "+run+" neither ran nor was skipped")
			case one.reason != "" && len(one.starts) > 0:
				wrong = append(wrong, name+" "+run+" ran and was skipped: "+string(one.reason))
			}
			for _, d := range l.jobs[name].on {
				if up := l.jobs[d.Job].runs[run]; one != nil && up != nil && one.heard[d.Job] != up.outcome() {
					wrong = append(wrong, name+" "+run+" heard "+string(one.heard[d.Job])+" of "+d.Job+", which ended as "+string(up.outcome()))
				}
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}
