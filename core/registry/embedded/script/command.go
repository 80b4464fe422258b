package script

import (
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// The fields of a table that stands for a status or an error, and of where an error
// arose.
const (
	okField   = "ok"
	errField  = "err"
	lineField = "line"
)

// call is redis.call: it raises the errors of commands.
func (m *machine) call(l *lua.LState) int {
	v := m.command(l)
	if t, isTable := v.(*lua.LTable); isTable && t.RawGetString(errField) != lua.LNil {
		if line := lineOf(l.Where(1)); line != "" {
			t.RawSetString(lineField, lua.LString(line))
		}
		l.Error(t, 1)
	}
	l.Push(v)
	return 1
}

// protectedCall is redis.pcall: it returns the errors of commands.
func (m *machine) protectedCall(l *lua.LState) int {
	l.Push(m.command(l))
	return 1
}

// command has the server do what the arguments say and returns its answer.
func (m *machine) command(l *lua.LState) lua.LValue {
	n := l.GetTop()
	if n == 0 {
		return m.table(errField, "ERR Please specify at least one argument for this redis lib call")
	}
	args := make([]string, n) // kept by some commands
	for i := range args {
		switch v := l.Get(i + 1).(type) {
		case lua.LString:
			args[i] = string(v)
		case lua.LNumber:
			args[i] = number(v)
		default:
			return m.table(errField, "ERR Lua redis lib command arguments must be strings or integers")
		}
	}
	m.answer.Reset()
	m.server.Dispatch(m.peer, args)
	m.peer.Flush()
	v, rest, ok := m.value(m.answer.Bytes())
	if !ok || len(rest) > 0 {
		return m.table(errField, "ERR the answer to "+args[0]+" is not understood")
	}
	return v
}

// number writes a number as an argument of a command.
func number(n lua.LNumber) string {
	f := float64(n)
	if f == math.Trunc(f) && math.Abs(f) < 1e17 {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', 17, 64)
}

// errorReply is redis.error_reply.
func errorReply(l *lua.LState) int {
	text, isString := l.Get(1).(lua.LString)
	if l.GetTop() != 1 || !isString {
		return reply(l, errField, "ERR wrong number or type of arguments")
	}
	t := strings.TrimPrefix(string(text), "-")
	if !strings.Contains(t, " ") {
		t = "ERR " + t
	}
	return reply(l, errField, t)
}

// statusReply is redis.status_reply.
func statusReply(l *lua.LState) int {
	text, isString := l.Get(1).(lua.LString)
	if l.GetTop() != 1 || !isString {
		return reply(l, errField, "ERR wrong number or type of arguments")
	}
	return reply(l, okField, string(text))
}

func reply(l *lua.LState, field, text string) int {
	t := l.NewTable()
	t.RawSetString(field, lua.LString(text))
	l.Push(t)
	return 1
}
