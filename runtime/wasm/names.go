package wasm

import (
	"encoding/binary"
	"unicode/utf8"
)

// functionNames is the subsection of the custom section "name" that is kept;
// it makes the stacks of traps readable.
const functionNames = 1

// keepNames returns the custom section reduced to checked function names, nil
// if it has none. All other custom sections are for other tools, and some of
// them are large.
func keepNames(body []byte) []byte {
	r := &reader{data: body}
	if r.name() != "name" {
		return nil
	}
	for !r.done() {
		id := r.byte()
		sub := r.bytes(r.u32())
		if r.err != nil {
			return nil
		}
		if id != functionNames {
			continue
		}
		if !validNames(sub) {
			return nil
		}
		out := append(binary.AppendUvarint(nil, uint64(len("name"))), "name"...)
		out = append(out, functionNames)
		out = binary.AppendUvarint(out, uint64(len(sub)))
		return append(out, sub...)
	}
	return nil
}

func validNames(sub []byte) bool {
	r := &reader{data: sub}
	for range r.atMost(maxItems, "names") {
		r.u32()
		if !utf8.Valid(r.bytes(r.u32())) || r.err != nil {
			return false
		}
	}
	return r.err == nil && r.pos == len(sub)
}
