// Package pluginpb is the wire form of process plugins: messages and services
// generated from plugin.proto. The specification for authors in other languages
// is docs/plugins/process-protocol.md.
//
// It holds no logic. runtime/process turns the types of package spi into these
// and back, and checks what comes from a plugin.
package pluginpb

//go:generate ../../scripts/generate-proto.sh .
