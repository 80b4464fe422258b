// Package pluginpb is the wire form of process plugins: messages and services
// generated from plugin.proto, which is the specification for authors in other
// languages.
//
// It holds no logic. runtime/process turns the types of package spi into these
// and back, and checks what comes from a plugin.
package pluginpb

//go:generate ../../scripts/generate-proto.sh .
