package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/elasticjob-go/elasticjob/core/job"
)

// readDependencies reads the list of jobs that a job runs after.
func (r *reader) readDependencies(g group, to *[]job.Dependency) {
	const form = "a list of mappings such as - {job: orders, on: SUCCESS}"
	found, ok := g.pick(keyDependsOn)
	if !ok || found.value.empty() {
		return
	}
	path := g.pathOf(keyDependsOn)
	r.record(path, found)
	if found.value.kind != sequence {
		r.reportBroken(path, found.value.at, ruleType, r.label(path)+" must be "+form+", not "+r.show(found.value))
		return
	}
	for i, item := range found.value.items {
		at := append(slices.Clone(path), strconv.Itoa(i))
		r.record(at, entry{at: item.at, value: item})
		if item.kind != mapping {
			r.reportBroken(path, item.at, ruleType, r.label(path)+" must be "+form+", not with "+r.show(item))
			continue
		}
		d := job.Dependency{On: job.OnSuccess}
		of := r.scatter(at, r.layout.dependency, item.entries)
		of.str(keyDependency, &d.Job)
		of.str(keyOn, &d.On)
		if slices.ContainsFunc([]string{keyDependency, keyOn}, func(key string) bool { return r.broken[joined(of.pathOf(key))] }) {
			r.broken[joined(path)] = true // reported: an empty one is not wrong as well
		}
		*to = append(*to, d)
	}
}

// checkDependencies finds dependencies on jobs that the file does not have or that do
// not tell when a run ends, circles, and runs that never meet.
func (k *checks) checkDependencies() {
	byName := make(map[string]job.Config)
	for _, c := range k.Jobs {
		byName[c.Name] = c
	}
	for _, c := range k.Jobs {
		path := []string{keyJobs, c.Name, keyDependsOn}
		if k.isBroken(path...) {
			continue
		}
		for i, d := range c.DependsOn {
			at := append(slices.Clone(path), strconv.Itoa(i), keyDependency)
			up, exists := byName[d.Job]
			switch {
			case d.Job == "" || d.Job == c.Name:
			case !exists:
				message := k.label(path) + " names a job that the file does not have: " + quote(d.Job)
				if near, ok := Suggest(d.Job, k.jobNames()); ok {
					message += "; did you mean " + near + "?"
				}
				k.add(ruleUnknownName, message, at...)
			case !up.IsOneOff() && !up.MonitorExecution:
				k.add(ruleConflict, k.label(path)+" names "+quote(d.Job)+", which has no monitorExecution: without marks nobody knows when its runs end", at...)
			}
		}
	}
	for _, circle := range job.Circles(k.Jobs) {
		path := []string{keyJobs, circle[0], keyDependsOn}
		k.add(ruleConflict, k.label(path)+" closes a circle: "+strings.Join(circle, " -> "), path...)
	}
}

// noteMeetings leaves a note for each job that waits for runs of jobs whose schedules
// differ: it runs only where they name the same instant.
func (r *reader) noteMeetings() {
	if len(job.Circles(r.cfg.Jobs)) > 0 {
		return
	}
	begin := roots{byName: make(map[string]job.Config), found: make(map[string]job.Config)}
	for _, c := range r.cfg.Jobs {
		begin.byName[c.Name] = c
	}
	for _, c := range r.cfg.Jobs {
		if len(c.DependsOn) < 2 {
			continue
		}
		first := begin.of(c.DependsOn[0].Job)
		for _, d := range c.DependsOn[1:] {
			other := begin.of(d.Job)
			if first.Name == "" || other.Name == "" || first.Cron == other.Cron && first.TimeZone == other.TimeZone && first.Every == other.Every && first.At.Equal(other.At) {
				continue
			}
			path := []string{keyJobs, c.Name, keyDependsOn}
			r.cfg.Notes = append(r.cfg.Notes, r.cfg.problem(job.RuleSchedule, fmt.Sprintf(
				"%s waits for runs that begin with %s and with %s, whose schedules differ: it runs only at instants of both, and is skipped at the others",
				r.label(path), first.Name, other.Name), path))
			break
		}
	}
}

// roots finds with which jobs the runs of others begin. Ways may part and meet again
// many times, so what is found is kept.
type roots struct {
	byName, found map[string]job.Config
}

// of is the first job with a schedule that a job depends on, or the job itself; one
// without name if there is none.
func (r roots) of(name string) job.Config {
	root, isKnown := r.found[name]
	if isKnown {
		return root
	}
	r.found[name] = root // a job that names itself is reported elsewhere
	c := r.byName[name]
	if !c.IsOneOff() {
		root = c
	}
	for _, up := range c.Upstreams() {
		if root.Name == "" {
			root = r.of(up)
		}
	}
	r.found[name] = root
	return root
}

func (k *checks) jobNames() []string {
	names := make([]string, len(k.Jobs))
	for i, c := range k.Jobs {
		names[i] = c.Name
	}
	return names
}
