package wasm

import (
	"errors"
	"fmt"
)

// The most of everything that a module may have: the limits of web browsers,
// from the section on implementation-defined limits of the WebAssembly
// JavaScript Interface, except for elements and element segments.
//
// They are checked before the engine sees the module, because wazero makes
// room for as many elements as a list claims to have, and a module of thirty
// bytes can claim four billion.
const (
	maxItems       = 1_000_000 // types, functions, imports, exports, globals
	maxSegments    = 100_000
	maxParams      = 1000
	maxLocals      = 50_000
	maxBody        = 7_654_321
	maxElementInit = 4 * maxTableElements // of all segments together
)

// screen checks the length of every list in the sections that readLayout does
// not look into. It reads them as the engine does, and refuses what the engine
// would not take either.
func screen(id byte, body []byte) error {
	r := &reader{data: body}
	switch id {
	case sectionType:
		screenTypes(r)
	case sectionFunction:
		for range r.atMost(maxItems, "functions") {
			r.u32()
		}
	case sectionGlobal:
		for range r.atMost(maxItems, "globals") {
			r.valueType()
			r.byte()
			r.constExpr()
		}
	case sectionElement:
		screenElements(r)
	case sectionCode:
		screenCode(r)
	case sectionData:
		for range r.atMost(maxSegments, "data segments") {
			screenDataSegment(r)
		}
	default:
		return nil
	}
	if r.err == nil && !r.done() {
		r.err = errRest
	}
	return r.err
}

var errRest = errors.New("it is longer than its content")

func screenTypes(r *reader) {
	for range r.atMost(maxItems, "types") {
		if form := r.byte(); form != 0x60 {
			r.fail(fmt.Errorf("the type form %#x is not supported", form))
			return
		}
		for range 2 { // parameters, results
			for range r.atMost(maxParams, "parameters or results") {
				r.valueType()
			}
		}
	}
}

// screenElements follows the eight forms of element segments: bit 0 says that
// there is no table and offset, bit 1 that the table or kind is explicit, bit
// 2 that elements are expressions.
func screenElements(r *reader) {
	total := uint32(0)
	for range r.atMost(maxSegments, "element segments") {
		form := r.u32()
		if form > 7 {
			r.fail(fmt.Errorf("the element segment form %d is not supported", form))
		}
		passive, explicit, expressions := form&1 != 0, form&2 != 0, form&4 != 0
		if !passive {
			if explicit {
				r.u32()
			}
			r.constExpr()
		}
		if passive || explicit {
			if kind := r.byte(); expressions && kind != typeFuncref && kind != typeExternref || !expressions && kind != 0 {
				r.fail(fmt.Errorf("the element kind %#x is not supported", kind))
			}
		}
		n := r.atMost(maxElementInit, "elements")
		if total += n; total > maxElementInit {
			r.fail(fmt.Errorf("has more than %d elements", maxElementInit))
		}
		for range n {
			if r.err != nil {
				return
			}
			if expressions {
				r.constExpr()
			} else {
				r.u32()
			}
		}
	}
}

func screenCode(r *reader) {
	for range r.atMost(maxItems, "functions") {
		body := &reader{data: r.bytes(r.atMost(maxBody, "bytes in a function"))}
		if r.err != nil {
			return
		}
		locals := uint64(0)
		for range body.count() {
			locals += uint64(body.u32())
			body.valueType()
			if locals > maxLocals {
				body.fail(fmt.Errorf("has a function of more than %d locals", maxLocals))
			}
			if body.err != nil {
				break
			}
		}
		if body.err != nil {
			r.fail(body.err)
			return
		}
	}
}

func screenDataSegment(r *reader) {
	switch form := r.u32(); form {
	case 0:
		r.constExpr()
	case 1:
	case 2:
		r.u32()
		r.constExpr()
	default:
		r.fail(fmt.Errorf("the data segment form %d is not supported", form))
	}
	r.bytes(r.u32())
}

// Value types of the core specification, version 2.0.
const (
	typeFuncref   = 0x70
	typeExternref = 0x6f
	typeV128      = 0x7b
	typeI32       = 0x7f
)

// valueType reads a type of one byte. There are longer ones in proposals that
// this host does not enable; they would be read differently by the engine.
func (r *reader) valueType() {
	if t := r.byte(); r.err == nil && (t < typeV128 || t > typeI32) && t != typeFuncref && t != typeExternref {
		r.fail(fmt.Errorf("the value type %#x is not supported", t))
	}
}

// constExpr reads a constant expression of the core specification 2.0.
func (r *reader) constExpr() {
	for r.err == nil {
		switch op := r.byte(); op {
		case opEnd:
			return
		case 0x41, 0x42: // i32.const, i64.const
			for range 10 {
				if r.byte() < 0x80 {
					break
				}
			}
		case 0x43: // f32.const
			r.bytes(4)
		case 0x44: // f64.const
			r.bytes(8)
		case opGlobalGet, 0xd2: // ref.func
			r.u32()
		case 0xd0: // ref.null
			r.byte()
		case 0xfd: // v128.const
			r.u32()
			r.bytes(16)
		default:
			r.fail(fmt.Errorf("the instruction %#x is not supported in constants", op))
		}
	}
}

// atMost reads the length of a list, or of a body, and refuses more than most.
func (r *reader) atMost(most uint32, what string) uint32 {
	n := r.count()
	if n > most {
		r.fail(fmt.Errorf("has more than %d %s", most, what))
		return 0
	}
	return n
}

// fail sets the error unless there is one.
func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}
