package wasm

import (
	"encoding/binary"
	"fmt"
)

// Bounds of tables, which wazero lets grow to 32 GiB each.
const (
	maxTables        = 16
	maxTableElements = 1 << 20
)

// rewriter replaces the bodies of sections; nil keeps a section as it is.
type rewriter func(s section) ([]byte, error)

// rewrite returns the module with all sections passed through the rewriters.
func rewrite(l *layout, rewriters ...rewriter) ([]byte, error) {
	out := []byte(magic + coreVersion)
	for _, s := range l.sections {
		for _, apply := range rewriters {
			body, err := apply(s)
			if err != nil {
				return nil, fmt.Errorf("section %d: %w", s.id, err)
			}
			if body != nil {
				s.body = body
			}
		}
		out = append(out, s.id)
		out = binary.AppendUvarint(out, uint64(len(s.body)))
		out = append(out, s.body...)
	}
	return out, nil
}

// boundTables gives every table a maximum.
func boundTables(l *layout) rewriter {
	return func(s section) ([]byte, error) {
		if s.id != sectionTable {
			return nil, nil
		}
		out := binary.AppendUvarint(nil, uint64(len(l.tables)))
		for _, t := range l.tables {
			most := uint32(maxTableElements)
			if t.hasMax {
				most = min(most, t.max)
			}
			out = append(out, t.elem, 1)
			out = binary.AppendUvarint(out, uint64(t.min))
			out = binary.AppendUvarint(out, uint64(most))
		}
		return out, nil
	}
}

// Opcodes of the core specification that matter for checkpoints.
const (
	opBlock      = 0x02
	opLoop       = 0x03
	opCall       = 0x10
	opCallRef    = 0x15 // the last of the calls: 0x10 to 0x15
	opLocalGet   = 0x20
	opLocalSet   = 0x21
	opGlobalGet  = 0x23
	emptyType    = 0x40
	opEnd        = 0x0b
	bytesOfCheck = 3
)

// checkEntries puts an empty loop at the beginning of functions that call
// others. wazero looks for an ended context where a loop begins and nowhere
// else, so that without this a recursion like naive Fibonacci, or a tower of
// functions that call the next one twice, could neither be stopped nor
// preempted, and would hold up the garbage collector of the whole process.
//
// Functions without calls need no check: they end, or loop. Calls are looked
// for by byte value, which can only find too many. Functions that begin with
// a loop already, as most of the Go compiler's do, are left alone.
func checkEntries(s section) ([]byte, error) {
	if s.id != sectionCode {
		return nil, nil
	}
	r := &reader{data: s.body}
	n := r.count()
	out := make([]byte, 0, len(s.body)+int(n)*(bytesOfCheck+1))
	out = binary.AppendUvarint(out, uint64(n))
	for range n {
		body := r.bytes(r.u32())
		start := codeStart(body)
		if r.err != nil || start < 0 {
			return nil, fmt.Errorf("reading functions: %w", errEnd)
		}
		if !mayCall(body[start:]) || beginsWithLoop(body[start:]) {
			out = binary.AppendUvarint(out, uint64(len(body)))
			out = append(out, body...)
			continue
		}
		out = binary.AppendUvarint(out, uint64(len(body)+bytesOfCheck))
		out = append(out, body[:start]...)
		out = append(out, opLoop, emptyType, opEnd)
		out = append(out, body[start:]...)
	}
	if !r.done() || r.err != nil {
		return nil, fmt.Errorf("reading functions: %w", errEnd)
	}
	return out, nil
}

// codeStart returns where the instructions begin, after the locals, or -1.
func codeStart(body []byte) int {
	r := &reader{data: body}
	for range r.count() {
		r.u32()
		r.byte()
	}
	if r.err != nil {
		return -1
	}
	return r.pos
}

func mayCall(code []byte) bool {
	for _, c := range code {
		if c >= opCall && c <= opCallRef {
			return true
		}
	}
	return false
}

// beginsWithLoop reports whether a loop is entered on every path, behind
// nothing but blocks and moves of variables.
func beginsWithLoop(code []byte) bool {
	r := &reader{data: code}
	for !r.done() {
		switch r.byte() {
		case opLoop:
			return true
		case opBlock, opLocalGet, opLocalSet, opGlobalGet:
			r.u32()
		default:
			return false
		}
	}
	return false
}
