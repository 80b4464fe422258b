// Package script runs Lua scripts for a miniredis server.
//
// miniredis builds a Lua machine for each run of a script, which costs far more
// than the run. A [Runner] keeps one machine for its server, and programs that are
// compiled once for the whole process. What scripts see of Redis is what Redis 7
// shows them: KEYS, ARGV, redis.call, redis.pcall, redis.error_reply and
// redis.status_reply, with its conversions and texts of errors. Of Lua it is the
// part that neither leaves anything behind for the next script nor depends on
// anything but arguments and data.
package script

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// maxLoaded is how many scripts a server keeps; the registry has some twenty. One
// more and it forgets all: clients load what is not there.
const maxLoaded = 1000

// Runner runs the scripts of one server, one at a time and each as one step of the
// server. It is safe for concurrent use.
type Runner struct {
	redis   *miniredis.Miniredis
	server  *server.Server
	machine *machine

	// The lock of redis guards what follows.

	loaded map[string]*program
	// transacting are the clients between MULTI and EXEC.
	transacting map[*server.Peer]bool
}

// New returns the runner of a server, which it starts without a listener unless it
// runs. The caller has the server ask [Runner.Answer] before each command.
func New(redis *miniredis.Miniredis) (*Runner, error) {
	if redis.Server() == nil {
		c, err := redis.Dial() // the first connection starts it
		if err != nil {
			return nil, fmt.Errorf("starting the server: %w", err)
		}
		if err := c.Close(); err != nil {
			return nil, fmt.Errorf("starting the server: %w", err)
		}
	}
	r := &Runner{redis: redis, server: redis.Server(), loaded: map[string]*program{}, transacting: map[*server.Peer]bool{}}
	inside, err := within(r.server)
	if err != nil {
		return nil, err
	}
	r.machine = newMachine(r.server, inside)
	return r, nil
}

// within returns what miniredis knows the commands of a script by: they do not
// wait for the lock that the script holds. Only a script of miniredis' own gets to
// see it, so one is run.
func within(s *server.Server) (inside any, err error) {
	const command = "WITHIN"
	s.SetPreHook(func(peer *server.Peer, cmd string, _ ...string) bool {
		if cmd != command {
			return false
		}
		inside = peer.Ctx
		peer.WriteOK()
		return true
	})
	s.Dispatch(server.NewPeer(bufio.NewWriter(io.Discard)), []string{"EVAL", "return redis.call('" + command + "')", "0"})
	s.SetPreHook(nil)
	if inside == nil {
		return nil, errors.New("miniredis runs no scripts")
	}
	return inside, nil
}

// Answer answers EVAL, EVALSHA and SCRIPT, and returns false for all else, which
// the server then does itself. It is a hook of the server.
func (r *Runner) Answer(peer *server.Peer, cmd string, args ...string) bool {
	switch cmd {
	case "EVAL", "EVALSHA", "SCRIPT", "MULTI", "EXEC", "DISCARD":
	default:
		return false
	}
	switch {
	case r.machine.isOf(peer):
		peer.WriteError("ERR This Redis command is not allowed from script")
		return true
	case cmd == "SCRIPT":
		return r.manage(peer, args)
	case cmd == "EVAL", cmd == "EVALSHA":
		return len(args) >= 2 && r.eval(peer, cmd, args)
	}
	r.transact(peer, cmd == "MULTI")
	return false
}

// transact notes that a client begins or ends a transaction.
func (r *Runner) transact(peer *server.Peer, begins bool) {
	r.redis.Lock()
	defer r.redis.Unlock()
	if !begins {
		delete(r.transacting, peer)
		return
	}
	if !r.transacting[peer] {
		peer.OnDisconnect(func() { r.transact(peer, false) })
	}
	r.transacting[peer] = true
}

// manage does SCRIPT LOAD, SCRIPT EXISTS and SCRIPT FLUSH.
func (r *Runner) manage(peer *server.Peer, args []string) bool {
	if len(args) == 0 {
		return false
	}
	switch verb := strings.ToUpper(args[0]); {
	case verb == "LOAD" && len(args) == 2:
		p, err := compiled.get(shaOf(args[1]), args[1])
		if err != nil {
			peer.WriteError(err.Error())
			return true
		}
		r.redis.Lock()
		r.keep(p)
		r.redis.Unlock()
		peer.WriteBulk(p.sha)
	case verb == "EXISTS" && len(args) > 1:
		r.redis.Lock()
		defer r.redis.Unlock()
		peer.WriteLen(len(args) - 1)
		for _, sha := range args[1:] {
			n := 0
			if r.loaded[strings.ToLower(sha)] != nil {
				n = 1
			}
			peer.WriteInt(n)
		}
	case verb == "FLUSH" && (len(args) == 1 || len(args) == 2 && isFlushMode(args[1])):
		r.redis.Lock()
		clear(r.loaded)
		r.redis.Unlock()
		peer.WriteOK()
	default:
		return false // refused by the server
	}
	return true
}

func isFlushMode(arg string) bool {
	return strings.EqualFold(arg, "SYNC") || strings.EqualFold(arg, "ASYNC")
}

// keep holds the lock of redis.
func (r *Runner) keep(p *program) {
	if len(r.loaded) >= maxLoaded {
		clear(r.loaded)
	}
	r.loaded[p.sha] = p
}

// eval runs a script for a client. In a transaction it is left to the server, which
// knows no script by its hash.
func (r *Runner) eval(peer *server.Peer, cmd string, args []string) bool {
	r.redis.Lock()
	defer r.redis.Unlock()
	if r.transacting[peer] {
		return false
	}
	p, refusal := r.find(cmd, args[0])
	if p == nil {
		peer.WriteError(refusal)
		return true
	}
	keys, args, refusal := split(args[1:])
	if refusal != "" {
		peer.WriteError(refusal)
		return true
	}
	peer.WriteRaw(string(r.machine.run(p, keys, args, peer.Resp3)))
	return true
}

// find returns the program that EVAL or EVALSHA names, or why there is none.
func (r *Runner) find(cmd, name string) (p *program, refusal string) {
	if cmd == "EVALSHA" {
		return r.loaded[strings.ToLower(name)], "NOSCRIPT No matching script. Please use EVAL."
	}
	sha := shaOf(name)
	if p = r.loaded[sha]; p != nil {
		return p, ""
	}
	p, err := compiled.get(sha, name)
	if err != nil {
		return nil, err.Error()
	}
	r.keep(p)
	return p, ""
}

// split parts what follows a script: the number of keys, the keys, the arguments.
func split(args []string) (keys, rest []string, refusal string) {
	n, err := strconv.Atoi(args[0])
	switch {
	case err != nil:
		return nil, nil, "ERR value is not an integer or out of range"
	case n < 0:
		return nil, nil, "ERR Number of keys can't be negative"
	case n > len(args)-1:
		return nil, nil, "ERR Number of keys can't be greater than number of args"
	}
	return args[1 : 1+n], args[1+n:], ""
}
