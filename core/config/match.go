package config

import (
	"fmt"
	"slices"
	"strings"
)

// This file finds the settings that the keys of a file mean, whichever form
// they are written in, and decides what happens when several mean the same one.

// group is one mapping with known keys: for each of them what the file says.
type group struct {
	r        *reader
	path     []string
	settings map[string][]entry
}

// scatter matches the first part of each key with the keys of a shape, reports
// those that are not known or not offered, and records the place of the others.
func (r *reader) scatter(path []string, s shape, entries []entry) group {
	g := group{r: r, path: path, settings: map[string][]entry{}}
	var order []*field
	var misspelt []string
	for _, e := range entries {
		head, rest, dotted := strings.Cut(e.key, ".")
		f, known := s.byForm[head]
		if !known || dotted && (rest == "" || f.kind == leaf) {
			if meant := r.unknown(path, s, e); meant != "" {
				misspelt = append(misspelt, meant)
			}
			continue
		}
		if g.settings[f.name] == nil {
			order = append(order, f)
		}
		e.key, e.head = rest, head
		g.settings[f.name] = append(g.settings[f.name], e)
	}
	for _, f := range order {
		found := g.settings[f.name]
		switch f.kind {
		case refused:
			r.refuse(path, f, found)
			delete(g.settings, f.name)
		case java, zookeeper:
			where := map[fieldKind]string{java: "in Java", zookeeper: "with ZooKeeper"}[f.kind]
			r.report(found[0].at, ruleJavaOnly, r.labelOf(path, found[0].head)+" makes sense "+where+" alone; "+f.instead)
			delete(g.settings, f.name)
		case leaf, section:
			first := slices.MinFunc(found, func(a, b entry) int { return a.rank - b.rank })
			r.record(append(slices.Clone(path), f.name), first)
		}
	}
	for _, meant := range misspelt {
		if g.settings[meant] == nil {
			r.broken[joined(append(slices.Clone(path), meant))] = true // reported above: not missed as well
		}
	}
	return g
}

// refuse reports a key that is known and not offered, unless it asks for nothing.
func (r *reader) refuse(path []string, f *field, found []entry) {
	for _, e := range found {
		harmless := e.value.empty() || f.harmless != "" && e.value.kind == scalar && e.value.text == f.harmless
		if harmless && e.key == "" {
			continue
		}
		r.report(e.at, ruleNotAvailable, r.labelOf(path, e.head)+" is not available in this version")
		r.findJDBC(e.value)
	}
}

// findJDBC reports the JDBC URLs in a value.
func (r *reader) findJDBC(n *node) {
	if n.kind == scalar && strings.HasPrefix(n.text, "jdbc:") {
		r.report(n.at, ruleJavaOnly, "a JDBC URL makes sense in Java alone; write one without jdbc:, such as mysql://host/database or sqlite:file.db")
	}
	for _, e := range n.entries {
		r.findJDBC(e.value)
	}
	for _, item := range n.items {
		r.findJDBC(item)
	}
}

// unknown reports a key that nobody knows and returns the key that may be meant.
func (r *reader) unknown(path []string, s shape, e entry) (meant string) {
	message := "unknown key " + quote(e.key)
	if where := r.label(path); where != "" {
		message += " in " + where
	}
	head, _, _ := strings.Cut(e.key, ".")
	if f := s.byForm[head]; f != nil {
		meant = f.name
		message += "; " + meant + " has no parts"
	} else if where := r.layout.whereElse(path, head); where != "" {
		message += "; it belongs " + where
	} else if head == fieldName {
		message += "; the name of a job is its key below jobs"
	} else if near, ok := Suggest(head, s.names); ok {
		meant = near
		message += "; did you mean " + quote(meant) + "?"
	}
	r.report(e.at, ruleUnknownKey, message)
	return meant
}

// pick returns the one value of a key. The mapping's own key goes before one
// that came by a merge key; two own ones are a problem, and the first counts.
func (g group) pick(key string) (entry, bool) {
	return g.r.pick(g.settings[key])
}

func (r *reader) pick(found []entry) (entry, bool) {
	if len(found) == 0 {
		return entry{}, false
	}
	best := slices.MinFunc(found, func(a, b entry) int { return a.rank - b.rank })
	if best.rank == 0 {
		first := true
		for _, e := range found {
			if e.rank == 0 && !first {
				r.twice(best, e)
			}
			first = first && e.rank != 0
		}
	}
	return best, true
}

// twice reports that second says again what first says.
func (r *reader) twice(first, second entry) {
	where := fmt.Sprintf("line %d, column %d", first.at.Line, first.at.Column)
	if first.owner == second.owner && first.written == second.written {
		r.report(second.at, ruleDuplicateKey, "key "+quote(second.written)+" is given twice, first at "+where)
		return
	}
	r.report(second.at, ruleConflict, quote(second.written)+" and "+quote(first.written)+" ("+where+") are the same setting; keep one")
}

// pathOf returns the path of a key of the group.
func (g group) pathOf(key string) []string { return append(slices.Clone(g.path), key) }

// open returns the entries of a section: those of the mappings that it is
// written as, and those of keys that go on with a dot.
func (g group) open(key string) []entry {
	return g.r.open(g.pathOf(key), g.settings[key])
}

func (r *reader) open(path []string, found []entry) []entry {
	// In one mapping, the section itself written once hides what was merged in.
	whole := map[*node]entry{}
	for _, e := range found {
		if first, seen := whole[e.owner]; e.key == "" && (!seen || e.rank < first.rank) {
			whole[e.owner] = e
		}
	}
	var inside []entry
	for _, e := range found {
		if first, seen := whole[e.owner]; seen && first != e && (e.key == "" || first.rank < e.rank) {
			if e.rank == 0 {
				r.twice(first, e)
			}
			continue
		}
		switch {
		case e.key != "":
			inside = append(inside, e)
		case e.value.kind == mapping:
			for _, child := range e.value.entries {
				child.rank += e.rank
				inside = append(inside, child)
			}
		case !e.value.null:
			shown := r.show(e.value)
			if len(path) == 1 && path[0] == keySecrets {
				shown = e.value.kind.String()
			}
			r.reportBroken(path, e.value.at, ruleType, r.label(path)+" must be a mapping, not "+shown)
		}
	}
	return inside
}

// literal treats keys as text: of several that are spelled alike in one mapping
// only the first stays, or the one that is not merged.
func (r *reader) literal(entries []entry) []entry {
	type spot struct {
		owner *node
		key   string
	}
	at := make(map[spot]int, len(entries))
	var kept []entry
	for _, e := range entries {
		where := spot{e.owner, e.key}
		i, seen := at[where]
		switch {
		case !seen:
			at[where] = len(kept)
			kept = append(kept, e)
		case kept[i].rank == 0 && e.rank == 0:
			r.twice(kept[i], e)
		case e.rank < kept[i].rank:
			kept[i] = e
		}
	}
	return kept
}
