package job

import (
	"slices"
	"strings"
)

// MaxDependencies is the greatest number of jobs that one job depends on.
const MaxDependencies = 100

// When a job runs after another one.
const (
	// OnSuccess runs it after a run of which every item has succeeded.
	OnSuccess = "SUCCESS"
	// OnFailure runs it after a run of which an item has not.
	OnFailure = "FAILURE"
	// OnAlways runs it after every run, also one that was skipped.
	OnAlways = "ALWAYS"
)

// AllowedOn says what the On of a dependency may be, as a noun phrase.
const AllowedOn = OnSuccess + ", " + OnFailure + " or " + OnAlways

// Dependency is a job after whose runs another one runs.
type Dependency struct {
	// Job is the name of the job.
	Job string `json:"job"`
	// On is OnSuccess, OnFailure or OnAlways.
	On string `json:"on"`
}

// Upstreams are the names of the jobs that the job depends on.
func (c Config) Upstreams() []string {
	names := make([]string, len(c.DependsOn))
	for i, d := range c.DependsOn {
		names[i] = d.Job
	}
	return names
}

// checkDependencies finds what is wrong with DependsOn by itself: whether the jobs
// exist is not known here.
func (c Config) checkDependencies() []Problem {
	const field = "dependsOn"
	var found []Problem
	add := func(rule, message string, related ...string) {
		found = append(found, Problem{Field: field, Related: related, Rule: rule, Message: message})
	}
	if len(c.DependsOn) == 0 {
		return nil
	}
	if !c.IsOneOff() {
		add(RuleSchedule, "cannot be given together with cron, every or at: the job runs after other jobs", "cron", "every", "at")
	}
	if len(c.DependsOn) > MaxDependencies {
		add(RuleRange, "must have at most 100 elements")
	}
	seen := make(map[string]bool)
	for _, d := range c.DependsOn {
		switch {
		case !isName(d.Job):
			found = append(found, Problem{Field: field, Rule: RuleName, Allowed: allowedJob, Message: "must name " + allowedJob + ", not " + quote(d.Job)})
		case d.Job == c.Name:
			add(RuleConflict, "names the job itself: "+c.Name+" -> "+c.Name)
		case seen[d.Job]:
			add(RuleConflict, "names "+quote(d.Job)+" twice")
		}
		seen[d.Job] = true
		if !slices.Contains([]string{OnSuccess, OnFailure, OnAlways}, d.On) {
			found = append(found, Problem{Field: field, Rule: RuleType, Allowed: AllowedOn, Message: "must have an on of " + AllowedOn + ", not " + quote(d.On)})
		}
	}
	return found
}

const allowedJob = "a job of " + allowedName

// isName says whether text can be the name of a job.
func isName(text string) bool {
	return text != "" && len(text) <= MaxNameLength && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	})
}

// Circle is the way from a job along what it depends on back to itself, nil if there is
// none. upstreams names what a job depends on; it is asked once for each.
func Circle(from string, upstreams func(name string) []string) []string {
	seen := make(map[string]bool)
	var walk func(name string) []string
	walk = func(name string) []string {
		for _, up := range upstreams(name) {
			if up == from {
				return []string{name, from}
			}
			if seen[up] {
				continue
			}
			seen[up] = true
			if path := walk(up); path != nil {
				return append([]string{name}, path...)
			}
		}
		return nil
	}
	return walk(from)
}

// maxCircles bounds what Circles returns: circles that overlap can be many.
const maxCircles = 100

// Circles finds circles among what jobs depend on, each from its job that stands first
// and back to it. A job that names itself is none. Where circles share jobs, or are more
// than 100, some may be left out until the others are gone.
func Circles(jobs []Config) [][]string {
	place := make(map[string]int, len(jobs))
	for i, c := range jobs {
		place[c.Name] = i
	}
	var (
		circles [][]string
		path    []string               // to the job that is looked at
		depth   = make(map[string]int) // of a job in path, from 1; -1 once it has been looked at
		found   = make(map[string]bool)
		walk    func(c Config)
	)
	walk = func(c Config) {
		path = append(path, c.Name)
		depth[c.Name] = len(path)
		for _, up := range c.Upstreams() {
			i, exists := place[up]
			switch {
			case !exists || up == c.Name:
			case depth[up] == 0:
				walk(jobs[i])
			case depth[up] > 0 && !found[c.Name] && len(circles) < maxCircles:
				circle := path[depth[up]-1:]
				for _, name := range circle {
					found[name] = true
				}
				first := slices.Index(circle, slices.MinFunc(circle, func(a, b string) int { return place[a] - place[b] }))
				circles = append(circles, slices.Concat(circle[first:], circle[:first], circle[first:first+1]))
			}
		}
		path = path[:len(path)-1]
		depth[c.Name] = -1
	}
	for _, c := range jobs {
		if depth[c.Name] == 0 {
			walk(c)
		}
	}
	return circles
}
