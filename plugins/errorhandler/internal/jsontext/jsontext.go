// Package jsontext writes and reads the little JSON that services of messages
// want and answer. Package encoding/json would make a module with error handlers
// half as large again.
package jsontext

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep the values of a response are nested.
const maxDepth = 100

// AppendString adds valid UTF-8 as a JSON string.
func AppendString(b []byte, text string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"', c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xF])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// Members returns the members of an object as they are written, of equal names
// the last. It accepts some texts that are no JSON, such as numbers with
// letters in them, but reads all that are as they are meant.
func Members(data []byte) (map[string]string, bool) {
	s := scanner{data: string(data)}
	found := make(map[string]string)
	ok := s.object(0, func(name, value string) { found[name] = value })
	return found, ok && s.peek() == 0 && s.at == len(s.data)
}

// scanner walks through a JSON text.
type scanner struct {
	data string
	at   int
}

// peek returns the next byte that is no white space, 0 at the end.
func (s *scanner) peek() byte {
	for ; s.at < len(s.data); s.at++ {
		if c := s.data[s.at]; c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c
		}
	}
	return 0
}

// take goes past the next byte if it is c.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) object(depth int, member func(name, value string)) bool {
	return s.sequence('{', '}', func() bool {
		name, ok := s.text()
		if !ok || !s.take(':') {
			return false
		}
		value, ok := s.value(depth + 1)
		if ok {
			member(name, value)
		}
		return ok
	})
}

// sequence reads what stands between two brackets, separated by commas.
func (s *scanner) sequence(open, end byte, element func() bool) bool {
	if !s.take(open) {
		return false
	}
	if s.take(end) {
		return true
	}
	for element() {
		if s.take(end) {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
	return false
}

// value returns the text of a string, or any other value as it is written.
func (s *scanner) value(depth int) (string, bool) {
	if depth > maxDepth {
		return "", false
	}
	c := s.peek()
	start := s.at
	var ok bool
	switch c {
	case '"':
		return s.text()
	case '{':
		ok = s.object(depth, func(string, string) {})
	case '[':
		ok = s.sequence('[', ']', func() bool { _, ok := s.value(depth + 1); return ok })
	default:
		for s.at < len(s.data) && strings.IndexByte("+-.", s.data[s.at]) >= 0 || s.at < len(s.data) && isWord(s.data[s.at]) {
			s.at++
		}
		ok = s.at > start
	}
	return s.data[start:s.at], ok
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// text reads a string.
func (s *scanner) text() (string, bool) {
	if !s.take('"') {
		return "", false
	}
	var b []byte
	for s.at < len(s.data) {
		c := s.data[s.at]
		s.at++
		switch c {
		case '"':
			return string([]rune(string(b))), true // as runes, each byte of broken UTF-8 becomes U+FFFD
		case '\\':
			r, ok := s.escaped()
			if !ok {
				return "", false
			}
			b = utf8.AppendRune(b, r)
		default:
			b = append(b, c)
		}
	}
	return "", false
}

// escaped reads what follows a backslash.
func (s *scanner) escaped() (rune, bool) {
	if s.at == len(s.data) {
		return 0, false
	}
	c := s.data[s.at]
	s.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
		r, ok := s.unit()
		if !ok || !utf16.IsSurrogate(r) {
			return r, ok
		}
		// A character beyond the first 65,536 is written as two units. A unit
		// without its other half stands for no character.
		rest := *s
		if strings.HasPrefix(rest.data[rest.at:], `\u`) {
			rest.at += 2
			if low, ok := rest.unit(); ok {
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					*s = rest
					return pair, true
				}
			}
		}
		return utf8.RuneError, true
	default:
		return 0, false
	}
}

// unit reads the four hexadecimal digits of a unit of UTF-16.
func (s *scanner) unit() (rune, bool) {
	if len(s.data)-s.at < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(s.data[s.at:s.at+4], 16, 16)
	s.at += 4
	return rune(n), err == nil
}
