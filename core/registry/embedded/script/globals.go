package script

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// newGlobals returns the environment of scripts, an empty table, and the table that
// is looked into instead of it. As it stays empty, each assignment to a global comes
// to where it is refused. Scripts cannot reach the table behind it, nor the
// libraries, which are only shown: what one script does to them the next would see.
func (m *machine) newGlobals() (globals, behind *lua.LTable) {
	l := m.state
	behind = l.NewTable()
	for name, open := range map[string]lua.LGFunction{
		lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString, lua.MathLibName: lua.OpenMath,
	} {
		l.Push(l.NewFunction(open))
		l.Push(lua.LString(name))
		l.Call(1, 0)
	}
	// Left out is what reaches around the environment, what reads code and files,
	// what is another thing in each run, and Lua's pcall, which is another one in
	// Redis.
	for name := range strings.FieldsSeq("assert error ipairs next pairs select tonumber tostring type unpack") {
		behind.RawSetString(name, l.GetGlobal(name))
	}
	for _, name := range []string{lua.TabLibName, lua.StringLibName, lua.MathLibName} {
		behind.RawSetString(name, m.shown(l.GetGlobal(name)))
	}
	for _, random := range []string{"random", "randomseed"} {
		l.SetField(l.GetGlobal(lua.MathLibName), random, lua.LNil)
	}
	behind.RawSetString("redis", m.shown(l.SetFuncs(l.NewTable(), map[string]lua.LGFunction{
		"call": m.call, "pcall": m.protectedCall, "error_reply": errorReply, "status_reply": statusReply,
	})))
	l.SetMetatable(behind, l.SetFuncs(l.NewTable(), map[string]lua.LGFunction{"__index": noGlobal}))

	globals = l.NewTable()
	l.SetMetatable(globals, m.readOnly(behind))
	return globals, behind
}

// shown is a library that can be looked into and not be changed.
func (m *machine) shown(library lua.LValue) *lua.LUserData {
	u := m.state.NewUserData()
	u.Metatable = m.readOnly(library)
	return u
}

func (m *machine) readOnly(behind lua.LValue) *lua.LTable {
	t := m.state.SetFuncs(m.state.NewTable(), map[string]lua.LGFunction{"__newindex": refuseWrite})
	t.RawSetString("__index", behind)
	return t
}

func refuseWrite(l *lua.LState) int {
	l.RaiseError("Attempt to modify a readonly table")
	return 0
}

func noGlobal(l *lua.LState) int {
	l.RaiseError("Script attempted to access nonexistent global variable '%s'", l.Get(2).String())
	return 0
}
