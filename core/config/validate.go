package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/elasticjob-go/elasticjob/core/job"
)

// Bounds of a node's configuration.
const (
	maxShutdownGrace = 24 * time.Hour
	maxRunningItems  = 1_000_000
	maxLabels        = 64
	maxLabelSize     = 256

	allowedTimeout = "more than 0 and at most 87600h"
	allowedBackoff = "at least 1ms and at most 5m"
)

// Validate returns everything that is wrong with a configuration, sorted by
// place: what was wrong with the file that it was read from, and what is wrong
// with its values as they are now.
func (c Config) Validate() Problems {
	found := slices.Clone(c.read.problems)
	if c.Readable() {
		found = append(found, c.check()...)
	}
	return found.Sort()
}

// checks collects the problems of the values of a configuration.
type checks struct {
	Config
	found Problems
}

// isBroken says whether the reader has reported why there is no value at a path.
func (k *checks) isBroken(path ...string) bool {
	return slices.ContainsFunc([]int{len(path), 1}, func(n int) bool { return k.read.broken[joined(path[:n])] })
}

func (k *checks) add(rule, message string, path ...string) {
	k.found = append(k.found, k.problem(rule, message, path))
}

// must adds a problem when a value is not sound. Allowed says what it must be.
func (k *checks) must(sound bool, rule, allowed string, value any, path ...string) {
	if sound || k.isBroken(path...) {
		return
	}
	shown := k.places[joined(path)].shown
	if shown == "" {
		shown = fmt.Sprint(value)
	}
	k.add(rule, k.label(path)+" must be "+allowed+", not "+quote(shown), path...)
}

// require adds a problem when a value is missing.
func (k *checks) require(given bool, allowed string, path ...string) {
	if !given && !k.isBroken(path...) {
		k.add(ruleRequired, k.label(path)+" is required: "+allowed, path...)
	}
}

// check finds problems of values, leaving out those that the reader has reported.
func (c Config) check() Problems {
	k := &checks{Config: c}
	k.must(c.DataDir == "" || filepath.IsAbs(c.DataDir), ruleType, "an absolute path", c.DataDir, keyDataDir)
	k.must(c.ShutdownGrace >= 0 && c.ShutdownGrace <= maxShutdownGrace, ruleRange,
		"0 to 86400000", c.ShutdownGrace.Milliseconds(), keyShutdownGrace)
	k.must(c.MaxRunningItems >= 1 && c.MaxRunningItems <= maxRunningItems, ruleRange,
		"1 to 1000000", c.MaxRunningItems, keyMaxRunningItems)
	k.must(c.OnZombie == ZombieLog || c.OnZombie == ZombieExit, ruleType, ZombieLog+" or "+ZombieExit, c.OnZombie, keyOnZombie)
	k.checkInstance()
	k.checkRegCenter()
	k.checkPlugins()
	k.checkTracing()
	k.checkSecrets()
	k.checkJobs()
	return k.found
}

func (k *checks) checkJobs() {
	names := map[string]bool{}
	for _, definition := range k.Jobs {
		path := []string{keyJobs, definition.Name}
		if names[definition.Name] {
			k.add(ruleDuplicateKey, k.label(path)+" is given twice", path...)
		}
		names[definition.Name] = true
		for _, p := range definition.Validate() {
			if problem, ok := k.ofJob(definition.Name, p); ok {
				k.found = append(k.found, problem)
			}
		}
	}
	k.checkDependencies()
}

func (k *checks) checkInstance() {
	of := func(keys ...string) []string { return append([]string{keyInstance}, keys...) }
	i := k.Instance
	k.must(i.ID == "" || regexp.MustCompile(`^[A-Za-z0-9._:-]{1,100}$`).MatchString(i.ID), ruleName,
		"1 to 100 of the characters A-Z a-z 0-9 . _ : -", i.ID, of(keyID)...)
	if _, err := compileIP(i.PreferredNetworkIP); err != nil {
		k.must(false, ruleType, "the beginning of an address (10.0.), one with * in it (10.0.*) or a regular expression", i.PreferredNetworkIP, of(keyIP)...)
	}
	k.must(i.PreferredNetworkInterface == "" || isToken(i.PreferredNetworkInterface, maxLabelSize), ruleName,
		"the name of a network interface", i.PreferredNetworkInterface, of(keyInterface)...)

	path := of(keyLabels)
	if len(i.Labels) > maxLabels {
		k.add(ruleSize, fmt.Sprintf("an instance has at most %d labels", maxLabels), path...)
	}
	for name, value := range i.Labels {
		at := of(keyLabels, name)
		if name == "" || len(name) > maxLabelSize || strings.ContainsAny(name, " \t\n") || !utf8.ValidString(name) {
			k.add(ruleName, "the name of a label must be 1 to 256 bytes without white space, not "+quote(name), at...)
		}
		if len(value) > maxLabelSize || !utf8.ValidString(value) {
			k.add(ruleSize, k.label(at)+" must be UTF-8 text of at most 256 bytes", at...)
		}
	}
}

// fieldName is what package job calls the name, which is no key in the file.
const fieldName = "jobName"

// ofJob gives a problem of a job definition its place. It is false when the
// reader has reported why the value is what it is.
func (c Config) ofJob(name string, p job.Problem) (Problem, bool) {
	of := func(field string) []string {
		if prop, ok := strings.CutPrefix(field, keyProps+"."); ok {
			return []string{keyJobs, name, keyProps, prop}
		}
		return []string{keyJobs, name, field}
	}
	path := of(p.Field)
	if p.Field == "" || p.Field == fieldName {
		path = path[:2]
	}
	at := c.places[joined(path)]
	secret := at.secret
	if c.read.broken[joined(path)] || c.read.broken[joined(path[:2])] {
		return Problem{}, false
	}
	for _, field := range p.Related {
		if c.read.broken[joined(of(field))] {
			return Problem{}, false
		}
		secret = secret || c.places[joined(of(field))].secret
	}
	rule, message := p.Rule, p.Message
	mustBe := "must be " + p.Allowed + ", not "
	switch {
	case secret && !at.secret && p.Allowed != "":
		message = mustBe + quote(at.shown)
	case secret && p.Allowed != "":
		message = "comes from a placeholder (" + quote(at.shown) + ") whose value must be " + p.Allowed
	case p.Rule == job.RuleRequired && at.shown != "":
		rule, message = ruleRange, mustBe+quote(at.shown)
	case slices.Contains([]string{"every", keyTimeout, "at"}, p.Field) && at.shown != "" && strings.HasPrefix(message, mustBe):
		message = mustBe + quote(at.shown) // as the file writes it
	}
	what := c.label(path) + " "
	switch p.Field {
	case fieldName:
		what = c.label(path) + ": the name "
	case "":
		what = c.label(path) + ": "
	}
	problem := c.problem(rule, what+message, path)
	if len(path) == 2 {
		problem.Line, problem.Column = at.key.Line, at.key.Column
	}
	if !secret && p.Column > 0 && c.read.source != nil {
		problem.Column += c.read.source.within(at, p.Column)
	}
	return problem, true
}

// within returns how far to the right of a value's beginning its column is, 0
// when the value does not stand in the file as it is.
func (s source) within(at place, column int) int {
	if at.shown == "" || at.value.Line == 0 || strings.Contains(at.shown, "\n") {
		return 0
	}
	line := []rune(s.line(at.value.Line))
	rest := string(line[min(at.value.Column-1, len(line)):])
	switch {
	case strings.HasPrefix(rest, at.shown):
		return column - 1
	case rest != "" && strings.ContainsAny(rest[:1], `"'`) && strings.HasPrefix(rest[1:], at.shown):
		return column
	}
	return 0
}
