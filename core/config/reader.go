package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The rules of this package; package job has those of its own.
const (
	ruleFile         = "file"
	ruleSyntax       = "syntax"
	ruleSize         = "size"
	ruleUnknownKey   = "unknown-key"
	ruleDuplicateKey = "duplicate-key"
	ruleConflict     = "conflict"
	ruleJavaOnly     = "java-only"
	ruleNotAvailable = "not-available"
	rulePlaceholder  = "placeholder"
	ruleRequired     = "required"
	ruleType         = "type"
	ruleRange        = "range"
	ruleName         = "name"
	ruleUnknownName  = "unknown-name"
	ruleIgnoredKey   = "ignored-key"
)

// maxExpanded bounds in bytes what the placeholders of one file grow to.
const maxExpanded = 16 << 20

// reader turns the tree of one file into a Config, collecting problems.
type reader struct {
	source   source
	layout   layout
	getenv   func(string) (string, bool)
	cfg      Config
	problems Problems
	// broken holds the paths whose values could not be read: what is wrong with
	// the defaults in their place is not worth a problem.
	broken map[string]bool
	// room is how many bytes placeholders may still grow to.
	room int
}

// read fills in the configuration from the root of the file.
func (r *reader) read(root *node) {
	if root.empty() {
		r.report(r.source.place(1, 1), ruleRequired, "the file is empty; a configuration stands under the key elasticjob")
		return
	}
	if root.kind != mapping {
		r.report(root.at, ruleType, "the file must be a mapping with the key elasticjob, not "+root.kind.String())
		return
	}
	var own, others []entry
	for _, e := range root.entries {
		if head, _, _ := strings.Cut(e.key, "."); head == keyElasticJob {
			own = append(own, e)
		} else {
			others = append(others, e)
		}
	}
	r.noteIgnored(others)
	if len(own) == 0 {
		message := "the file has no key elasticjob"
		for _, e := range others {
			if _, near := Suggest(e.key, []string{keyElasticJob}); near {
				message = fmt.Sprintf("%s; is it meant by %s in line %d?", message, quote(e.key), e.at.Line)
				break
			}
		}
		r.report(root.at, ruleRequired, message)
		return
	}
	top := r.scatter(nil, r.layout.root, own)
	r.cfg.places[""] = r.cfg.places[keyElasticJob]
	delete(r.cfg.places, keyElasticJob)
	r.readNode(r.scatter(nil, r.layout.node, r.open(nil, top.settings[keyElasticJob])))
}

// noteIgnored leaves one note for all top-level keys that are not ours.
func (r *reader) noteIgnored(others []entry) {
	if len(others) == 0 {
		return
	}
	const most = 5
	names := make([]string, 0, most)
	for _, e := range others[:min(most, len(others))] {
		names = append(names, quote(e.key))
	}
	if len(others) > most {
		names = append(names, fmt.Sprintf("%d more", len(others)-most))
	}
	r.cfg.Notes = append(r.cfg.Notes, Problem{
		File: r.cfg.File, Line: others[0].at.Line, Column: others[0].at.Column, Rule: ruleIgnoredKey,
		Message: "top-level keys other than elasticjob are left alone: " + strings.Join(names, ", "),
	})
}

func (r *reader) readNode(g group) {
	if dir, ok := g.text(keyDataDir); ok {
		r.cfg.DataDir = r.cfg.Resolve(dir)
	} else if dir, ok := DefaultDataDir(r.getenv); ok {
		r.cfg.DataDir = dir
	}
	g.milliseconds(keyShutdownGrace, &r.cfg.ShutdownGrace)
	g.integer(keyMaxRunningItems, &r.cfg.MaxRunningItems)
	g.str(keyOnZombie, &r.cfg.OnZombie)

	instance := r.scatter([]string{keyInstance}, r.layout.instance, g.open(keyInstance))
	instance.str(keyID, &r.cfg.Instance.ID)
	r.cfg.Instance.Labels = instance.plain(keyLabels)
	instance.str(keyIP, &r.cfg.Instance.PreferredNetworkIP)
	instance.str(keyInterface, &r.cfg.Instance.PreferredNetworkInterface)
	r.cfg.RegCenter = r.readRegCenter(g.settings[keyRegCenter])

	if e, ok := g.pick(keyPlugins); ok {
		r.readPlugins(e.value)
	}
	r.readSecrets(g.settings[keySecrets])
	r.cfg.Tracing = r.readTracing(g.settings[keyTracing])
	r.readJobs(g.open(keyJobs))
}

// Places and problems.

// record remembers where the key with this path stands.
func (r *reader) record(path []string, e entry) {
	key := joined(path)
	if e.value.bad {
		r.broken[key] = true
	}
	if _, known := r.cfg.places[key]; !known {
		r.cfg.places[key] = place{key: e.at, value: e.value.at, written: e.head}
	}
}

// recordText remembers how the file writes the value at a path.
func (r *reader) recordText(path []string, e entry, secret bool) {
	r.record(path, e)
	key := joined(path)
	at := r.cfg.places[key]
	at.value, at.shown, at.secret = e.value.at, e.value.text, secret
	r.cfg.places[key] = at
}

func (r *reader) report(at Position, rule, message string) {
	r.problems = append(r.problems, Problem{File: r.cfg.File, Line: at.Line, Column: at.Column, Rule: rule, Message: message})
}

// reportBroken is report for a value that could not be read.
func (r *reader) reportBroken(path []string, at Position, rule, message string) {
	r.broken[joined(path)] = true
	r.report(at, rule, message)
}

// label names a path in a message: job "orders": shardingTotalCount.
func (r *reader) label(path []string) string { return r.cfg.label(path) }

// labelOf names a key of a path as it is written.
func (r *reader) labelOf(path []string, written string) string { return labelWith(path, written) }

// show describes a value in a message, as it is written.
func (r *reader) show(n *node) string {
	if n.kind == scalar {
		return quote(n.text)
	}
	return n.kind.String()
}

// label names a path in a message, the last key as the file spells it.
func (c Config) label(path []string) string {
	if len(path) == 0 {
		return keyElasticJob
	}
	last := len(path) - 1
	return labelWith(path[:last], cmp.Or(c.places[joined(path)].written, path[last]))
}

func labelWith(path []string, last string) string {
	path = append(slices.Clone(path), last)
	switch {
	case path[0] == keyJobs && len(path) > 1:
		return strings.TrimSuffix("job "+quote(path[1])+": "+strings.Join(path[2:], "."), ": ")
	case path[0] == keyPlugins:
		return withIndexes(path)
	}
	return strings.Join(path, ".")
}

// withIndexes joins a path in which numbers are places in lists.
func withIndexes(path []string) string {
	var b strings.Builder
	for i, part := range path {
		switch {
		case i > 0 && part != "" && part[0] >= '0' && part[0] <= '9':
			b.WriteString("[" + part + "]")
		case i > 0:
			b.WriteString("." + part)
		default:
			b.WriteString(part)
		}
	}
	return b.String()
}

// quote quotes text for a message, at most its first 80 bytes.
func quote(text string) string {
	const most = 80
	if len(text) > most {
		return strconv.Quote(strings.ToValidUTF8(text[:most], "")) + "…"
	}
	return strconv.Quote(text)
}
