package config

import (
	"cmp"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
)

// Values that a node has when its file does not say otherwise.
const (
	DefaultShutdownGrace   = 30 * time.Second
	DefaultMaxRunningItems = 256
	DefaultOnZombie        = ZombieLog
)

// What becomes of a node with code that runs on after its lease was lost and it was
// cancelled.
const (
	// ZombieLog says so in the log.
	ZombieLog = "log"
	// ZombieExit ends the process as well.
	ZombieExit = "exit"
)

// Config is the configuration of one node. See [Defaults] for a start in Go.
type Config struct {
	// File is the name under which the file was read; empty without a file.
	File string
	// DataDir is the directory for what the node keeps, an absolute path. It is
	// empty when neither the file nor the environment names one; who needs the
	// directory then asks for it.
	DataDir string
	// ShutdownGrace is how long a stopping node waits for running items.
	ShutdownGrace time.Duration
	// MaxRunningItems bounds the items of all jobs that run on this node at once.
	MaxRunningItems int
	// OnZombie is ZombieLog or ZombieExit.
	OnZombie string
	// Instance describes this node to others.
	Instance Instance
	// RegCenter is the registry center; nil for the one inside the process.
	RegCenter *RegCenter
	// Plugins are the plugin files to load, in the order of the file.
	Plugins []Plugin
	// Secrets are what plugins may be granted to ask for, by name.
	Secrets map[string]Secret
	// Tracing is who gets the history of executions; nil if nobody does.
	Tracing *Tracing
	// Jobs are the job definitions, in the order of the file. An empty TimeZone
	// is for the host to fill in.
	Jobs []job.Config
	// Notes are remarks that are no problems, sorted by place.
	Notes Problems

	// base is the directory that relative paths start from.
	base string
	// places holds the place of every key of the file by its path; it is not
	// written to after Parse.
	places map[string]place
	// read is what came of reading the file.
	read reading
}

// reading is what came of reading a file. It is not written to after Load.
type reading struct {
	source *source
	// problems are those that no look at the values would find again.
	problems Problems
	// broken holds the paths whose values could not be read: what is wrong with
	// the defaults in their place is not worth a problem.
	broken map[string]bool
	// failed says that there are no values at all.
	failed bool
}

// Readable says whether the file could be read as far as its values. If not, the
// problems of Validate say why, and there is nothing else to look at.
func (c Config) Readable() bool { return !c.read.failed }

// OverrideDataDir sets the data directory in place of what the file says.
func (c *Config) OverrideDataDir(dir string) {
	c.DataDir = dir
	c.places = maps.Clone(c.places)
	delete(c.places, keyDataDir)
}

// Broken says whether the file has a value at this path that could not be read,
// which the problems of Validate tell.
func (c Config) Broken(path ...string) bool { return c.read.broken[joined(path)] }

// Has says whether the file has the key with this path.
func (c Config) Has(path ...string) bool {
	_, found := c.places[joined(path)]
	return found
}

// Instance describes a node.
type Instance struct {
	// ID names the node across restarts; empty for a name of its address and process.
	ID string
	// PreferredNetworkIP chooses among the addresses of the machine: the beginning
	// of an address (10.0.), one with * for any part (10.0.*), or a regular
	// expression that must match all of it. Empty for no preference.
	PreferredNetworkIP string
	// PreferredNetworkInterface is the name of the network interface whose
	// address counts; empty for no preference.
	PreferredNetworkInterface string
	// Labels are names and values for people and strategies.
	Labels map[string]string
}

// Defaults returns a configuration without plugins and jobs in which everything
// has its documented default. DataDir is empty; see [DefaultDataDir].
func Defaults() Config {
	return Config{
		ShutdownGrace:   DefaultShutdownGrace,
		MaxRunningItems: DefaultMaxRunningItems,
		OnZombie:        DefaultOnZombie,
		Instance:        Instance{Labels: map[string]string{}},
	}
}

// place is where one key stands.
type place struct {
	key, value Position
	// written is the key, shown the value as the file writes them; shown is
	// empty for mappings.
	written, shown string
	// secret says that the value came out of a placeholder.
	secret bool
}

// At returns the place of the key with this path, for instance At("jobs",
// "orders", "cron"), At("jobs", "orders", "props", "batch.size") or At("plugins",
// "0", "wasm"). Known keys are named in camelCase, however the file spells them.
// For a key that the file does not have it is the place of the nearest parent
// that it has; without a file it is the zero Position.
func (c Config) At(path ...string) Position { return c.nearest(path).key }

// Shown returns the value at a path as the file writes it, with placeholders
// in place of their values, for use in messages. It is empty when the file has
// no such value.
func (c Config) Shown(path ...string) string { return c.places[joined(path)].shown }

// Problem returns a problem at the value of the key with this path, or at its
// nearest parent. The message is put behind the name of the job that the path is
// in. Use [Config.Shown] to quote the value: a message must not hold what came
// out of a placeholder.
func (c Config) Problem(rule, message string, path ...string) Problem {
	if len(path) > 1 && path[0] == keyJobs {
		message = c.label(path[:2]) + ": " + message
	}
	return c.problem(rule, message, path)
}

// problem is Problem for a message that names its path.
func (c Config) problem(rule, message string, path []string) Problem {
	at := c.nearest(path).value
	return Problem{File: cmp.Or(at.File, c.File), Line: at.Line, Column: at.Column, Rule: rule, Message: message}
}

// Resolve makes a path of the file absolute. Relative paths start from the
// directory of the file, or from the working directory when there is no file.
func (c Config) Resolve(path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.base, path)
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return filepath.Clean(path) // no working directory: nothing better is known
}

func (c Config) nearest(path []string) place {
	for n := len(path); n >= 0; n-- {
		at, ok := c.places[joined(path[:n])]
		if !ok {
			continue
		}
		if n < len(path) {
			at.value = at.key // a missing key is missed where its parent begins
		}
		return at
	}
	return place{}
}

// joined makes one key of a path; no part of a path holds a zero byte.
func joined(path []string) string { return strings.Join(path, "\x00") }
