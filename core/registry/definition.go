package registry

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// JobDefinition is a job as its author wrote it. The registry center looks at
// the flags only; Config is the caller's.
type JobDefinition struct {
	Name string
	// Config is at most 64 KiB.
	Config []byte
	// Items is the number of sharding items, 1 to MaxItems.
	Items int
	// Monitored firings are begun and completed here; others use the assignment
	// alone and ask nothing.
	Monitored bool
	// Misfire says that an item which was still running catches up once.
	Misfire bool
	// Failover queues what a dead node left for another one.
	Failover bool
	// Disabled is the state a new job starts in. Later it counts only when it
	// changes.
	Disabled bool
	// Overwrite replaces whatever is stored.
	Overwrite bool
	// DependsOn are the jobs after whose runs the job runs, at most MaxDependencies.
	DependsOn []Dependency
	// ExpectVersion, if not zero, replaces exactly this stored version. With
	// neither, the registry center wins.
	ExpectVersion int64
}

// PutOutcome says what became of a definition.
type PutOutcome string

// The outcomes of PutJobs.
const (
	// PutCreated: the job is new.
	PutCreated PutOutcome = "created"
	// PutUpdated: the stored definition was replaced.
	PutUpdated PutOutcome = "updated"
	// PutUnchanged: the stored definition was the same.
	PutUnchanged PutOutcome = "unchanged"
	// PutKept: the stored definition differs and stays.
	PutKept PutOutcome = "kept"
	// PutConflict: the stored version is not the expected one; it stays.
	PutConflict PutOutcome = "conflict"
)

// PutResult is the answer to one definition.
type PutResult struct {
	Name    string
	Outcome PutOutcome
	// Config, Version and Generation are what is stored now.
	Config     []byte
	Version    int64
	Generation int64
}

// JobState is a job as the registry center has it.
type JobState struct {
	// Definition has no Overwrite and no ExpectVersion.
	Definition JobDefinition
	// Version is the definition's; it was stored at Updated. Instants before then
	// followed an earlier definition.
	Version int64
	Updated time.Time
	// Generation is the assignment's, zero before the first one.
	Generation int64
	// Enabled is the desired state of the whole job.
	Enabled bool
	// DisabledItems never run; DisabledServers (see ServerName) run none of the
	// job's items and should own none.
	DisabledItems   Items
	DisabledServers []string
	// StoppedServers are those of DisabledServers where AuthorErrorHandler has
	// disabled it.
	StoppedServers []string
	// Owners are the items of each instance. The empty id has those that nobody
	// may run.
	Owners map[string]Items
	// Assigned is how many items Owners has, and How the strategy is like that gave
	// them, as of the last commit; a job that broadcasts has other items than its
	// definition says.
	Assigned int
	How      How
}

// Total is the number of items of the job: those of its definition, or of a job
// that broadcasts those that are assigned.
func (s *JobState) Total() int {
	if s.How == HowBroadcast {
		return s.Assigned
	}
	return s.Definition.Items
}

// PutJobs stores definitions, fifty in a script, and answers each in its order.
// A changed job becomes dirty. An error leaves those of the results done.
func (p *Partition) PutJobs(ctx context.Context, jobs []JobDefinition) (results []PutResult, err error) {
	results = make([]PutResult, 0, len(jobs))
	for batch := range batches(jobs) {
		done, names := results, make([]string, 0, len(batch))
		args := []any{len(batch)}
		for _, j := range batch {
			if err := j.check(); err != nil {
				return results, fmt.Errorf("storing job %s: %w", clip(j.Name), err)
			}
			names = append(names, j.Name)
			args = append(args, j.Name, j.Config, j.Items, bit(j.Monitored), bit(j.Misfire), bit(j.Failover),
				bit(j.Disabled), bit(j.Overwrite), j.ExpectVersion, formatDependencies(j.DependsOn))
		}
		r, err := p.call(ctx, p.scripts.put, p.keys.with(names...), args...)
		if err != nil {
			return results, fmt.Errorf("storing %s: %w", describeJobs(names), err)
		}
		for _, j := range batch {
			r.list(func(one *reply) { results = append(results, readPut(one, j)) })
		}
		if err := r.end(); err != nil {
			return done, fmt.Errorf("storing %s: %w", describeJobs(names), err)
		}
	}
	return results, nil
}

func (j *JobDefinition) check() error {
	if err := checkName(j.Name); err != nil {
		return err
	}
	if j.Items < 1 || j.Items > MaxItems {
		return fmt.Errorf("%d items, want 1 to %d", j.Items, MaxItems)
	}
	if len(j.Config) == 0 || len(j.Config) > maxDefinition {
		return fmt.Errorf("a definition of %d bytes, want 1 to %d", len(j.Config), maxDefinition)
	}
	if j.ExpectVersion < 0 || j.ExpectVersion > maxNumber {
		return fmt.Errorf("version %d is out of range", j.ExpectVersion)
	}
	return checkDependencies(j.Name, j.DependsOn)
}

func readPut(r *reply, j JobDefinition) PutResult {
	p := PutResult{Name: j.Name, Outcome: PutOutcome(r.text()), Version: r.number(), Generation: r.number()}
	stored := r.text()
	switch p.Outcome {
	case PutCreated, PutUpdated, PutUnchanged:
		p.Config = j.Config
	case PutKept, PutConflict:
		p.Config = []byte(stored)
	default:
		r.fail("unknown outcome %q", clip(string(p.Outcome)))
	}
	return p
}

// RemoveJobs removes jobs with their assignments, marks and states; unknown ones
// are passed over. It returns how many there were. Items that run go on.
func (p *Partition) RemoveJobs(ctx context.Context, names ...string) (int, error) {
	removed := 0
	for batch := range batches(names) {
		args := []any{len(batch)}
		for _, name := range batch {
			if err := checkName(name); err != nil {
				return removed, fmt.Errorf("removing jobs: %w", err)
			}
			args = append(args, name)
		}
		r, err := p.call(ctx, p.scripts.remove, p.keys.with(batch...), args...)
		if err != nil {
			return removed, fmt.Errorf("removing %s: %w", describeJobs(batch), err)
		}
		removed += int(r.number())
		if err := r.end(); err != nil {
			return removed, fmt.Errorf("removing %s: %w", describeJobs(batch), err)
		}
	}
	return removed, nil
}

// JobNames are the names of all jobs, sorted.
func (p *Partition) JobNames(ctx context.Context) ([]string, error) {
	names, err := p.config.Client.HKeys(ctx, p.keys.jobs()).Result()
	if err != nil {
		return nil, fmt.Errorf("reading the names of the jobs: %w", err)
	}
	for _, name := range names {
		if err := checkName(name); err != nil {
			return nil, fmt.Errorf("reading the names of the jobs: %w", err)
		}
	}
	slices.Sort(names)
	return names, nil
}

// JobsError says which jobs of several cannot be read, because what is stored of
// them is none of this version's.
type JobsError struct {
	// ByJob has the error of each.
	ByJob map[string]error
}

// Error names the first of the jobs.
func (e *JobsError) Error() string {
	names := slices.Sorted(maps.Keys(e.ByJob))
	text := fmt.Sprintf("reading job %s: %v", names[0], e.ByJob[names[0]])
	if len(names) > 1 {
		text += fmt.Sprintf("; and %d more jobs", len(names)-1)
	}
	return text
}

// Jobs reads jobs; unknown ones are left out. Each is consistent in itself. With
// a [*JobsError] come the jobs that could be read.
func (p *Partition) Jobs(ctx context.Context, names ...string) ([]JobState, error) {
	states := make([]JobState, 0, len(names))
	bad := make(map[string]error)
	for batch := range batches(names) {
		fields := make([]*redis.MapStringStringCmd, 0, 3*len(batch))
		_, err := p.config.Client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, name := range batch {
				fields = append(fields, pipe.HGetAll(ctx, p.keys.job(name)),
					pipe.HGetAll(ctx, p.keys.assignments(name)), pipe.HGetAll(ctx, p.keys.states(name)))
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", describeJobs(batch), err)
		}
		for i, name := range batch {
			if len(fields[3*i].Val()) == 0 {
				continue
			}
			s, err := readJob(name, fields[3*i].Val(), fields[3*i+1].Val(), fields[3*i+2].Val())
			if err != nil {
				bad[name] = err
				continue
			}
			states = append(states, s)
		}
	}
	if len(bad) > 0 {
		return states, &JobsError{bad}
	}
	return states, nil
}

// Job reads one job; one that is not there is ErrUnknownJob.
func (p *Partition) Job(ctx context.Context, name string) (JobState, error) {
	states, err := p.Jobs(ctx, name)
	if err != nil {
		return JobState{}, err
	}
	if len(states) == 0 {
		return JobState{}, fmt.Errorf("reading job %s: %w", clip(name), ErrUnknownJob)
	}
	return states[0], nil
}

func readJob(name string, j, owners, states map[string]string) (JobState, error) {
	r := &reply{source: "j:" + name, values: []any{
		j["cfg"], j["n"], j["mon"], j["mis"], j["fo"], j["dis"], j["cver"], j["upd"], j["gen"], j["dn"],
		cmp.Or(j["an"], "0"), j["up"],
	}}
	s := JobState{
		Definition: JobDefinition{
			Name: name, Config: []byte(r.text()), Items: int(r.number()), Monitored: r.flag(), Misfire: r.flag(),
			Failover: r.flag(), Disabled: r.flag(),
		},
		Version: r.number(), Updated: r.instant(), Generation: r.number(), DisabledItems: r.items(),
		Assigned: int(r.number()), How: How(j["how"]), Enabled: j["st"] == "E", Owners: make(map[string]Items, len(owners)),
	}
	s.Definition.DependsOn = r.dependencies()
	if err := r.end(); err != nil {
		return JobState{}, err
	}
	if err := s.Definition.check(); err != nil {
		return JobState{}, err
	}
	for id, text := range owners {
		groups, err := parseGroups(text)
		if err != nil {
			return JobState{}, fmt.Errorf("items of %s: %w", strconv.Quote(clip(id)), err)
		}
		s.Owners[id] = union(groups)
	}
	for _, scope := range slices.Sorted(maps.Keys(states)) {
		if server, ok := strings.CutPrefix(scope, "node:"); ok {
			s.DisabledServers = append(s.DisabledServers, server)
			if strings.HasPrefix(states[scope], "D,"+AuthorErrorHandler+",") {
				s.StoppedServers = append(s.StoppedServers, server)
			}
		}
	}
	return s, nil
}

func intersection(a, b Items) Items {
	var both []int
	for item := range a.All() {
		if b.Contains(item) {
			both = append(both, item)
		}
	}
	return NewItems(both...)
}

func union(groups []ItemsAt) Items {
	if len(groups) == 1 {
		return groups[0].Items
	}
	var all []int
	for _, g := range groups {
		all = slices.AppendSeq(all, g.Items.All())
	}
	return NewItems(all...)
}
