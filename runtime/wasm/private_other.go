//go:build !unix

package wasm

import "io/fs"

// checkPrivate trusts the access list that the directory inherits.
func checkPrivate(fs.FileInfo) error { return nil }
