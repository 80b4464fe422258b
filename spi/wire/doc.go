// Package wire holds the names, bounds and messages of the WASM ABI
// elasticjob_v1. The host (runtime/wasm) and the guest half of the sdk share
// it, so that neither can drift from the other.
//
// # Messages
//
// A message is one JSON value in UTF-8 without a byte order mark, at most
// [MaxMessage] long and nested at most 64 deep. The Append functions add a
// message to a buffer and cannot fail; text that is not UTF-8 is made valid
// with U+FFFD. The Decode functions treat their input as hostile: they check
// the whole syntax, ignore unknown members, let the last of duplicate members
// win, and refuse everything else with an [*spi.Error] of
// [spi.CodeProtocol] that names the member and what was expected there. A
// null is a value of the wrong type, not an absent member.
//
// Nothing here keeps a reference to the decoded bytes, and all functions are
// safe for concurrent use.
//
// # Size
//
// The package is part of every guest. It has its own small JSON and base64
// codecs because encoding/json and fmt would more than double an empty Go
// module, and encoding/base64 brings reflect through encoding/binary.
package wire
