package script

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// value reads one value of an answer, written in version 2 of the protocol, as
// scripts get it, and returns what follows it.
func (m *machine) value(b []byte) (v lua.LValue, rest []byte, ok bool) {
	line, rest, ok := bytes.Cut(b, []byte("\r\n"))
	if !ok || len(line) == 0 {
		return nil, nil, false
	}
	kind, text := line[0], string(line[1:])
	switch kind {
	case '+':
		return m.table(okField, text), rest, true
	case '-':
		return m.table(errField, inScript(text)), rest, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, nil, false
	}
	switch {
	case kind == ':':
		return lua.LNumber(n), rest, true
	case n < 0 && (kind == '$' || kind == '*'):
		return lua.LFalse, rest, true
	case kind == '$' && n+2 <= int64(len(rest)):
		return lua.LString(rest[:n]), rest[n+2:], true
	case kind == '*' && n <= int64(len(rest)):
		return m.array(int(n), rest)
	}
	return nil, nil, false
}

// inScript words an error for a script where Redis does so.
func inScript(text string) string {
	switch {
	case strings.HasPrefix(text, "ERR unknown command"):
		return "ERR Unknown Redis command called from script"
	case strings.HasPrefix(text, "ERR wrong number of arguments"):
		return "ERR Wrong number of args calling Redis command from script"
	}
	return text
}

func (m *machine) array(n int, rest []byte) (v lua.LValue, _ []byte, ok bool) {
	t := m.state.CreateTable(n, 0)
	for range n {
		if v, rest, ok = m.value(rest); !ok {
			return nil, nil, false
		}
		t.Append(v)
	}
	return t, rest, true
}

// table is a status or an error.
func (m *machine) table(field, text string) *lua.LTable {
	t := m.state.NewTable()
	t.RawSetString(field, lua.LString(text))
	return t
}

// appendValue writes what a script returns for its client.
func appendValue(b []byte, v lua.LValue, resp3 bool) []byte {
	switch v := v.(type) {
	case lua.LString:
		b = appendHead(b, '$', len(v))
		b = append(b, v...)
		return append(b, "\r\n"...)
	case lua.LNumber:
		return appendHead(b, ':', int(v))
	case lua.LBool:
		if v {
			return appendHead(b, ':', 1)
		}
	case *lua.LTable:
		return appendTable(b, v, resp3)
	}
	if resp3 {
		return append(b, "_\r\n"...)
	}
	return append(b, "$-1\r\n"...)
}

func appendTable(b []byte, t *lua.LTable, resp3 bool) []byte {
	if text, isString := t.RawGetString(errField).(lua.LString); isString {
		return appendLine(b, '-', string(text))
	}
	if text, isString := t.RawGetString(okField).(lua.LString); isString {
		return appendLine(b, '+', string(text))
	}
	n := 0
	for t.RawGetInt(n+1) != lua.LNil {
		n++
	}
	b = appendHead(b, '*', n)
	for i := range n {
		b = appendValue(b, t.RawGetInt(i+1), resp3)
	}
	return b
}

func appendHead(b []byte, kind byte, n int) []byte {
	b = append(b, kind)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, "\r\n"...)
}

func appendLine(b []byte, kind byte, text string) []byte {
	b = append(b, kind)
	b = append(b, strings.NewReplacer("\r", " ", "\n", " ").Replace(text)...)
	return append(b, "\r\n"...)
}

// failure words the error that a script ended with.
func failure(err error, sha string) string {
	var text, line string
	var raised *lua.ApiError
	switch {
	case !errors.As(err, &raised):
		text = "ERR " + err.Error()
	default:
		t, isTable := raised.Object.(*lua.LTable)
		if !isTable {
			text = raised.Object.String()
			line = lineOf(text)
			text = "ERR " + text
			break
		}
		text = t.RawGetString(errField).String()
		if l, isString := t.RawGetString(lineField).(lua.LString); isString {
			line = string(l)
		}
	}
	text += " script: " + sha
	if line != "" {
		text += ", on @" + source + ":" + line + "."
	}
	return text
}

// lineOf is the number of the line in "user_script:12: and a text".
func lineOf(where string) string {
	rest, ok := strings.CutPrefix(where, source+":")
	if !ok {
		return ""
	}
	line, _, _ := strings.Cut(rest, ":")
	return line
}
