package script

import (
	"crypto/sha1" //nolint:gosec // the name of a script in Redis
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// source is the name that errors know a script by.
const source = "user_script"

// maxCompiled bounds the cache of a process.
const maxCompiled = 256

// program is a script that is ready to run. Machines share it.
type program struct {
	sha  string
	code *lua.FunctionProto
}

// compiled are the programs of all servers of the process: the same text is the
// same program everywhere. A full cache begins anew.
//
//nolint:gochecknoglobals // a program depends on nothing but its text
var compiled = cache{programs: map[string]*program{}}

type cache struct {
	mu       sync.Mutex
	programs map[string]*program
}

// get returns the program of a text, or the error that Redis has for a text that is
// none.
func (c *cache) get(sha, text string) (*program, error) {
	c.mu.Lock()
	p := c.programs[sha]
	c.mu.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := compile(sha, text)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.programs) >= maxCompiled {
		clear(c.programs)
	}
	c.programs[sha] = p
	return p, nil
}

func compile(sha, text string) (*program, error) {
	chunk, err := parse.Parse(strings.NewReader(text), source)
	if err != nil {
		return nil, compileError{err}
	}
	code, err := lua.Compile(chunk, source)
	if err != nil {
		return nil, compileError{err}
	}
	return &program{sha: sha, code: code}, nil
}

// compileError is worded as Redis words it.
type compileError struct{ err error }

func (e compileError) Error() string {
	return fmt.Sprintf("ERR Error compiling script (new function): %v", e.err)
}

func (e compileError) Unwrap() error { return e.err }

func shaOf(text string) string {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // the name of a script in Redis
	return hex.EncodeToString(sum[:])
}
