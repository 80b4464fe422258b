package wire

import (
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a message, and with it the recursion of the
// scanner on foreign bytes.
const maxDepth = 64

// raw is one JSON value whose syntax was checked, without space around it.
type raw []byte

// scanner walks JSON text as RFC 8259 defines it, and in addition refuses
// text that is not UTF-8 and escapes of lone surrogates. Its methods return
// what they expected at pos, or "".
type scanner struct {
	data []byte
	pos  int
}

// parse checks that data is one JSON value and returns it.
func parse(data []byte) (raw, *mismatch) {
	if len(data) > MaxMessage {
		return nil, &mismatch{want: "at most " + strconv.Itoa(MaxMessage) + " bytes, not " + strconv.Itoa(len(data))}
	}
	s := scanner{data: data}
	s.space()
	start := s.pos
	if want := s.value(0); want != "" {
		return nil, s.mismatch(want)
	}
	end := s.pos
	s.space()
	if s.pos < len(data) {
		return nil, s.mismatch("the end of the message")
	}
	return data[start:end], nil
}

func (s *scanner) mismatch(want string) *mismatch {
	return &mismatch{want: want + " at byte " + strconv.Itoa(s.pos)}
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek returns the next byte, or 0 at the end; a 0 byte is valid nowhere.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) value(depth int) string {
	switch c := s.peek(); {
	case c == '{':
		return s.object(depth, nil)
	case c == '[':
		return s.array(depth, nil)
	case c == '"':
		return s.text()
	case c == '-' || isDigit(c):
		return s.number()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	default:
		return "a JSON value"
	}
}

// object walks an object and hands each member to visit, which may be nil.
func (s *scanner) object(depth int, visit func(name, value raw)) string {
	if depth >= maxDepth {
		return "at most " + strconv.Itoa(maxDepth) + " levels"
	}
	s.pos++
	s.space()
	if s.peek() == '}' {
		s.pos++
		return ""
	}
	for {
		nameStart := s.pos
		if s.peek() != '"' {
			return "a member name"
		}
		if want := s.text(); want != "" {
			return want
		}
		nameEnd := s.pos
		s.space()
		if s.peek() != ':' {
			return "':'"
		}
		s.pos++
		s.space()
		valueStart := s.pos
		if want := s.value(depth + 1); want != "" {
			return want
		}
		if visit != nil {
			visit(s.data[nameStart:nameEnd], s.data[valueStart:s.pos])
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
			s.space()
		case '}':
			s.pos++
			return ""
		default:
			return "',' or '}'"
		}
	}
}

// array walks an array and hands each element to visit, which may be nil and
// ends the walk by returning false.
func (s *scanner) array(depth int, visit func(element raw) bool) string {
	if depth >= maxDepth {
		return "at most " + strconv.Itoa(maxDepth) + " levels"
	}
	s.pos++
	s.space()
	if s.peek() == ']' {
		s.pos++
		return ""
	}
	for {
		start := s.pos
		if want := s.value(depth + 1); want != "" {
			return want
		}
		if visit != nil && !visit(s.data[start:s.pos]) {
			return ""
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
			s.space()
		case ']':
			s.pos++
			return ""
		default:
			return "',' or ']'"
		}
	}
}

func (s *scanner) word(word string) string {
	if len(s.data)-s.pos < len(word) || string(s.data[s.pos:s.pos+len(word)]) != word {
		return "a JSON value"
	}
	s.pos += len(word)
	return ""
}

func (s *scanner) number() string {
	if s.peek() == '-' {
		s.pos++
	}
	switch {
	case s.peek() == '0':
		s.pos++
	case !s.digits():
		return "a digit"
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return "a digit"
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return "a digit"
		}
	}
	return ""
}

func (s *scanner) digits() bool {
	start := s.pos
	for isDigit(s.peek()) {
		s.pos++
	}
	return s.pos > start
}

func (s *scanner) text() string {
	s.pos++
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		switch {
		case c == '"':
			s.pos++
			return ""
		case c == '\\':
			if want := s.escape(); want != "" {
				return want
			}
		case c < ' ':
			return "an escaped control character"
		case c < utf8.RuneSelf:
			s.pos++
		default:
			r, size := utf8.DecodeRune(s.data[s.pos:])
			if r == utf8.RuneError && size == 1 {
				return "valid UTF-8"
			}
			s.pos += size
		}
	}
	return "'\"'"
}

func (s *scanner) escape() string {
	const wantEscape = "an escape sequence"
	rest := s.data[s.pos:]
	if len(rest) < 2 {
		return wantEscape
	}
	switch rest[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos += 2
		return ""
	case 'u':
		_, size := decodeUnicodeEscape(rest)
		if size == 0 {
			return "a Unicode escape of a whole character"
		}
		s.pos += size
		return ""
	default:
		return wantEscape
	}
}

// decodeUnicodeEscape reads the \uXXXX, or the pair of them, that text begins
// with. It returns the size 0 for wrong digits and lone surrogates.
func decodeUnicodeEscape(text []byte) (r rune, size int) {
	const (
		highStart, lowStart, lowEnd = 0xD800, 0xDC00, 0xE000
		supplementary               = 0x10000
	)
	first := hex4(text)
	switch {
	case first < 0, first >= lowStart && first < lowEnd:
		return 0, 0
	case first < highStart || first >= lowEnd:
		return first, 6
	}
	second := hex4(text[6:])
	if second < lowStart || second >= lowEnd {
		return 0, 0
	}
	return (first-highStart)<<10 + (second - lowStart) + supplementary, 12
}

// hex4 returns the number of the \uXXXX that text begins with, or -1.
func hex4(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range text[2:6] {
		switch {
		case isDigit(c):
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// text returns the text of a checked string value.
func (r raw) text() string {
	inner := r[1 : len(r)-1]
	first := 0
	for first < len(inner) && inner[first] != '\\' {
		first++
	}
	if first == len(inner) {
		return string(inner)
	}
	out := append(make([]byte, 0, len(inner)), inner[:first]...)
	for i := first; i < len(inner); {
		if inner[i] != '\\' {
			out = append(out, inner[i])
			i++
			continue
		}
		if inner[i+1] == 'u' {
			char, size := decodeUnicodeEscape(inner[i:])
			out = utf8.AppendRune(out, char)
			i += size
			continue
		}
		out = append(out, unescaped(inner[i+1]))
		i += 2
	}
	return string(out)
}

// is reports whether a checked string value has the text want.
func (r raw) is(want string) bool {
	if slices.Contains(r, '\\') {
		return r.text() == want
	}
	return string(r[1:len(r)-1]) == want
}

func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default:
		return c
	}
}
