package script

import (
	"bufio"
	"bytes"

	"github.com/alicebob/miniredis/v2/server"
	lua "github.com/yuin/gopher-lua"
)

// machine is a Lua machine whose scripts call commands of a server. It is not safe
// for concurrent use.
type machine struct {
	state  *lua.LState
	server *server.Server
	// peer is the client that commands of scripts come from, and answer what it
	// was answered.
	peer   *server.Peer
	answer bytes.Buffer
	// globals is the environment of scripts, given what is behind it; see newGlobals.
	globals, behind *lua.LTable
	reply           []byte
}

func newMachine(s *server.Server, inside any) *machine {
	m := &machine{state: lua.NewState(lua.Options{SkipOpenLibs: true}), server: s}
	m.peer = server.NewPeer(bufio.NewWriter(&m.answer))
	m.peer.Ctx = inside
	m.globals, m.behind = m.newGlobals()
	return m
}

func (m *machine) isOf(peer *server.Peer) bool { return peer == m.peer }

// run runs a program and returns its reply as it goes to a client, valid until the
// next run.
func (m *machine) run(p *program, keys, args []string, resp3 bool) []byte {
	m.behind.RawSetString("KEYS", m.list(keys))
	m.behind.RawSetString("ARGV", m.list(args))
	main := m.state.NewFunctionFromProto(p.code)
	main.Env = m.globals
	m.state.Push(main)
	if err := m.state.PCall(0, 1, nil); err != nil {
		m.reply = appendLine(m.reply[:0], '-', failure(err, p.sha))
	} else {
		m.reply = appendValue(m.reply[:0], m.state.Get(-1), resp3)
	}
	m.state.SetTop(0)
	return m.reply
}

func (m *machine) list(values []string) *lua.LTable {
	t := m.state.CreateTable(len(values), 0)
	for _, v := range values {
		t.Append(lua.LString(v))
	}
	return t
}
