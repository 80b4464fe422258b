// Package sqltext finds the statements of a text in SQL and the parameters in
// them. It knows as much of the SQL of a product as it takes to tell code from
// literals, names and comments.
package sqltext

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a text of statements.
const (
	maxStatements = 100
	maxParameters = 1000
)

// Grammar is what the scanner has to know of a product's SQL. It is one of those
// that [PostgreSQL], [MySQL] and [SQLite] return.
type Grammar struct {
	// placeholder is that of the n-th parameter of a statement, from 1.
	placeholder func(n int) string
	// refused are characters that are placeholders of the product itself.
	refused string
	// backslash escapes in '…' and "…" (MySQL).
	backslash bool
	// escapeStrings are E'…', in which a backslash escapes (PostgreSQL).
	escapeStrings bool
	// dollarQuotes are $tag$…$tag$ (PostgreSQL).
	dollarQuotes bool
	// nested comments are those of PostgreSQL.
	nested bool
	// hash begins a comment, and -- only before white space (MySQL).
	hash bool
	// names are the characters, besides ", that quote a name.
	names string
}

// PostgreSQL is the grammar of chapter 4.1 of its manual. Placeholders are $1, $2.
func PostgreSQL() Grammar {
	return Grammar{
		placeholder:   func(n int) string { return "$" + strconv.Itoa(n) },
		escapeStrings: true,
		dollarQuotes:  true,
		nested:        true,
	}
}

// MySQL is the grammar of MySQL and MariaDB in their default mode. Placeholders
// are question marks.
func MySQL() Grammar {
	return Grammar{placeholder: questionMark, refused: "?", backslash: true, hash: true, names: "`"}
}

// SQLite is the grammar of SQLite. Placeholders are question marks.
func SQLite() Grammar {
	return Grammar{placeholder: questionMark, refused: "?@$", names: "`["}
}

func questionMark(int) string { return "?" }

// Statement is one statement with placeholders.
type Statement struct {
	Text string
	// Parameters are the names of its parameters, in the order of placeholders.
	Parameters []string
	// IsQuery says that it returns rows.
	IsQuery bool
}

// scanner reads statements. It copies what it reads, and puts placeholders where
// parameters stand in the code.
type scanner struct {
	grammar Grammar
	isKnown func(parameter string) error
	text    string
	at      int
	out     strings.Builder
	current Statement
	// words are the words of the code of the current statement, in capitals: its
	// first one and those outside of parentheses.
	words []string
	depth int
	found []Statement
}

// Parse splits a text at its semicolons into at most 100 statements, and puts
// placeholders where parameters such as :name stand in the code. isKnown refuses
// the names of parameters that do not exist. Statements without code are left
// out, and those that begin or end a transaction, or copy from or to the client,
// are refused. Errors continue a sentence that begins with the name of the text.
func Parse(text string, g Grammar, isKnown func(string) error) ([]Statement, error) {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return nil, errors.New("is no text")
	}
	s := &scanner{grammar: g, isKnown: isKnown, text: text}
	for s.at < len(s.text) {
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	if err := s.end(); err != nil {
		return nil, err
	}
	if len(s.found) == 0 {
		return nil, errors.New("holds no statement")
	}
	return s.found, nil
}

// step reads one token.
func (s *scanner) step() error {
	rest, c := s.text[s.at:], s.text[s.at]
	switch {
	case strings.HasPrefix(rest, "--") && (!s.grammar.hash || len(rest) == 2 || isSpace(rest[2])), c == '#' && s.grammar.hash:
		s.copy(lineOf(rest))
	case strings.HasPrefix(rest, "/*"):
		return s.comment()
	case c == '\'':
		return s.quoted(c, s.grammar.backslash)
	case c == '"':
		return s.quoted(c, s.grammar.backslash)
	case c == '[' && strings.IndexByte(s.grammar.names, c) >= 0:
		return s.quoted(']', false)
	case strings.IndexByte(s.grammar.names, c) >= 0:
		return s.quoted(c, false)
	case c == '$' && s.grammar.dollarQuotes:
		return s.dollar()
	case strings.IndexByte(s.grammar.refused, c) >= 0:
		return fmt.Errorf("has %q outside of literals; write parameters by name, such as :shardingItem", c)
	case c == ':':
		return s.colon()
	case c == ';':
		s.at++
		return s.end()
	case isWord(c):
		return s.word()
	default:
		switch c {
		case '(':
			s.depth++
		case ')':
			s.depth--
		}
		s.copy(1)
	}
	return nil
}

// copy takes over the next n bytes as they are.
func (s *scanner) copy(n int) {
	s.out.WriteString(s.text[s.at : s.at+n])
	s.at += n
}

// quoted copies a literal or a name up to the character that ends it, which
// stands doubled inside.
func (s *scanner) quoted(end byte, backslash bool) error {
	for i := s.at + 1; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '\\' && backslash:
			i++
		case c == end && i+1 < len(s.text) && s.text[i+1] == end:
			i++
		case c == end:
			s.copy(i + 1 - s.at)
			return nil
		}
	}
	return fmt.Errorf("has a %q that nothing closes", s.text[s.at])
}

func (s *scanner) comment() error {
	depth := 0
	for i := s.at; i+1 < len(s.text); i++ {
		switch s.text[i : i+2] {
		case "/*":
			if depth == 0 || s.grammar.nested {
				depth++
				i++
			}
		case "*/":
			depth--
			i++
			if depth == 0 {
				s.copy(i + 1 - s.at)
				return nil
			}
		}
	}
	return errors.New("has a comment that nothing closes")
}

// dollar copies a literal such as $body$…$body$.
func (s *scanner) dollar() error {
	i := s.at + 1
	if i < len(s.text) && '0' <= s.text[i] && s.text[i] <= '9' {
		return errors.New("has a parameter by number; write parameters by name, such as :shardingItem")
	}
	for i < len(s.text) && isWord(s.text[i]) {
		i++
	}
	if i == len(s.text) || s.text[i] != '$' {
		s.copy(1)
		return nil
	}
	tag := s.text[s.at : i+1]
	length := strings.Index(s.text[i+1:], tag)
	if length < 0 {
		return fmt.Errorf("has a %s that nothing closes", tag)
	}
	s.copy(2*len(tag) + length)
	return nil
}

// colon reads a parameter, a cast, an assignment or a colon that is none of them.
func (s *scanner) colon() error {
	rest := s.text[s.at+1:]
	if rest != "" && (rest[0] == ':' || rest[0] == '=') {
		s.copy(2)
		return nil
	}
	if rest == "" || !isWord(rest[0]) || '0' <= rest[0] && rest[0] <= '9' {
		s.copy(1)
		return nil
	}
	name := rest[:wordLength(rest)]
	if err := s.isKnown(name); err != nil {
		return err
	}
	if s.current.Parameters = append(s.current.Parameters, name); len(s.current.Parameters) > maxParameters {
		return fmt.Errorf("has more than %d parameters in a statement", maxParameters)
	}
	if s.at > 0 && isWord(s.text[s.at-1]) {
		s.out.WriteByte(' ') // x$1 would be a name
	}
	s.out.WriteString(s.grammar.placeholder(len(s.current.Parameters)))
	s.at += 1 + len(name)
	return nil
}

func (s *scanner) word() error {
	rest := s.text[s.at:]
	n := wordLength(rest)
	// In PostgreSQL a name may have a $, which begins no literal then.
	for s.grammar.dollarQuotes && n < len(rest) && (rest[n] == '$' || isWord(rest[n])) {
		n++
	}
	word := strings.ToUpper(rest[:n])
	if s.depth == 0 || len(s.words) == 0 {
		s.words = append(s.words, word)
	}
	s.copy(n)
	if s.grammar.escapeStrings && word == "E" && s.at < len(s.text) && s.text[s.at] == '\'' {
		return s.quoted('\'', true)
	}
	return nil
}

// end ends a statement. One without code is left out.
func (s *scanner) end() error {
	s.current.Text = strings.TrimSpace(s.out.String())
	s.out.Reset()
	words, current := s.words, s.current
	s.words, s.current, s.depth = nil, Statement{}, 0
	if len(words) == 0 {
		if len(current.Parameters) > 0 {
			return errors.New("has a statement that is no more than a parameter")
		}
		return nil
	}
	switch words[0] {
	case "BEGIN", "START", "COMMIT", "ROLLBACK", "END", "ABORT":
		return fmt.Errorf("begins or ends a transaction with %s; sql.transaction says whether an item has one", words[0])
	case "COPY":
		// The server would wait for data that nobody sends.
		for _, place := range []string{"STDIN", "STDOUT"} {
			if slices.Contains(words, place) {
				return fmt.Errorf("has a COPY with %s, where there are no data and nobody for them; COPY takes a file of the server", place)
			}
		}
	}
	current.IsQuery = returnsRows(words)
	if s.found = append(s.found, current); len(s.found) > maxStatements {
		return fmt.Errorf("has more than %d statements", maxStatements)
	}
	return nil
}

// returnsRows tells a query by its words.
func returnsRows(words []string) bool {
	verb := words[0]
	if verb == "WITH" {
		i := slices.IndexFunc(words, func(word string) bool {
			return slices.Contains([]string{"SELECT", "VALUES", "TABLE", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"}, word)
		})
		if i >= 0 {
			verb = words[i]
		}
	}
	switch verb {
	case "SELECT", "VALUES", "TABLE", "SHOW", "EXPLAIN", "DESCRIBE", "DESC", "PRAGMA":
		return true
	default:
		return slices.Contains(words, "RETURNING")
	}
}

// lineOf is the length of the line that a text begins with.
func lineOf(text string) int {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return i
	}
	return len(text)
}

// wordLength is the length of the word that a text begins with.
func wordLength(text string) int {
	n := 0
	for n < len(text) && isWord(text[n]) {
		n++
	}
	return n
}

func isSpace(c byte) bool { return c <= ' ' }

// isWord says that names are made of the byte. Those of other alphabets have
// none below 0x80 in UTF-8.
func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c >= utf8.RuneSelf
}
