package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxDependencies bounds the jobs that one job depends on.
const MaxDependencies = 100

// Condition says after which runs of a job another one runs.
type Condition byte

// The conditions.
const (
	// OnSuccess: after a run of which every item that began has succeeded.
	OnSuccess Condition = 'S'
	// OnFailure: after a run of which an item has failed, was cancelled or is lost.
	OnFailure Condition = 'F'
	// OnAlways: after every run, also one that was skipped.
	OnAlways Condition = 'A'
)

// Dependency is a job after whose runs another one runs.
type Dependency struct {
	Job string
	On  Condition
}

// RunOutcome says how a run of a job has ended.
type RunOutcome byte

// The outcomes of a run.
const (
	RunSucceeded RunOutcome = 'S'
	RunFailed    RunOutcome = 'F'
	// RunSkipped: nothing ran, because of a run before it or of the job itself.
	RunSkipped RunOutcome = 'K'
)

// RunStage says how far a run is.
type RunStage byte

// The stages of a run.
const (
	// RunWaits: it waits for runs of other jobs to end.
	RunWaits RunStage = 'W'
	// RunOpen: it has begun, or its items wait for their turn.
	RunOpen RunStage = 'O'
	// RunEnded: it has ended, and not all jobs that depend on it have heard.
	RunEnded RunStage = 'E'
	// RunTold: it has ended, and they have.
	RunTold RunStage = 'T'
)

// SkipReason says why a run was skipped.
type SkipReason string

// The reasons.
const (
	// SkippedUpstream: a run before it has not ended as the job demands.
	SkippedUpstream SkipReason = "upstream"
	// SkippedUpstreamMissing: so many runs waited for others that this one was given up.
	SkippedUpstreamMissing SkipReason = "upstream-missing"
	SkippedJobDisabled     SkipReason = "job-disabled"
	// SkippedItemsBusy: every item is disabled or waits for another trigger already.
	SkippedItemsBusy SkipReason = "items-busy"
	// SkippedNoItems: the job broadcasts, and no instance has an item.
	SkippedNoItems SkipReason = "no-items"
	// SkippedTooMany: too many triggers of the job are under way.
	SkippedTooMany SkipReason = "too-many"
)

// EndedRun is a run of which the jobs that depend on it are to hear.
type EndedRun struct {
	// Run is its run id.
	Run     string
	Outcome RunOutcome
	// Field is how the registry center knows it.
	Field string
}

// WaitingRun is a run that waits for runs of other jobs.
type WaitingRun struct {
	Run string
	// For are the jobs that have not told of theirs.
	For []string
}

// CloseRequest asks which runs of a job have ended.
type CloseRequest struct {
	Job string
	// Told are runs of which all jobs that depend on them have heard, by EndedRun.Field.
	Told []string
	// Leavers are jobs that do not depend on it any more.
	Leavers []string
}

// CloseReply is the answer to a CloseRequest.
type CloseReply struct {
	// At is the server's clock.
	At time.Time
	// Down are the jobs that depend on it.
	Down []string
	// Idle says that a run goes on only because items of it might yet begin.
	Idle    bool
	Ended   []EndedRun
	Waiting []WaitingRun
}

// RunsUnderWay names the jobs with runs that have not ended or of whose end others
// have not heard.
func (p *Partition) RunsUnderWay(ctx context.Context) ([]string, error) {
	names, err := p.config.Client.ZRange(ctx, p.keys.runs(), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("reading which runs are under way: %w", err)
	}
	for _, name := range names {
		if err := checkName(name); err != nil {
			return nil, fmt.Errorf("reading which runs are under way: %w", err)
		}
	}
	return names, nil
}

// CloseRuns ends runs that are over, fifty jobs in a script, and tells of each job in
// its order which of its runs have ended, until it is told that all have heard. A timed
// run is over when none of its items runs, waits for failover or is to be caught up,
// and no item that is enabled and has an owner can begin in it any more. It may be
// repeated; only the leader may call it.
func (p *Partition) CloseRuns(ctx context.Context, l Leadership, requests []CloseRequest) (replies []CloseReply, err error) {
	for batch := range batches(requests) {
		closed, names := replies, make([]string, 0, len(batch))
		args := []any{l.Lease.Instance, l.Lease.Epoch, l.Term, len(batch)}
		for _, c := range batch {
			if err := checkName(c.Job); err != nil {
				return replies, fmt.Errorf("closing runs: %w", err)
			}
			names = append(names, c.Job)
			args = append(args, c.Job)
			for _, list := range [][]string{c.Told, c.Leavers} {
				args = append(args, len(list))
				for _, one := range list {
					args = append(args, one)
				}
			}
		}
		r, err := p.call(ctx, p.scripts.close, p.keys.with(names...), args...)
		if err != nil {
			return replies, fmt.Errorf("closing runs of %s: %w", describeJobs(names), err)
		}
		at := r.instant()
		for range batch {
			r.list(func(one *reply) { replies = append(replies, readClose(one, at)) })
		}
		if err := r.end(); err != nil {
			return closed, fmt.Errorf("closing runs of %s: %w", describeJobs(names), err)
		}
	}
	return replies, nil
}

// readClose leaves a fault in r for its owner to find.
func readClose(r *reply, at time.Time) CloseReply {
	c := CloseReply{At: at, Down: r.names(), Idle: r.flag()}
	for n := r.number(); n > 0 && r.err == nil; n-- {
		e := EndedRun{Field: r.text(), Outcome: RunOutcome(r.letter("SFK"))}
		e.Run = r.runOf(e.Field)
		c.Ended = append(c.Ended, e)
	}
	for n := r.number(); n > 0 && r.err == nil; n-- {
		c.Waiting = append(c.Waiting, WaitingRun{Run: r.runOf(r.text()), For: r.names()})
	}
	return c
}

// names reads a comma list of jobs.
func (r *reply) names() []string {
	text := r.text()
	if text == "" {
		return nil
	}
	names := strings.Split(text, ",")
	for _, name := range names {
		if err := checkName(name); err != nil {
			r.fail("%v", err)
			return nil
		}
	}
	return names
}

// letter reads one of some letters.
func (r *reply) letter(of string) byte {
	text := r.text()
	if r.err == nil && (len(text) != 1 || !strings.Contains(of, text)) {
		r.fail("%q is none of %s", clip(text), of)
	}
	if r.err != nil {
		return 0
	}
	return text[0]
}

// runOf is the run id of a field.
func (r *reply) runOf(field string) string {
	if ms := parseNumber(field); ms >= 0 {
		return FormatRunID(instantOf(ms))
	}
	if err := checkManualRun(field); err != nil {
		r.fail("%v", err)
	}
	return field
}

// Arrival tells a job of the end of a run of another one.
type Arrival struct {
	// Job depends on From.
	Job, From string
	// Run is the run id.
	Run     string
	Outcome RunOutcome
	// AsOf is when this was so, as CloseReply.At. What is older than a minute is refused.
	AsOf time.Time
}

// ArrivalReply says what becomes of the run of the job that was told.
type ArrivalReply struct {
	// Stage is RunWaits, RunOpen or, if it is skipped, RunEnded.
	Stage RunStage
	// Reason is why it is skipped.
	Reason SkipReason
	// Accepted items run once each, as those of a manual trigger; Refused do not.
	Accepted Items
	Refused  []Refusal
}

// Errors of dependencies.
var (
	// ErrNoDependency: the job does not depend on the other one.
	ErrNoDependency = errors.New("no dependency")
	// ErrOldWord: what was told was true too long ago.
	ErrOldWord = errors.New("old word")
)

// Arrive tells a job that a run of one that it depends on has ended. When it has heard
// of all, its own run of the same id is queued, as by a manual trigger, or skipped: once,
// however often it is told. It needs no session. The errors are ErrUnknownJob,
// ErrNoDependency, ErrOldWord, ErrQuarantined and those of the connection.
func (p *Partition) Arrive(ctx context.Context, a Arrival) (ArrivalReply, error) {
	err := errors.Join(checkName(a.Job), checkName(a.From), checkManualRun(a.Run))
	if err != nil {
		return ArrivalReply{}, fmt.Errorf("telling job %s: %w", clip(a.Job), err)
	}
	r, err := p.call(ctx, p.scripts.arrive, p.keys.with(a.Job), a.Job, a.Run, a.From, string(a.Outcome), millis(a.AsOf))
	if err != nil {
		return ArrivalReply{}, fmt.Errorf("telling job %s: %w", a.Job, err)
	}
	var reply ArrivalReply
	switch r.code {
	case CodeOK:
		if reply.Stage = RunStage(r.letter("WOK")); reply.Stage == RunStage(RunSkipped) {
			reply.Stage = RunEnded
		}
		reply.Reason, reply.Accepted, reply.Refused = SkipReason(clip(r.text())), r.items(), r.refusals()
	case CodeUnknownJob:
		err = ErrUnknownJob
	case CodeNone:
		err = ErrNoDependency
	case CodeStale:
		err = ErrOldWord
	default:
		r.fail("unknown code %d", int(r.code))
	}
	if broken := r.end(); broken != nil {
		err = broken
	}
	if err != nil {
		return ArrivalReply{}, fmt.Errorf("telling job %s: %w", a.Job, err)
	}
	return reply, nil
}

// Link makes the end of the runs of a job, which may not exist yet, known to one that
// depends on it. It counts for runs that begin afterwards, and may be repeated.
func (p *Partition) Link(ctx context.Context, job, dependent string) error {
	if err := errors.Join(checkName(job), checkName(dependent)); err != nil {
		return fmt.Errorf("linking job %s: %w", clip(job), err)
	}
	r, err := p.call(ctx, p.scripts.link, p.keys.with(job), job, dependent)
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return fmt.Errorf("linking job %s to %s: %w", dependent, job, err)
	}
	return nil
}

// JobRun is a run on which other jobs wait, or that waits for them.
type JobRun struct {
	// Run is the run id.
	Run   string
	Stage RunStage
	// Since is when that stage began or, while it waits, was last told of another run.
	Since time.Time
	// Outcome is zero while the run has not ended.
	Outcome RunOutcome
	// Reason is why it was skipped.
	Reason SkipReason
	// Before are the outcomes of the runs that it has heard of, by job.
	Before map[string]RunOutcome
}

// JobRuns reads the runs of a job that have not ended, and those that ended within
// about an hour, in the order of their ids. Of a job on which none depends and that
// depends on none there are none.
func (p *Partition) JobRuns(ctx context.Context, job string) ([]JobRun, error) {
	if err := checkName(job); err != nil {
		return nil, fmt.Errorf("reading runs of job %s: %w", clip(job), err)
	}
	fields, err := p.config.Client.HGetAll(ctx, p.keys.dependents(job)).Result()
	if err != nil {
		return nil, fmt.Errorf("reading runs of job %s: %w", job, err)
	}
	var runs []JobRun
	for field := range fields {
		if field == "down" || strings.HasSuffix(field, "!") {
			continue
		}
		run, err := readJobRun(field, fields[field])
		if err != nil {
			return nil, fmt.Errorf("reading runs of job %s: %w", job, err)
		}
		runs = append(runs, run)
	}
	slices.SortFunc(runs, func(a, b JobRun) int { return strings.Compare(a.Run, b.Run) })
	return runs, nil
}

func readJobRun(field, text string) (JobRun, error) {
	parts := strings.Split(text, "|")
	if len(parts) != 5 {
		return JobRun{}, fmt.Errorf("run %q has %d parts", clip(field), len(parts))
	}
	r := &reply{source: "run " + clip(field), values: []any{parts[0], parts[1]}}
	run := JobRun{Run: r.runOf(field), Stage: RunStage(r.letter("WOET")), Since: r.instant(), Reason: SkipReason(clip(parts[4]))}
	if parts[2] != "" {
		r.values = append(r.values, parts[2])
		run.Outcome = RunOutcome(r.letter("SFK"))
	}
	for edge := range strings.SplitSeq(parts[3], ";") {
		if edge == "" {
			continue
		}
		name, letter, _ := strings.Cut(edge, "@")
		if err := checkName(name); err != nil || len(letter) != 1 {
			return JobRun{}, fmt.Errorf("run %q waits for %q", clip(field), clip(edge))
		}
		if run.Before == nil {
			run.Before = make(map[string]RunOutcome)
		}
		run.Before[name] = RunOutcome(letter[0])
	}
	return run, r.end()
}

func checkDependencies(job string, list []Dependency) error {
	if len(list) > MaxDependencies {
		return fmt.Errorf("it depends on %d jobs, want at most %d", len(list), MaxDependencies)
	}
	for i, d := range list {
		if err := checkName(d.Job); err != nil {
			return err
		}
		switch {
		case d.On != OnSuccess && d.On != OnFailure && d.On != OnAlways:
			return fmt.Errorf("condition %q is unknown", d.On)
		case d.Job == job:
			return errors.New("it depends on itself")
		case slices.ContainsFunc(list[:i], func(other Dependency) bool { return other.Job == d.Job }):
			return fmt.Errorf("it depends on job %s twice", d.Job)
		}
	}
	return nil
}

// Upstreams are the names of the jobs that the job depends on.
func (j *JobDefinition) Upstreams() []string {
	names := make([]string, len(j.DependsOn))
	for i, d := range j.DependsOn {
		names[i] = d.Job
	}
	return names
}

// formatDependencies writes "a@S,b@A".
func formatDependencies(list []Dependency) string {
	parts := make([]string, len(list))
	for i, d := range list {
		parts[i] = d.Job + "@" + string(d.On)
	}
	return strings.Join(parts, ",")
}

// dependencies reads what formatDependencies wrote.
func (r *reply) dependencies() []Dependency {
	text := r.text()
	if r.err != nil || text == "" {
		return nil
	}
	if len(text) > MaxDependencies*(maxName+3) {
		r.fail("dependencies of %d bytes", len(text))
		return nil
	}
	var list []Dependency
	for part := range strings.SplitSeq(text, ",") {
		name, letter, _ := strings.Cut(part, "@")
		if len(letter) != 1 {
			r.fail("dependency %q", clip(part))
			return nil
		}
		list = append(list, Dependency{Job: name, On: Condition(letter[0])})
	}
	return list
}
