//go:build race

package wasm

import "time"

// lateness is how late an interrupted call may return. The race detector makes
// the machine several times slower.
const lateness = time.Second
