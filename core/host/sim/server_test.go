package sim_test

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // the name of a script in Redis
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	resp "github.com/alicebob/miniredis/v2/server"

	"github.com/elasticjob-go/elasticjob/core/registry/embedded/script"
)

// server is the Redis of a life: miniredis, with a clock, an identity and failures
// of its own. It runs one script at a time and tells what it was asked and what it
// answered, which is the truth that histories are checked against.
type server struct {
	redis  *miniredis.Miniredis
	runner *script.Runner
	lib    library
	edit   edit
	begin  time.Time
	// ran is told of every script, before anything else happens in the data.
	ran func(call)

	peers   sync.Map               // those of connections
	offset  atomic.Int64           // nanoseconds that the clock is ahead
	refusal atomic.Pointer[string] // what every command is answered
	runID   atomic.Int64

	mu sync.Mutex // one script at a time

	scripts map[string]string // by hash, the hashes of what the life makes of them
	names   map[string]string // of scripts by hash
}

// call is a script that ran.
type call struct {
	at     time.Duration
	script string
	keys   []string
	args   []string // without those that all scripts share
	reply  []any
}

// edit changes the text of a script.
type edit func(name, text string) string

// library are the texts of the scripts by name.
type library map[string]string

// scriptsOf reads the scripts of the registry center.
func scriptsOf(t testing.TB) library {
	t.Helper()
	files, err := filepath.Glob("../../registry/scripts/*.lua")
	if err != nil || len(files) == 0 {
		t.Fatalf("scripts of the registry: %v, %v", files, err)
	}
	lib := library{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		lib[strings.TrimSuffix(filepath.Base(f), ".lua")] = string(text)
	}
	return lib
}

// nameOf tells a script by its last part.
func (l library) nameOf(text string) string {
	for name, part := range l {
		if strings.HasSuffix(text, part) {
			return name
		}
	}
	return ""
}

func newServer(t testing.TB, lib library, edit edit, ran func(call)) *server {
	t.Helper()
	s := &server{redis: miniredis.NewMiniRedis(), lib: lib, edit: edit, begin: time.Now(), ran: ran, scripts: map[string]string{}, names: map[string]string{}}
	runner, err := script.New(s.redis)
	if err != nil {
		t.Fatal(err)
	}
	s.runner = runner
	s.redis.Server().SetPreHook(s.answer)
	return s
}

// connect is a way to the server for a link.
func (s *server) connect() (net.Conn, error) { return s.redis.Dial() }

func (s *server) now() time.Time { return time.Now().Add(time.Duration(s.offset.Load())) }

// answer answers what miniredis does not as a Redis would.
func (s *server) answer(peer *resp.Peer, cmd string, args ...string) bool {
	switch cmd {
	case "INFO":
		peer.WriteBulk(s.info())
		return true
	case "HELLO":
		s.peers.Store(peer, true)
	}
	if _, isClient := s.peers.Load(peer); !isClient {
		return s.runner.Answer(peer, cmd, args...) // a script, and what it does
	}
	if text := s.refusal.Load(); text != nil {
		peer.WriteError(*text)
		return true
	}
	switch {
	case cmd == "SCRIPT" && len(args) == 2 && strings.EqualFold(args[0], "load"):
		s.mu.Lock()
		defer s.mu.Unlock()
		peer.WriteBulk(s.load(args[1]))
		return true
	case cmd == "TIME" || cmd == "EXEC":
		s.redis.SetTime(s.now())
	case cmd == "EVAL" || cmd == "EVALSHA":
		s.run(peer, cmd, args)
		return true
	}
	return false
}

func (s *server) info() string {
	return fmt.Sprintf("# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:run%d\r\n"+
		"loading:0\r\nrole:master\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\nconnected_slaves:0\r\ncluster_enabled:0\r\n", s.runID.Load())
}

// load keeps a script under its name, as broken as the life wants it.
func (s *server) load(text string) string {
	sha := shaOf(text)
	if _, known := s.scripts[sha]; !known {
		name := s.lib.nameOf(text)
		s.names[sha] = name
		if s.edit != nil {
			text = s.edit(name, text)
		}
		s.redis.Server().Dispatch(resp.NewPeer(bufio.NewWriter(io.Discard)), []string{"SCRIPT", "LOAD", text})
		s.scripts[sha] = shaOf(text)
	}
	return sha
}

// shaOf is the name of a script in Redis.
func shaOf(text string) string {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// run runs a script and tells of it.
func (s *server) run(peer *resp.Peer, cmd string, args []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sha := args[0]
	if cmd == "EVAL" {
		sha = s.load(args[0])
	}
	broken, known := s.scripts[sha]
	if !known {
		peer.WriteError("NOSCRIPT No matching script. Please use EVAL.")
		return
	}
	var answer bytes.Buffer
	w := bufio.NewWriter(&answer)
	inner := resp.NewPeer(w)
	inner.Resp3 = peer.Resp3
	s.redis.SetTime(s.now())
	s.redis.Server().Dispatch(inner, append([]string{"EVALSHA", broken}, args[1:]...))
	inner.Flush()
	raw := answer.String()
	reply, err := resp.ParseReply(bufio.NewReader(&answer))
	if err != nil {
		panic(fmt.Sprintf("script %s: %v", s.names[sha], err))
	}
	if list, ok := reply.([]any); ok && s.names[sha] != "" {
		n := 0
		_, _ = fmt.Sscan(args[1], &n)
		s.ran(call{at: time.Since(s.begin), script: s.names[sha], keys: args[2 : 2+n], args: args[min(5+n, len(args)):], reply: list})
	}
	peer.WriteRaw(raw)
}

// refuse makes all commands fail with a text; an empty one ends that. No script is
// under way then.
func (s *server) refuse(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if text == "" {
		s.refusal.Store(nil)
		return
	}
	s.refusal.Store(&text)
}

// replace makes another server process of it, with the data given: none for one
// that has lost all.
func (s *server) replace(data map[string]stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runID.Add(1)
	clear(s.scripts)
	s.redis.FlushAll()
	for key, v := range data {
		v.put(s.redis, key)
	}
}

// stored is the value of a key.
type stored struct {
	hash   map[string]string
	scores map[string]float64
	stream []miniredis.StreamEntry
}

// snapshot copies all data.
func (s *server) snapshot() map[string]stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	data := map[string]stored{}
	for _, key := range s.redis.Keys() {
		v, err := get(s.redis, key)
		if err != nil {
			panic(fmt.Sprintf("copying %s: %v", key, err))
		}
		data[key] = v
	}
	return data
}

func get(redis *miniredis.Miniredis, key string) (v stored, err error) {
	switch kind := redis.Type(key); kind {
	case "hash":
		v.hash = hashOf(redis, key)
	case "zset":
		// What these return goes on to change with the data.
		v.scores, err = redis.SortedSet(key)
		v.scores = maps.Clone(v.scores)
	case "stream":
		v.stream, err = redis.Stream(key)
		v.stream = slices.Clone(v.stream)
	default:
		err = fmt.Errorf("a %s", kind)
	}
	return v, err
}

func hashOf(redis *miniredis.Miniredis, key string) map[string]string {
	fields, err := redis.HKeys(key)
	if err != nil {
		return nil // there is no such key
	}
	values := make(map[string]string, len(fields))
	for _, f := range fields {
		values[f] = redis.HGet(key, f)
	}
	return values
}

func (v stored) put(redis *miniredis.Miniredis, key string) {
	for field, value := range v.hash {
		redis.HSet(key, field, value)
	}
	for member, score := range v.scores {
		if _, err := redis.ZAdd(key, score, member); err != nil {
			panic(err)
		}
	}
	for _, e := range v.stream {
		if _, err := redis.XAdd(key, e.ID, e.Values); err != nil {
			panic(err)
		}
	}
}
