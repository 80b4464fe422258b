//go:build !race

package wasm

import "time"

// lateness is how late an interrupted call may return.
const lateness = 100 * time.Millisecond
