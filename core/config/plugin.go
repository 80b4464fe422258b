package config

import (
	"regexp"
	"slices"
	"time"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Isolation says whether calls of a WASM plugin share an instance.
const (
	// IsolationFresh gives every call an instance of its own. It is the default.
	IsolationFresh = "fresh"
	// IsolationPooled lets one instance serve one call after the other.
	IsolationPooled = "pooled"
)

// PluginHost says what runs a plugin file.
type PluginHost string

// The hosts of plugin files.
const (
	// HostWASM runs a module in a sandbox. It is the default.
	HostWASM PluginHost = "wasm"
	// HostProcess runs a program as a process of its own.
	HostProcess PluginHost = "process"
)

// Bounds of a plugin entry.
const (
	maxMemory      = 4 << 30
	maxConcurrency = 10_000
	maxGrants      = 256 // of one list

	allowedMemory      = "at least 64KiB and at most 4GiB"
	allowedConcurrency = "1 to 10000"
)

// Plugin is one plugin file.
type Plugin struct {
	// Host is what runs the file; empty for a module.
	Host PluginHost
	// Path is the path as the file writes it. It may be empty in a configuration
	// that is built in Go.
	Path string
	// File is the path made absolute.
	File string
	// SHA256 is the checksum that the file must have, as 64 lower-case hex
	// digits; empty when it is not checked.
	SHA256 string
	// Isolation is IsolationFresh or IsolationPooled for a module, empty for a
	// process.
	Isolation string
	// Limits bound what the plugin may use.
	Limits Limits
	// Grants are what the plugin may do beyond computing; the zero value is
	// nothing. Its directories and clocks are for modules alone. The paths of
	// directories are absolute.
	Grants spi.Grants
}

// IsProcess says whether the plugin is a program rather than a module.
func (p Plugin) IsProcess() bool { return p.Host == HostProcess }

// hostKey is the key that names the file.
func (p Plugin) hostKey() string {
	if p.IsProcess() {
		return keyProcess
	}
	return keyWASM
}

// Sound returns the plugin with the default in place of each term that Validate
// refuses, for a further look at its file.
func (p Plugin) Sound() Plugin {
	if !p.soundSHA256() {
		p.SHA256 = ""
	}
	if !p.soundIsolation() {
		p.Isolation = IsolationFresh
	}
	if p.IsProcess() {
		p.Isolation, p.Limits.Memory, p.Grants.Dirs, p.Grants.Clock, p.Grants.Random = "", 0, nil, "", ""
	}
	if !p.Limits.soundMemory() {
		p.Limits.Memory = 0
	}
	if !p.Limits.soundTimeout() {
		p.Limits.Timeout = 0
	}
	if !p.Limits.soundConcurrency() {
		p.Limits.Concurrency = 0
	}
	if !soundClock(p.Grants.Clock) {
		p.Grants.Clock = ""
	}
	if !soundRandom(p.Grants.Random) {
		p.Grants.Random = ""
	}
	p.Grants.HTTP = soundOnly(p.Grants.HTTP, func(text string) bool { return hostcall.CheckHTTPGrant(text) == nil })
	p.Grants.Env = soundOnly(p.Grants.Env, isVariableName)
	p.Grants.Dirs = soundOnly(p.Grants.Dirs, func(d spi.Dir) bool { return soundDir(d) && soundGuest(d.Guest) })
	return p
}

// soundOnly returns the elements of a list that are sound.
func soundOnly[T any](list []T, sound func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(list), func(element T) bool { return !sound(element) })
}

// Limits bound one plugin. A zero means the default of its runtime.
type Limits struct {
	// Memory is in bytes, a multiple of 64 KiB, the page of WASM.
	Memory int64
	// Timeout bounds one call.
	Timeout time.Duration
	// Concurrency bounds the calls that run at once on this node; more wait.
	Concurrency int
}

func (p Plugin) soundSHA256() bool {
	return p.SHA256 == "" || regexp.MustCompile(`^[0-9a-fA-F]{64}$`).MatchString(p.SHA256)
}

func (p Plugin) soundIsolation() bool {
	return p.Isolation == IsolationFresh || p.Isolation == IsolationPooled
}

func (l Limits) soundMemory() bool {
	return l.Memory == 0 || l.Memory >= wasmPage && l.Memory <= maxMemory
}

func (l Limits) soundTimeout() bool { return l.Timeout >= 0 && l.Timeout <= job.MaxInterval }

func (l Limits) soundConcurrency() bool { return l.Concurrency >= 0 && l.Concurrency <= maxConcurrency }
