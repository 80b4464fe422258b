package wasm

import (
	"errors"
	"fmt"
)

// The parts of the binary format that are read here, named as in the core
// specification, version 2.0, chapter 5.
const (
	sectionCustom   = 0
	sectionType     = 1
	sectionImport   = 2
	sectionFunction = 3
	sectionTable    = 4
	sectionMemory   = 5
	sectionGlobal   = 6
	sectionExport   = 7
	sectionElement  = 9
	sectionCode     = 10
	sectionData     = 11
	maxSectionID    = 12

	externFunc = 0

	pageSize = 64 << 10
)

// externNames are the kinds of imports and exports, by number.
var externNames = [...]string{"function", "table", "memory", "global", "tag"}

func externName(kind byte) string {
	if int(kind) < len(externNames) {
		return externNames[kind]
	}
	return fmt.Sprintf("kind %d", kind)
}

// layout is what has to be known of a module before it is compiled. The
// compiler validates the rest.
type layout struct {
	sections []section
	imports  []Import
	exports  []Export
	memory   *limits // in pages; nil without a memory
	tables   []table
}

// section is one section of the binary; body aliases the file's bytes.
type section struct {
	id   byte
	body []byte
}

// limits are the bounds of a memory or table as the module declares them.
type limits struct {
	min    uint32
	max    uint32
	hasMax bool
}

type table struct {
	elem byte
	limits
}

// hasFunc reports whether the module exports a function of that name.
func (l *layout) hasFunc(name string) bool {
	for _, e := range l.exports {
		if e.Kind == externNames[externFunc] && e.Name == name {
			return true
		}
	}
	return false
}

// readLayout parses the sections that matter. It refuses repeated sections,
// so that no second one can differ from what was checked here.
func readLayout(data []byte) (*layout, error) {
	l := &layout{}
	r := &reader{data: data[headerLength:]}
	var seen [256]bool
	for !r.done() {
		id := r.byte()
		body := r.bytes(r.u32())
		if r.err != nil {
			return nil, r.err
		}
		if id != sectionCustom && seen[id] {
			return nil, fmt.Errorf("section %d occurs twice", id)
		}
		if id > maxSectionID {
			return nil, fmt.Errorf("section %d is not supported", id)
		}
		seen[id] = true
		if id == sectionCustom {
			if body = keepNames(body); body == nil {
				continue
			}
		}
		l.sections = append(l.sections, section{id: id, body: body})
		if err := l.read(id, body); err != nil {
			return nil, fmt.Errorf("section %d: %w", id, err)
		}
	}
	return l, r.err
}

func (l *layout) read(id byte, body []byte) error {
	r := &reader{data: body}
	switch id {
	case sectionImport:
		l.readImports(r)
	case sectionTable:
		l.readTables(r)
	case sectionMemory:
		l.readMemory(r)
	case sectionExport:
		l.readExports(r)
	default:
		return screen(id, body)
	}
	if r.err == nil && !r.done() {
		r.err = errRest
	}
	return r.err
}

func (l *layout) readImports(r *reader) {
	for range r.atMost(maxItems, "imports") {
		module, name := r.name(), r.name()
		kind := r.byte()
		if r.err != nil {
			return
		}
		if kind != externFunc {
			r.fail(fmt.Errorf("imports the %s %s.%s, which no host provides", externName(kind), module, name))
			return
		}
		r.u32()
		l.imports = append(l.imports, Import{Module: module, Name: name})
	}
}

func (l *layout) readTables(r *reader) {
	for range r.atMost(maxTables, "tables") {
		t := table{elem: r.byte(), limits: r.limits()}
		if t.elem != typeFuncref && t.elem != typeExternref {
			r.fail(fmt.Errorf("the table type %#x is not supported", t.elem))
		}
		if t.min > maxTableElements {
			r.fail(fmt.Errorf("has a table of %d elements; at most %d are allowed", t.min, maxTableElements))
		}
		if r.err != nil {
			return
		}
		l.tables = append(l.tables, t)
	}
}

func (l *layout) readMemory(r *reader) {
	for range r.atMost(1, "memory") {
		m := r.limits()
		l.memory = &m
	}
}

func (l *layout) readExports(r *reader) {
	for range r.atMost(maxItems, "exports") {
		e := Export{Name: r.name(), Kind: externName(r.byte())}
		r.u32()
		if r.err != nil {
			return
		}
		l.exports = append(l.exports, e)
	}
}

// reader reads the binary format; its first error sticks.
type reader struct {
	data []byte
	pos  int
	err  error
}

var errEnd = errors.New("the file ends too early")

func (r *reader) done() bool { return r.err != nil || r.pos >= len(r.data) }

func (r *reader) byte() byte {
	if r.pos >= len(r.data) {
		r.fail(errEnd)
	}
	if r.err != nil {
		return 0
	}
	b := r.data[r.pos]
	r.pos++
	return b
}

// u32 reads an unsigned LEB128 number of at most 32 bits.
func (r *reader) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if v > 1<<32-1 {
				break
			}
			return uint32(v)
		}
	}
	r.fail(errors.New("a number is longer than 32 bits"))
	return 0
}

// count reads the length of a list. Every element takes at least a byte, so a
// longer list cannot be right, and the loops over it stay bounded.
func (r *reader) count() uint32 {
	n := r.u32()
	if int64(n) > int64(len(r.data)-r.pos) {
		r.fail(errEnd)
		return 0
	}
	return n
}

func (r *reader) bytes(n uint32) []byte {
	if int64(n) > int64(len(r.data)-r.pos) {
		r.fail(errEnd)
	}
	if r.err != nil {
		return nil
	}
	b := r.data[r.pos : r.pos+int(n)]
	r.pos += int(n)
	return b
}

func (r *reader) name() string { return string(r.bytes(r.u32())) }

func (r *reader) limits() limits {
	var l limits
	flag := r.byte()
	l.min = r.u32()
	switch flag {
	case 0:
	case 1:
		l.max, l.hasMax = r.u32(), true
	default:
		r.fail(fmt.Errorf("shared or 64-bit memory (limits %#x) is not supported", flag))
	}
	return l
}
