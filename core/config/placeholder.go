package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

var errExpandedTooLarge = errors.New("the values of placeholders are too large")

// missingVariable is a well-formed placeholder without a value.
type missingVariable string

func (name missingVariable) Error() string {
	return fmt.Sprintf("the environment has no variable %s; set it, or write ${%[1]s:default}", string(name))
}

// misplaced is what is wrong with the placeholder at a column of a text, from 1.
type misplaced struct {
	column int
	err    error
}

// expand replaces the placeholders of a text: ${NAME} and ${NAME:default} by
// the environment, $${ by ${. What an expansion yields is not looked at again.
// used says whether any text came out of a placeholder. room is the number of
// bytes that the result may have. The text is complete only without faults.
func expand(text string, getenv func(string) (string, bool), room int) (expanded string, used bool, faults []misplaced) {
	if !strings.Contains(text, "${") {
		return text, false, nil
	}
	var b strings.Builder
	for rest := text; rest != ""; {
		before, body, found := strings.Cut(rest, "${")
		if !found {
			b.WriteString(rest)
			break
		}
		if literal, escaped := strings.CutSuffix(before, "$"); escaped {
			b.WriteString(literal + "${")
			rest = body
			continue
		}
		b.WriteString(before)
		column := utf8.RuneCountInString(text[:len(text)-len(body)]) - 1
		body, after, closed := strings.Cut(body, "}")
		if !closed {
			return "", used, append(faults, misplaced{column, fmt.Errorf("placeholder ${%s has no }; write $${ for a literal ${", short(body))})
		}
		rest = after
		value, err := lookup(body, getenv)
		if err == nil && b.Len()+len(value) > room {
			return "", used, append(faults, misplaced{column, errExpandedTooLarge})
		}
		if err != nil {
			faults = append(faults, misplaced{column, err})
		}
		b.WriteString(value)
		used = true
	}
	return b.String(), used, faults
}

// lookup returns the value for what stands between ${ and }.
func lookup(body string, getenv func(string) (string, bool)) (string, error) {
	name, fallback, hasDefault := strings.Cut(body, ":")
	switch {
	case strings.Contains(body, "${"):
		return "", fmt.Errorf("placeholder ${%s} holds another one; only text can be a default", short(body))
	case !isVariable(name):
		return "", fmt.Errorf("placeholder ${%s} does not begin with a name of letters, digits and _; write $${ for a literal ${", short(body))
	}
	if value, ok := getenv(name); ok {
		return value, nil
	}
	if !hasDefault {
		return "", missingVariable(name)
	}
	return fallback, nil
}

func isVariable(name string) bool {
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

func short(text string) string {
	const most = 40
	text, _, _ = strings.Cut(text, "\n")
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
