package wire

import (
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// appendName adds the name of a member and, unless it is the first of its
// object, the comma before it.
func appendName(b []byte, name string) []byte {
	if n := len(b); n > 0 && b[n-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

func appendText(b []byte, name, text string) []byte {
	return appendString(appendName(b, name), text)
}

// appendGiven adds a member unless its text is empty.
func appendGiven(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	return appendText(b, name, text)
}

func appendInt(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(appendName(b, name), n, 10)
}

// appendDecimal adds a 64 bit number as a string.
func appendDecimal(b []byte, name string, n int64) []byte {
	b = append(appendName(b, name), '"')
	b = strconv.AppendInt(b, n, 10)
	return append(b, '"')
}

func appendBool(b []byte, name string, value bool) []byte {
	return strconv.AppendBool(appendName(b, name), value)
}

func appendTime(b []byte, name string, t time.Time) []byte {
	return append(appendInstant(append(appendName(b, name), '"'), t), '"')
}

func appendTexts(b []byte, name string, texts []string) []byte {
	return appendList(appendName(b, name), texts, appendString)
}

func appendList[T any](b []byte, elements []T, appendOne func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, element := range elements {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendOne(b, element)
	}
	return append(b, ']')
}

func appendInts(b []byte, numbers []int) []byte {
	return appendList(b, numbers, func(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) })
}

func appendBytes(b []byte, name string, data []byte) []byte {
	b = append(appendName(b, name), '"')
	return append(appendBase64(b, data), '"')
}

// appendTextMap adds an object of strings, ordered by name.
func appendTextMap(b []byte, name string, texts map[string]string) []byte {
	return appendMap(appendName(b, name), texts, appendString)
}

// appendMap adds an object, ordered by name.
func appendMap[V any](b []byte, members map[string]V, appendOne func([]byte, V) []byte) []byte {
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(members)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ':')
		b = appendOne(b, members[name])
	}
	return append(b, '}')
}

func appendString(b []byte, text string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if c >= utf8.RuneSelf && (r != utf8.RuneError || size > 1) {
			i += size
			continue
		}
		b = append(b, text[start:i]...)
		i += size
		start = i
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			if c < ' ' {
				b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xF])
			} else {
				b = utf8.AppendRune(b, utf8.RuneError)
			}
		}
	}
	b = append(b, text[start:]...)
	return append(b, '"')
}
