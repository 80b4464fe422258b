package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on what is given to the YAML library, which recurses into nested values
// and over the keys of a mapping, and whose work grows with the square of these.
const (
	maxFileSize = 4 << 20
	maxKeys     = 20_000 // of one mapping
	maxColumn   = 512    // of a nested block
)

// source is the text of a file, for places and hints.
type source struct {
	name    string
	lines   []string
	lengths []int // of the lines, in characters
}

func newSource(name string, data []byte) source {
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	s := source{name: name, lines: strings.Split(strings.ReplaceAll(text, "\r", "\n"), "\n")}
	s.lengths = make([]int, len(s.lines))
	for i, line := range s.lines {
		s.lengths[i] = utf8.RuneCountInString(line)
	}
	return s
}

// place returns a position that is within the file, whatever the YAML library says.
func (s source) place(line, column int) Position {
	line = min(max(line, 1), len(s.lines))
	return Position{File: s.name, Line: line, Column: min(max(column, 1), s.lengths[line-1]+1)}
}

func (s source) line(number int) string { return s.lines[number-1] }

// fault is why a file cannot be read any further.
type fault struct {
	at            Position
	rule, message string
}

// parse reads the one document of a file.
func (s source) parse(data []byte) (ast.Node, *fault) {
	if len(data) > maxFileSize {
		return nil, &fault{s.place(1, 1), ruleSize, "the file has more than 4 MiB"}
	}
	if at, why := s.firstInvalid(data); why != "" {
		return nil, &fault{at, ruleSyntax, why}
	}
	file, err := s.parseYAML(string(data))
	if err != nil {
		if f, ok := errors.AsType[*fault](err); ok {
			return nil, f
		}
		return nil, s.explain(err)
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.DirectiveType || doc.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			at := s.place(1, 1)
			if tk := doc.Body.GetToken(); doc.Start != nil {
				at = s.place(doc.Start.Position.Line, doc.Start.Position.Column)
			} else if tk != nil {
				at = s.place(tk.Position.Line, tk.Position.Column)
			}
			return nil, &fault{at, ruleSyntax, "a second YAML document begins here; a configuration is one document"}
		}
		body = doc.Body
	}
	return body, nil
}

// Error makes a fault an error, for parseYAML.
func (f *fault) Error() string { return f.message }

// parseYAML calls the YAML library. A panic of it is reported as what it means
// to the user: this file cannot be read.
func (s source) parseYAML(text string) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &fault{s.place(1, 1), ruleSyntax, fmt.Sprintf("the YAML parser gives up on this file (%v)", r)}
		}
	}()
	tokens := lexer.Tokenize(text)
	if f := s.checkTokens(tokens); f != nil {
		return nil, f
	}
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// checkTokens refuses what would take the YAML library too deep or too long.
func (s source) checkTokens(tokens token.Tokens) *fault {
	type level struct{ column, keys int }
	var open []level // blocks that are open, by twice their column, one more for lists
	flow := 0
	for _, tk := range tokens {
		start := tk
		switch tk.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
			if flow > maxDepth {
				return &fault{s.at(tk), ruleSize, "mappings and lists are nested more than 64 deep here"}
			}
			continue
		case token.MappingEndType, token.SequenceEndType:
			flow = max(flow-1, 0)
			continue
		case token.MappingValueType:
			if tk.Prev != nil && tk.Prev.Position.Line == tk.Position.Line {
				start = tk.Prev
			}
		case token.MappingKeyType, token.SequenceEntryType, token.AnchorType, token.TagType:
		default:
			continue
		}
		if flow > 0 {
			continue
		}
		if start.Position.Column > maxColumn && tk.Type != token.MappingValueType {
			return &fault{s.at(start), ruleSize, "a block this far to the right is nested too deep"}
		}
		column := 2 * start.Position.Column
		if tk.Type == token.SequenceEntryType {
			column++
		}
		for len(open) > 0 && open[len(open)-1].column > column {
			open = open[:len(open)-1]
		}
		if len(open) == 0 || open[len(open)-1].column < column {
			open = append(open, level{column: column})
		}
		if len(open) > 2*maxDepth {
			return &fault{s.at(start), ruleSize, "mappings and lists are nested more than 64 deep here"}
		}
		if top := &open[len(open)-1]; tk.Type != token.SequenceEntryType {
			if top.keys++; top.keys > maxKeys {
				return &fault{s.at(start), ruleSize, "a mapping has more than 20000 keys"}
			}
		}
	}
	return nil
}

func (s source) at(tk *token.Token) Position {
	return s.place(tk.Position.Line, tk.Position.Column)
}

// explain turns an error of the YAML library into a place and plain words.
func (s source) explain(err error) *fault {
	syntax, ok := errors.AsType[yaml.Error](err)
	if !ok || syntax.GetToken() == nil {
		return &fault{s.place(1, 1), ruleSyntax, "the file is not YAML: " + firstLine(err.Error())}
	}
	at := s.at(syntax.GetToken())
	message := "this is not YAML: " + firstLine(syntax.GetMessage())
	hint := hintFor(s.line(at.Line), s.isInSecrets(at.Line))
	if open := unclosed(syntax.GetToken()); open != nil && hint != hintPlaceholder && strings.ContainsAny(message, "}]") {
		start := s.at(open)
		hint = fmt.Sprintf("the %s in line %d, column %d is not closed before this", open.Value, start.Line, start.Column)
	}
	if hint != "" {
		message += "; " + hint
	}
	return &fault{at, ruleSyntax, message}
}

// unclosed returns the innermost { or [ that is open at a token, nil if none is.
func unclosed(tk *token.Token) *token.Token {
	for closed := 0; tk != nil; tk = tk.Prev {
		switch tk.Type {
		case token.MappingEndType, token.SequenceEndType:
			closed++
		case token.MappingStartType, token.SequenceStartType:
			if closed == 0 {
				return tk
			}
			closed--
		default:
		}
	}
	return nil
}

const hintPlaceholder = `a placeholder within {…} or […], or with ": " in it, must be quoted: "${NAME}"`

// isInSecrets says whether a line stands below a key of secrets, judged by its
// indentation alone: the file is not YAML.
func (s source) isInSecrets(number int) bool {
	indent := func(line string) int { return len(line) - len(strings.TrimLeft(line, " \t")) }
	least := indent(s.line(number))
	for n := number - 1; n > 0 && least > 0; n-- {
		line := s.line(n)
		if text := strings.TrimSpace(line); text == "" || text[0] == '#' || indent(line) >= least {
			continue
		}
		least = indent(line)
		if key, _, _ := strings.Cut(strings.TrimSpace(line), ":"); isSecretKey(key) {
			return true
		}
	}
	return false
}

// hintFor knows the traps of YAML that a line of a job file falls into. hidden
// says that the line may hold a secret, whatever its key.
func hintFor(line string, hidden bool) string {
	key, value, found := strings.Cut(line, ": ")
	key, value = strings.TrimLeft(key, " -"), strings.TrimSpace(value)
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	switch {
	case strings.Contains(indent, "\t"):
		return "indent with spaces, not with tabs"
	case found && strings.HasPrefix(value, "*") && (hidden || isSecretKey(key)):
		return "a value that begins with * must be quoted"
	case found && strings.HasPrefix(value, "*"):
		return fmt.Sprintf("a value that begins with * must be quoted: %s: %q", key, strings.TrimSpace(cutComment(value)))
	case strings.Contains(value, "${") && strings.ContainsAny(value, "{["):
		return hintPlaceholder
	case found && value != "" && strings.ContainsAny(value[:1], "@`%&!|>"):
		return "a value that begins with " + value[:1] + " may have to be quoted"
	case found && strings.Contains(value, ": "):
		return `a value with ": " in it must be quoted`
	}
	return ""
}

func cutComment(value string) string {
	before, _, _ := strings.Cut(value, " #")
	return before
}

func firstLine(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	return text
}

// firstInvalid returns the place of the first bytes that are not text and what
// is wrong with them, "" if all is text.
func (s source) firstInvalid(data []byte) (Position, string) {
	valid := utf8.Valid(data)
	hasZero := bytes.Contains(data, []byte{0})
	if valid && !hasZero {
		return Position{}, ""
	}
	line, column := 1, 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return s.place(line, column), "the file is not UTF-8 text from here on"
		case r == 0:
			return s.place(line, column), "there is a zero byte here; a configuration is text in UTF-8"
		case r == '\n':
			line, column = line+1, 1
		default:
			column++
		}
		i += size
	}
	return Position{}, ""
}
