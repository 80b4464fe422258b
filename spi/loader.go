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
}

// Dir is a granted directory.
type Dir struct {
	Path     string
	Writable bool
}

// Grants are what the operator allows a plugin beyond computing. The zero
// value grants nothing.
type Grants struct {
	HTTP    []string
	Env     []string
	Dirs    []Dir
	Secrets []string
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
