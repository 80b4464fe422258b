// Package c holds the header for plugins in C, for those who write it into
// projects. What it offers is described in the header itself and in
// docs/plugins/sdk-c.md.
package c

import _ "embed" // for the header

//go:embed elasticjob.h
var header string

// Header returns the text of elasticjob.h.
func Header() string { return header }

// ReactorFlag is the one of the Flags without which a module becomes a command.
const ReactorFlag = "-mexec-model=reactor"

// Flags returns what clang is called with to build a module, before the
// directory of the header (-I), the output (-o) and the sources.
func Flags() []string {
	return []string{"--target=wasm32-wasi", ReactorFlag, "-O2", "-Wl,--strip-debug,--stack-first,-z,stack-size=262144"}
}
