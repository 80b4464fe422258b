// Package props describes the properties that a plugin reads, as data: fields
// with type, default and bounds. One schema serves parsing, checking, lint,
// JSON Schema and reference pages, and crosses a process or module border.
//
// All values are strings on the wire; a field's type says how to read one.
// The package is part of wasip1 guests and keeps out fmt and encoding/json;
// checks that need regexp or net/url are made by the host only.
package props

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Type says how the text of a property is read.
type Type string

// The types of properties.
const (
	String   Type = "string"
	Int      Type = "int"      // 64 bit, decimal
	Float    Type = "float"    // 64 bit
	Bool     Type = "bool"     // true or false; True, TRUE, False, FALSE become these
	Duration Type = "duration" // Go syntax, such as 1m30s
	Size     Type = "size"     // bytes, such as 64MiB
	List     Type = "list"     // comma separated, items trimmed
	Path     Type = "path"     // relative to the config file; a plugin that is built in gets it absolute
	URL      Type = "url"      // absolute
)

// Field is one property. A Name ending in ".*" stands for all names with that
// prefix, and the name "*" for all names but those that are likely to be meant for
// another field, see [Schema.Resolve].
type Field struct {
	Name        string
	Type        Type
	Description string
	// Default is the value when none is given; "" means none.
	Default  string
	Required bool
	// Enum lists the allowed values; empty allows all.
	Enum []string
	// Min and Max bound the value, or the length of a string, path, url or
	// list. They are written like values of the type, lengths as numbers.
	Min, Max string
	// Pattern is an RE2 expression that must match the whole value.
	Pattern string
	// Secret values are kept out of messages and dumps. They have no default,
	// which everybody who has the plugin could read.
	Secret     bool
	Example    string
	Deprecated string
}

// Schema is the list of a plugin's properties.
type Schema []Field

// Problem is one property that a schema refuses.
type Problem struct {
	// Property is the name as given, or the missing one.
	Property string
	// Rule is a short word: required, unknown-property, type, enum, min, max,
	// pattern.
	Rule    string
	Message string
}

// Bounds of a schema that comes from a plugin.
const (
	MaxFields      = 256
	MaxFieldLength = 4096
)

// Check reports the first thing wrong with the schema itself.
func (s Schema) Check() error {
	if len(s) > MaxFields {
		return errors.New("more than " + strconv.Itoa(MaxFields) + " properties")
	}
	seen := make(map[string]bool, len(s))
	for _, f := range s {
		if err := f.check(); err != nil {
			return errors.New("property " + strconv.Quote(clip(f.Name)) + ": " + err.Error())
		}
		if seen[f.Name] {
			return errors.New("property " + strconv.Quote(f.Name) + " is listed twice")
		}
		seen[f.Name] = true
	}
	return nil
}

func (f Field) check() error {
	if f.Name == "" {
		return errors.New("the name is empty")
	}
	for _, text := range []string{f.Name, f.Description, f.Default, f.Min, f.Max, f.Pattern, f.Example, f.Deprecated} {
		if len(text) > MaxFieldLength {
			return errors.New("a text is longer than " + strconv.Itoa(MaxFieldLength) + " bytes")
		}
	}
	if f.Description == "" {
		return errors.New("the description is missing")
	}
	switch f.Type {
	case String, Int, Float, Bool, Duration, Size, List, Path, URL:
	default:
		return errors.New("unknown type " + strconv.Quote(clip(string(f.Type))))
	}
	if len(f.Enum) > MaxFields {
		return errors.New("more than " + strconv.Itoa(MaxFields) + " enum values")
	}
	if err := checkPattern(f.Pattern); err != nil {
		return err
	}
	for _, bound := range []string{f.Min, f.Max} {
		if bound == "" {
			continue
		}
		if _, err := f.measureBound(bound); err != nil {
			return errors.New("bound " + strconv.Quote(clip(bound)) + ": " + err.Error())
		}
	}
	if f.Secret && f.Default != "" {
		return errors.New("a secret property has no default")
	}
	if f.Required && f.Default != "" {
		return errors.New("a required property has no default")
	}
	if f.Default != "" {
		if rule, message := f.refuse(f.Default); rule != "" {
			return errors.New("the default " + message)
		}
	}
	return nil
}

// CheckExamples returns the examples and allowed values that their own field
// refuses. A node runs with them; a person who copies one is refused.
func (s Schema) CheckExamples() []Problem {
	var all []Problem
	for _, f := range s {
		for _, value := range append([]string{f.Example}, f.Enum...) {
			if value == "" {
				continue
			}
			f.Required = false
			_, problems := Schema{f}.Resolve(map[string]string{f.Name: value})
			for _, p := range problems {
				p.Message = "refuses its own example or value " + strconv.Quote(clip(value)) + ": it " + p.Message
				all = append(all, p)
			}
		}
	}
	return all
}

// Resolve checks the given values and fills in defaults. A bool that is spelt as
// YAML allows, True or TRUE, becomes true, and False and FALSE become false. It
// returns all problems, ordered by property; the values are complete only
// without any.
//
// A name that only the field "*" stands for is refused like an unknown one if it
// is up to its first dot as that of another field, and behind it nearly so:
// email.form beside email.from.
func (s Schema) Resolve(given map[string]string) (Values, []Problem) {
	values := make(Values, len(given)+len(s))
	var problems []Problem
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := given[name]
		values[name] = value
		field, known := s.Find(name)
		if known && field.Type == Bool {
			value = lowerBool(value)
			values[name] = value
		}
		var hint string
		if !known {
			hint = s.hint(name)
		} else if field.Name == "*" {
			hint = s.hintBeside(name)
		}
		if !known || hint != "" {
			problems = append(problems, Problem{Property: name, Rule: "unknown-property", Message: "is not a property of these plugins" + hint})
			continue
		}
		if field.Required && value == "" {
			problems = append(problems, Problem{Property: name, Rule: "required", Message: "is empty and required: " + field.Description})
			continue
		}
		if rule, message := field.refuse(value); rule != "" {
			problems = append(problems, Problem{Property: name, Rule: rule, Message: message})
		}
	}
	for _, f := range s {
		if _, ok := given[f.Name]; ok || strings.HasSuffix(f.Name, "*") {
			continue
		}
		if f.Required {
			problems = append(problems, Problem{Property: f.Name, Rule: "required", Message: "is required: " + f.Description})
			continue
		}
		if f.Default != "" {
			values[f.Name] = f.Default
		}
	}
	slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(a.Property, b.Property) })
	return values, problems
}

// lowerBool takes the other spellings that a bool has in YAML 1.2, so that
// plugins have to know one only.
func lowerBool(value string) string {
	switch value {
	case "True", "TRUE":
		return "true"
	case "False", "FALSE":
		return "false"
	}
	return value
}

// hint suggests the name that is most likely meant by one that is not known.
func (s Schema) hint(name string) string {
	var names []string
	for _, f := range s {
		if !strings.HasSuffix(f.Name, "*") {
			names = append(names, f.Name)
		}
	}
	if near, ok := Suggest(name, names); ok {
		return "; did you mean " + strconv.Quote(near) + "?"
	}
	return ""
}

// hintBeside suggests a name with the same first part, for one that may be meant
// as it is written.
func (s Schema) hintBeside(name string) string {
	first, rest, _ := strings.Cut(name, ".")
	var rests []string
	for _, f := range s {
		if under, ok := strings.CutPrefix(f.Name, first+"."); ok && !strings.HasSuffix(under, "*") {
			rests = append(rests, under)
		}
	}
	// The first part is left out: it would make names look more alike than they are.
	if near, ok := Suggest(rest, rests); ok {
		return "; did you mean " + strconv.Quote(first+"."+near) + "?"
	}
	return ""
}

// Find returns the field that names the property: the exact one, else the one
// with the longest prefix.
func (s Schema) Find(name string) (Field, bool) {
	var best Field
	found := false
	for _, f := range s {
		if f.Name == name {
			return f, true
		}
		prefix, isPrefix := strings.CutSuffix(f.Name, "*")
		if !isPrefix || prefix != "" && !strings.HasSuffix(prefix, ".") || !strings.HasPrefix(name, prefix) {
			continue
		}
		if !found || len(f.Name) > len(best.Name) {
			best, found = f, true
		}
	}
	return best, found
}

// refuse returns the broken rule and a message that continues the property's
// name, or two empty strings. It never shows the value of a secret.
func (f Field) refuse(value string) (rule, message string) {
	shown := strconv.Quote(clip(value))
	if f.Secret {
		shown = "the given value"
	}
	measure, err := f.measure(value)
	if err != nil {
		return "type", "is no " + string(f.Type) + ": " + shown + " " + err.Error()
	}
	if len(f.Enum) > 0 && !slices.Contains(f.Enum, value) {
		return "enum", "is " + shown + ", must be one of " + strings.Join(f.Enum, ", ")
	}
	if f.Min != "" {
		if low, err := f.measureBound(f.Min); err == nil && measure < low {
			return "min", "is " + shown + ", must be " + f.boundWord() + "at least " + f.Min
		}
	}
	if f.Max != "" {
		if high, err := f.measureBound(f.Max); err == nil && measure > high {
			return "max", "is " + shown + ", must be " + f.boundWord() + "at most " + f.Max
		}
	}
	if f.Pattern != "" && !matchesPattern(f.Pattern, value) {
		return "pattern", "is " + shown + ", must match " + f.Pattern
	}
	return "", ""
}

func (f Field) boundWord() string {
	if f.isMeasuredByLength() {
		return "of length "
	}
	return ""
}

func (f Field) isMeasuredByLength() bool {
	return f.Type == String || f.Type == Path || f.Type == URL || f.Type == List
}

// measure parses the value and returns what min and max bound.
func (f Field) measure(value string) (float64, error) {
	switch f.Type {
	case Int:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return 0, errors.New("is not a whole number")
		}
		return float64(n), nil
	case Float:
		n, err := strconv.ParseFloat(value, 64)
		if err != nil || n != n {
			return 0, errors.New("is not a number")
		}
		return n, nil
	case Bool:
		if value != "true" && value != "false" {
			return 0, errors.New("is neither true nor false")
		}
		return 0, nil
	case Duration:
		d, err := time.ParseDuration(value)
		if err != nil {
			return 0, errors.New("is not a duration such as 500ms or 1m30s")
		}
		return float64(d), nil
	case Size:
		n, err := ParseSize(value)
		return float64(n), err
	case List:
		return float64(len(splitList(value))), nil
	case URL:
		return float64(len(value)), checkURL(value)
	default:
		return float64(len(value)), nil
	}
}

func (f Field) measureBound(bound string) (float64, error) {
	if f.isMeasuredByLength() {
		n, err := strconv.ParseUint(bound, 10, 32)
		if err != nil {
			return 0, errors.New("is not a length")
		}
		return float64(n), nil
	}
	return f.measure(bound)
}

func clip(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
