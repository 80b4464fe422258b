package config

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What the forms read here allow, as noun phrases.
const (
	allowedBool     = "true or false"
	allowedInteger  = "a plain whole number such as 3 or 10"
	allowedDuration = "a duration with a unit such as 500ms, 30s, 10m, 2h"
	allowedInstant  = "an instant with its zone such as 2030-01-31T09:00:00+08:00"
	allowedSize     = "a size such as 512KiB, 64MiB, 1GiB, or a number of bytes"
)

// This file reads single values. A key that is absent, null or "" leaves the
// default as it is; a value that cannot be read is reported.

// text returns a value as text with its placeholders replaced. It is false when
// there is nothing to use: no value, or one that has been reported.
func (g group) text(key string) (string, bool) {
	e, ok := g.pick(key)
	if !ok || e.value.null {
		return "", false
	}
	text, ok := g.r.text(g.pathOf(key), e, "text")
	return text, ok && text != ""
}

// scalar is text for a value that must be what allowed says.
func (g group) scalar(key, allowed string) (string, bool) {
	e, ok := g.pick(key)
	if !ok || e.value.null {
		return "", false
	}
	text, ok := g.r.text(g.pathOf(key), e, allowed)
	return text, ok && text != ""
}

// text reads a scalar and remembers its place.
func (r *reader) text(path []string, e entry, allowed string) (string, bool) {
	r.record(path, e)
	if e.value.kind != scalar {
		r.reportBroken(path, e.value.at, ruleType, r.label(path)+" must be "+allowed+", not "+e.value.kind.String())
		return "", false
	}
	text, used, ok := r.expand(path, e.value)
	if ok {
		r.recordText(path, e, used)
	}
	return text, ok
}

// expand replaces the placeholders of a scalar.
func (r *reader) expand(path []string, n *node) (text string, used, ok bool) {
	text, used, faults := expand(n.text, r.getenv, r.room)
	for _, fault := range faults {
		rule := rulePlaceholder
		if errors.Is(fault.err, errExpandedTooLarge) {
			rule = ruleSize
		}
		at := n.at
		if rule == rulePlaceholder {
			at.Column += r.source.within(place{value: at, shown: n.text}, fault.column)
		}
		r.reportBroken(path, at, rule, r.label(path)+": "+fault.err.Error())
	}
	if len(faults) > 0 {
		return "", used, false
	}
	if used {
		r.room -= len(text)
	}
	return text, used, true
}

// secret reads a value that no message and no place may show, however it is
// written.
func (g group) secret(key string, to *string) {
	e, ok := g.pick(key)
	if !ok || e.value.null {
		return
	}
	path := g.pathOf(key)
	g.r.record(path, e)
	if e.value.kind != scalar {
		g.r.reportBroken(path, e.value.at, ruleType, g.r.label(path)+" must be text, not "+e.value.kind.String())
		return
	}
	text, _, faults := expand(e.value.text, g.r.getenv, g.r.room)
	for _, fault := range faults {
		message := " has a malformed placeholder; write ${NAME}, or $${ for a literal ${"
		if missing, ok := errors.AsType[missingVariable](fault.err); ok {
			message = ": the environment has no variable " + string(missing) + "; set it"
		}
		g.r.reportBroken(path, e.value.at, rulePlaceholder, g.r.label(path)+message)
	}
	if len(faults) > 0 {
		return
	}
	g.r.room -= len(text)
	*to = text
}

// wrong reports that the value of a key has the wrong form or size.
func (g group) wrong(key, rule, allowed string) {
	path := g.pathOf(key)
	at := g.r.cfg.places[joined(path)]
	g.r.reportBroken(path, at.value, rule, g.r.label(path)+" must be "+allowed+", not "+quote(at.shown))
}

func (g group) str(key string, to *string) {
	if text, ok := g.text(key); ok {
		*to = text
	}
}

func (g group) boolean(key string, to *bool) {
	text, ok := g.scalar(key, allowedBool)
	switch {
	case !ok:
	case strings.EqualFold(text, "true"):
		*to = true
	case strings.EqualFold(text, "false"):
		*to = false
	default:
		g.wrong(key, ruleType, allowedBool)
	}
}

func (g group) integer(key string, to *int) {
	text, ok := g.scalar(key, allowedInteger)
	if !ok {
		return
	}
	number, err := strconv.ParseInt(text, 10, 32)
	switch {
	case errors.Is(err, strconv.ErrRange):
		g.wrong(key, ruleRange, "a whole number of at most 9 digits")
	case err != nil || strconv.FormatInt(number, 10) != text: // 010 is 8 to some readers of YAML and 10 to others
		g.wrong(key, ruleType, allowedInteger)
	default:
		*to = int(number)
	}
}

func (g group) milliseconds(key string, to *time.Duration) {
	number := int(*to / time.Millisecond)
	g.integer(key, &number)
	*to = time.Duration(number) * time.Millisecond
}

// duration reads a duration that, when given, is more than zero.
// duration reads a duration of more than nothing; allowed says which there may be.
func (g group) duration(key, allowed string, to *time.Duration) {
	text, ok := g.scalar(key, allowedDuration)
	if !ok {
		return
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		g.wrong(key, ruleType, allowedDuration)
	case d <= 0:
		g.wrong(key, ruleRange, allowed)
	default:
		*to = d
	}
}

func (g group) instant(key string, to *time.Time) {
	text, ok := g.scalar(key, allowedInstant)
	if !ok {
		return
	}
	at, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil:
		g.wrong(key, ruleType, allowedInstant)
	case at.IsZero(): // which means that there is none
		g.wrong(key, ruleRange, "an instant in the years 1970 to 9999")
	default:
		*to = at.UTC()
	}
}

// wasmPage is what the memory of WASM grows by.
const wasmPage = 64 << 10

// size reads a number of bytes, rounded up to whole pages.
func (g group) size(key string, to *int64) {
	text, ok := g.scalar(key, allowedSize)
	if !ok {
		return
	}
	digits := strings.TrimRight(text, "KMGiB")
	units := map[string]int64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
	unit, known := units[text[len(digits):]]
	number, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	switch {
	case !known || err != nil && !errors.Is(err, strconv.ErrRange):
		g.wrong(key, ruleType, allowedSize)
	case err != nil || number <= 0 || number > (math.MaxInt64-wasmPage)/unit:
		g.wrong(key, ruleRange, allowedMemory)
	case number*unit < wasmPage: // a unit was forgotten: rounding up would hide it
		g.wrong(key, ruleRange, allowedMemory+" (a number without a unit is bytes)")
	default:
		*to = (number*unit + wasmPage - 1) / wasmPage * wasmPage
	}
}

// texts reads a list: YAML's own, or text with commas. Empty elements are dropped.
func (g group) texts(key string, to *[]string) {
	e, ok := g.pick(key)
	if !ok || e.value.null || e.value.empty() && e.value.kind != mapping {
		return
	}
	path := g.pathOf(key)
	var list []string
	if e.value.kind == scalar {
		text, ok := g.text(key)
		if !ok {
			return
		}
		list = strings.Split(text, ",")
	} else if list, ok = g.r.list(path, e); !ok {
		return
	}
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	if list = slices.DeleteFunc(list, func(s string) bool { return s == "" }); len(list) > 0 {
		*to = list
	}
}

// elements reads a list, YAML's own or text, and records where each element
// stands, under its number. Text is one element, or with commas several.
func (g group) elements(key string, commas bool) []string {
	e, ok := g.pick(key)
	if !ok || e.value.null {
		return nil
	}
	e.value = joinPorts(e.value)
	path := g.pathOf(key)
	var columns []int
	var list []string
	if e.value.kind == scalar {
		text, ok := g.text(key)
		if !ok {
			return nil
		}
		parts := []string{text}
		if commas {
			parts = strings.Split(text, ",")
		}
		column := 1
		for _, part := range parts {
			columns = append(columns, column+len([]rune(part))-len([]rune(strings.TrimLeft(part, " \t\n"))))
			column += len([]rune(part)) + 1
			list = append(list, part)
		}
	} else if list, ok = g.r.list(path, e); !ok {
		return nil
	}
	whole := g.r.cfg.places[joined(path)]
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
		at := whole
		if e.value.kind == sequence {
			at.value, at.shown = e.value.items[i].at, e.value.items[i].text
			at.secret = list[i] != strings.TrimSpace(at.shown)
		} else if !whole.secret {
			at.value.Column += g.r.source.within(whole, columns[i])
			at.shown = list[i]
		}
		g.r.cfg.places[joined(append(slices.Clone(path), strconv.Itoa(i)))] = at
	}
	return list
}

// joinPorts undoes what the YAML library makes of [a:6379]: a list of mappings.
func joinPorts(list *node) *node {
	whole := *list
	whole.items = slices.Clone(list.items)
	for i, item := range whole.items {
		if item.kind == mapping && len(item.entries) == 1 && item.entries[0].value.kind == scalar {
			host, port := item.entries[0].key, item.entries[0].value.text
			whole.items[i] = &node{at: item.at, text: host + ":" + port, weight: 1}
		}
	}
	return &whole
}

// list reads a list of scalars.
func (r *reader) list(path []string, e entry) ([]string, bool) {
	r.record(path, e)
	if e.value.kind != sequence {
		r.reportBroken(path, e.value.at, ruleType, r.label(path)+" must be text or a list, not "+e.value.kind.String())
		return nil, false
	}
	var list, written []string
	secret, sound := false, true
	for _, item := range e.value.items {
		if item.kind != scalar {
			r.reportBroken(path, item.at, ruleType, r.label(path)+" must hold text only, not "+item.kind.String())
			sound = false
			continue
		}
		text, used, ok := r.expand(path, item)
		list, written = append(list, text), append(written, item.text)
		secret, sound = secret || used, sound && ok
	}
	at := r.cfg.places[joined(path)]
	at.shown, at.secret = strings.Join(written, ","), secret
	r.cfg.places[joined(path)] = at
	return list, sound
}

// plain reads a section of names and text.
func (g group) plain(key string) map[string]string {
	values := map[string]string{}
	for _, e := range g.r.literal(g.open(key)) {
		e.head = e.key
		if text, ok := g.r.text(append(g.pathOf(key), e.key), e, "text"); ok {
			values[e.key] = text
		}
	}
	return values
}

// free reads a section whose keys are not known: nested mappings are joined
// with dots, lists with commas, null is "". A value that could not be read is
// "" too: it is not missing.
func (g group) free(key string) map[string]string {
	path := g.pathOf(key)
	values := map[string]string{}
	flat := map[string]entry{}
	var order []string
	var flatten func(prefix string, entries []entry)
	flatten = func(prefix string, entries []entry) {
		for _, e := range g.r.literal(entries) {
			name := prefix + e.key
			if e.value.kind == mapping {
				children := slices.Clone(e.value.entries)
				for i := range children {
					children[i].rank += e.rank
				}
				flatten(name+".", children)
				continue
			}
			first, seen := flat[name]
			switch {
			case !seen:
				order = append(order, name)
				flat[name] = e
			case first.rank == 0 && e.rank == 0:
				g.r.twice(first, e)
			case e.rank < first.rank:
				flat[name] = e
			}
		}
	}
	flatten("", g.open(key))
	for _, name := range order {
		e := flat[name]
		e.head = name
		path := append(slices.Clone(path), name)
		values[name] = ""
		if e.value.kind == scalar {
			if text, ok := g.r.text(path, e, "text"); ok {
				values[name] = text
			}
		} else if list, ok := g.r.list(path, e); ok {
			values[name] = strings.Join(list, ",")
		}
	}
	return values
}
