package spi

import (
	"context"
	"time"
)

// Isolation says what of a module instance outlives a call.
type Isolation string

// The isolations. With IsolationFresh, the default, no state survives a call.
// With IsolationPooled an instance serves many calls, one at a time.
const (
	IsolationFresh  Isolation = "fresh"
	IsolationPooled Isolation = "pooled"
)

// Limits bound what a plugin may use.
type Limits struct {
	// Memory is the most linear memory of one instance, in bytes; 0 is the
	// host's default.
	Memory int64
	// Timeout bounds every call; 0 leaves it to the job and the host.
	Timeout time.Duration
	// Concurrency bounds the calls that run at once; more wait until their
	// contexts end. 0 is the host's default.
	Concurrency int
}

// Dir is a granted directory.
type Dir struct {
	// Path is the directory on the host, absolute.
	Path string
	// Guest is the path under which the module sees it.
	Guest    string
	Writable bool
}

// ClockGrant says which wall clock a module sees.
type ClockGrant string

// The clocks. Monotonic time and sleeping always work.
const (
	ClockReal   ClockGrant = "real"   // the default
	ClockFrozen ClockGrant = "frozen" // every call sees the same instant, 2022-01-01T00:00:00Z
)

// RandomGrant says which random numbers a module sees.
type RandomGrant string

// The sources of random numbers.
const (
	RandomReal   RandomGrant = "real"   // the default: the system's
	RandomSeeded RandomGrant = "seeded" // every call sees the same numbers
)

// Grants are what the operator allows a plugin beyond computing. The zero
// value grants nothing; clock and random numbers are real.
type Grants struct {
	// HTTP lists the hosts that http.request may reach:
	// [METHOD,… ][scheme://]host[:port], where host may begin with "*." for any
	// name below, or be "*", an address or a network such as 10.0.0.0/8. Without
	// a port it is the default one of the scheme; the port "*" is any. An
	// address that is not public is reached only if an entry names it, its
	// network or localhost.
	HTTP []string
	// Env lists the environment variables that the plugin sees.
	Env []string
	// Dirs lists the directories that a module sees, each under its Guest path.
	Dirs []Dir
	// Secrets lists the names that secret.get may ask for.
	Secrets []string
	Clock   ClockGrant
	Random  RandomGrant
}

// LoadRequest names a plugin file and the terms on which it is loaded.
type LoadRequest struct {
	// Path is the file.
	Path string
	// SHA256 is the expected checksum of the file in hexadecimal; "" accepts
	// any.
	SHA256    string
	Isolation Isolation
	Limits    Limits
	Grants    Grants
}

// Provenance says where plugins come from.
type Provenance struct {
	// Host is "built-in", "process" or "wasm".
	Host string
	// Path is the file; "" for built-in plugins.
	Path string
	// SHA256 is the checksum of what was loaded, in hexadecimal.
	SHA256 string
}

// String returns a short text for error messages.
func (p Provenance) String() string {
	if p.Path == "" {
		return p.Host
	}
	return p.Host + " " + p.Path
}

// Bundle is what a file brought: no plugins for a module that describes none.
type Bundle struct {
	Provenance Provenance
	Plugins    []Plugin
	// Close releases the file's resources after the last call returned.
	Close func(ctx context.Context) error
}

// Loader loads plugin files. It is safe for concurrent use.
type Loader interface {
	// Load loads one plugin file.
	Load(ctx context.Context, req LoadRequest) (*Bundle, error)
}
