package wasm

import (
	"crypto/rand"
	"io"
	mathrand "math/rand/v2"
)

// randomChunk bounds how much random data is made between two looks at the
// context.
const randomChunk = 64 << 10

// seed is that of the random numbers of modules to which they are granted
// seeded. Changing it changes what those modules compute.
const seed = "elasticjob_v1 seeded random data"

// newSeeded returns a generator at its beginning: ChaCha8, as specified by
// C2SP under chacha8rand, whose numbers are the same on all machines.
func newSeeded() *mathrand.ChaCha8 { return mathrand.NewChaCha8([32]byte([]byte(seed))) }

// random is the source of the instance's random bytes.
func (in *instance) random() io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		in.current.checkDone()
		p = p[:min(len(p), randomChunk)]
		if in.current.seeded != nil {
			return in.current.seeded.Read(p)
		}
		return rand.Read(p)
	})
}
