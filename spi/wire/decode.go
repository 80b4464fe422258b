package wire

import (
	"strconv"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
)

// mismatch is a place in a message and what was expected there. Each level of
// decoding puts its own step in front of the path.
type mismatch struct {
	path string
	want string
}

// under returns m as seen from the holder of the member or element step.
func (m *mismatch) under(step string) *mismatch {
	switch {
	case m.path == "":
		m.path = step
	case m.path[0] == '[':
		m.path = step + m.path
	default:
		m.path = step + "." + m.path
	}
	return m
}

// protocolError returns m as the error of decoding what.
func (m *mismatch) protocolError(what string) error {
	where := what
	if m.path != "" {
		where += ": " + m.path
	}
	return spi.NewError(spi.CodeProtocol, Cut(where+": expected "+m.want, MaxText))
}

// What follows reads one member each. Functions that only return a closure are
// kept out of line: inlined, each use would be a copy of the closure, of which
// every guest would carry 100 kB.

// field is a known member of an object: its name, whether it must be there,
// and where its value goes.
type field struct {
	name      string
	mandatory bool
	set       func(value raw) *mismatch
}

func must(name string, set func(raw) *mismatch) field { return field{name, true, set} }

func may(name string, set func(raw) *mismatch) field { return field{name, false, set} }

// decode reads a whole message that is an object.
func decode(data []byte, what string, fields ...field) error {
	value, bad := parse(data)
	if bad == nil {
		bad = decodeObject(value, fields...)
	}
	if bad != nil {
		return bad.protocolError(what)
	}
	return nil
}

// decodeObject sets the fields in their own order, each from the last member
// of its name.
func decodeObject(value raw, fields ...field) *mismatch {
	if value[0] != '{' {
		return &mismatch{want: "an object, not " + value.kind()}
	}
	found := make([]raw, len(fields))
	s := scanner{data: value}
	s.object(0, func(name, member raw) {
		for i := range fields {
			if name.is(fields[i].name) {
				found[i] = member
				return
			}
		}
	})
	for i, f := range fields {
		if found[i] == nil {
			if f.mandatory {
				return (&mismatch{want: "this mandatory member"}).under(f.name)
			}
			continue
		}
		if bad := f.set(found[i]); bad != nil {
			return bad.under(f.name)
		}
	}
	return nil
}

// object reads a member that is an object.
//
//go:noinline
func object(fields ...field) func(raw) *mismatch {
	return func(value raw) *mismatch { return decodeObject(value, fields...) }
}

// objects reads an array of at most most objects, whose fields are those that
// fieldsOf returns.
func objects[T any](most int, into *[]T, fieldsOf func(*T) []field) func(raw) *mismatch {
	return func(value raw) *mismatch {
		*into = nil
		return list(most, func(element raw) *mismatch {
			var one T
			bad := decodeObject(element, fieldsOf(&one)...)
			*into = append(*into, one)
			return bad
		})(value)
	}
}

// list reads an array of at most most elements, element by element.
//
//go:noinline
func list(most int, add func(element raw) *mismatch) func(raw) *mismatch {
	return func(value raw) *mismatch {
		if value[0] != '[' {
			return &mismatch{want: "an array, not " + value.kind()}
		}
		var bad *mismatch
		n := 0
		s := scanner{data: value}
		s.array(0, func(element raw) bool {
			if n == most {
				bad = &mismatch{want: "at most " + strconv.Itoa(most) + " elements"}
				return false
			}
			if bad = add(element); bad != nil {
				bad = bad.under("[" + strconv.Itoa(n) + "]")
				return false
			}
			n++
			return true
		})
		return bad
	}
}

//go:noinline
func text[T ~string](into *T) func(raw) *mismatch {
	return func(value raw) *mismatch {
		if value[0] != '"' {
			return &mismatch{want: "a string, not " + value.kind()}
		}
		*into = T(value.text())
		return nil
	}
}

// constant accepts one text only.
//
//go:noinline
func constant(want string) func(raw) *mismatch {
	return func(value raw) *mismatch {
		var got string
		if bad := text(&got)(value); bad != nil {
			return bad
		}
		if got != want {
			return &mismatch{want: quote(want) + ", not " + quote(Cut(got, 64))}
		}
		return nil
	}
}

//go:noinline
func texts(most int, into *[]string) func(raw) *mismatch {
	return func(value raw) *mismatch {
		*into = nil
		return list(most, func(element raw) *mismatch {
			var one string
			bad := text(&one)(element)
			*into = append(*into, one)
			return bad
		})(value)
	}
}

// textMap reads an object whose members are all strings.
//
//go:noinline
func textMap[M ~map[string]string](into *M) func(raw) *mismatch {
	return mapOf(MaxMessage, into, text[string])
}

// mapOf reads an object of at most most members, each with what read returns.
func mapOf[M ~map[string]V, V any](most int, into *M, read func(*V) func(raw) *mismatch) func(raw) *mismatch {
	return func(value raw) *mismatch {
		*into = make(M)
		return value.members(most, func(name string, member raw) *mismatch {
			var one V
			bad := read(&one)(member)
			(*into)[name] = one
			return bad
		})
	}
}

// members hands over the members of an object, the last of each name, in no
// order.
func (r raw) members(most int, visit func(name string, member raw) *mismatch) *mismatch {
	if r[0] != '{' {
		return &mismatch{want: "an object, not " + r.kind()}
	}
	members := make(map[string]raw)
	s := scanner{data: r}
	s.object(0, func(name, member raw) { members[name.text()] = member })
	if len(members) > most {
		return &mismatch{want: "at most " + strconv.Itoa(most) + " members"}
	}
	for name, member := range members {
		if bad := visit(name, member); bad != nil {
			return bad.under("[" + quote(Cut(name, 64)) + "]")
		}
	}
	return nil
}

//go:noinline
func boolean(into *bool) func(raw) *mismatch {
	return func(value raw) *mismatch {
		switch value[0] {
		case 't':
			*into = true
		case 'f':
			*into = false
		default:
			return &mismatch{want: "true or false, not " + value.kind()}
		}
		return nil
	}
}

// integer reads a whole number within low and high, written without fraction
// and exponent.
//
//go:noinline
func integer[T ~int | ~int32 | ~int64](into *T, low, high int64) func(raw) *mismatch {
	return func(value raw) *mismatch {
		n, bad := value.integer(low, high)
		if bad == nil {
			*into = T(n)
		}
		return bad
	}
}

// integer is apart from the function above, which exists once for each type.
func (r raw) integer(low, high int64) (int64, *mismatch) {
	if c := r[0]; c != '-' && !isDigit(c) {
		return 0, &mismatch{want: "an integer, not " + r.kind()}
	}
	n, err := strconv.ParseInt(string(r), 10, 64)
	if err != nil || n < low || n > high {
		return 0, &mismatch{want: "an integer from " + strconv.FormatInt(low, 10) + " to " + strconv.FormatInt(high, 10) +
			", not " + Cut(string(r), 64)}
	}
	return n, nil
}

// integers reads at most most whole numbers from 0 on.
func integers(most int) func(into *[]int) func(raw) *mismatch {
	return func(into *[]int) func(raw) *mismatch {
		return func(value raw) *mismatch {
			*into = nil
			return list(most, func(element raw) *mismatch {
				var one int
				bad := integer(&one, 0, maxInteger)(element)
				*into = append(*into, one)
				return bad
			})(value)
		}
	}
}

// decimal reads a 64 bit number that is written as a string, because numbers
// of JSON lose precision in many languages.
//
//go:noinline
func decimal(into *int64) func(raw) *mismatch {
	return func(value raw) *mismatch {
		var digits string
		if bad := text(&digits)(value); bad != nil {
			return bad
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != digits {
			return &mismatch{want: "a 64 bit integer as a decimal string, not " + quote(Cut(digits, 64))}
		}
		*into = n
		return nil
	}
}

//go:noinline
func instant(into *time.Time) func(raw) *mismatch {
	return func(value raw) *mismatch {
		var written string
		if bad := text(&written)(value); bad != nil {
			return bad
		}
		t, ok := parseInstant(written)
		if !ok {
			return &mismatch{want: "an instant such as " + instantForm + ", not " + quote(Cut(written, 64))}
		}
		*into = t
		return nil
	}
}

// base64Bytes reads base64 of at most most bytes.
//
//go:noinline
func base64Bytes(most int, into *[]byte) func(raw) *mismatch {
	return func(value raw) *mismatch {
		var encoded string
		if bad := text(&encoded)(value); bad != nil {
			return bad
		}
		decoded, ok := decodeBase64(encoded)
		switch {
		case !ok:
			return &mismatch{want: "base64 with padding"}
		case len(decoded) > most:
			return &mismatch{want: "at most " + strconv.Itoa(most) + " bytes"}
		}
		*into = decoded
		return nil
	}
}

// quote writes text as JSON: strconv.Quote would add its tables to every guest.
func quote(text string) string { return string(appendString(nil, text)) }

// kind names the type of the value for messages.
func (r raw) kind() string {
	switch r[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}
