package wasm

import (
	"encoding/binary"
	"slices"
)

// A small assembler for modules that no compiler makes.

// assembly is a module whose function types and imports are always the same:
// the five functions of elasticjob_v1 are functions 0 to 4.
type assembly struct {
	functions []function // from function 5 on
	memory    []byte     // the memory section's limits; nil is one page
	noMemory  bool
	tables    [][]byte       // element type and limits
	data      string         // at address 0
	start     int            // function index; 0 is none
	imports   [][]byte       // more imports, after the five, that are no functions
	wasi      []wasiFunction // more imports, functions from fnFirst on, before those of the module
	extra     [][]byte       // whole sections, at the end
}

// wasiFunction is a function of WASI and the bytes of its parameters' types; it
// returns an i32 unless it returns nothing.
type wasiFunction struct {
	name   string
	params []byte
	void   bool
}

// typeWASI is the type of the first function of WASI.
const typeWASI = 6

// first is the index of the first function of the module.
func (a assembly) first() int { return fnFirst + len(a.wasi) }

type function struct {
	export string
	typ    byte
	code   []byte // without the end
}

// Indexes of the types.
const (
	typeVoid   = iota // () -> ()
	typeResult        // () -> (i32)
	typeRead          // (i32,i32) -> (i32)
	typeWrite         // (i32,i32) -> ()
	typeLog           // (i32,i32,i32) -> ()
	typeCall          // (i32,i32,i32,i32) -> (i32)
)

// Indexes of the functions.
const (
	fnInputRead = iota
	fnOutputWrite
	fnLog
	fnHostCall
	fnHostRead
	fnFirst
)

func (a assembly) bytes() []byte {
	const i32 = 0x7f
	out := []byte(magic + coreVersion)
	types := [][]byte{
		{0x60, 0, 0},
		{0x60, 0, 1, i32},
		{0x60, 2, i32, i32, 1, i32},
		{0x60, 2, i32, i32, 0},
		{0x60, 3, i32, i32, i32, 0},
		{0x60, 4, i32, i32, i32, i32, 1, i32},
	}
	for _, f := range a.wasi {
		results := []byte{1, i32}
		if f.void {
			results = []byte{0}
		}
		types = append(types, slices.Concat([]byte{0x60}, sized(f.params), results))
	}
	out = append(out, sectionOf(1, vector(types...))...)
	imports := [][]byte{
		importOf("elasticjob_v1", "input_read", 0, typeRead),
		importOf("elasticjob_v1", "output_write", 0, typeWrite),
		importOf("elasticjob_v1", "log", 0, typeLog),
		importOf("elasticjob_v1", "host_call", 0, typeCall),
		importOf("elasticjob_v1", "host_read", 0, typeRead),
	}
	for i, f := range a.wasi {
		imports = append(imports, importOf("wasi_snapshot_preview1", f.name, 0, leb(typeWASI+i)...))
	}
	out = append(out, sectionOf(sectionImport, vector(append(imports, a.imports...)...))...)
	var functions, exports, bodies [][]byte
	for i, f := range a.functions {
		functions = append(functions, []byte{f.typ})
		if f.export != "" {
			exports = append(exports, exportOf(f.export, 0, a.first()+i))
		}
		bodies = append(bodies, sized(slices.Concat([]byte{0}, f.code, []byte{opEnd})))
	}
	out = append(out, sectionOf(3, vector(functions...))...)
	if a.tables != nil {
		out = append(out, sectionOf(sectionTable, vector(a.tables...))...)
	}
	if !a.noMemory {
		memory := a.memory
		if memory == nil {
			memory = []byte{0, 1}
		}
		out = append(out, sectionOf(sectionMemory, vector(memory))...)
		exports = append(exports, exportOf("memory", 2, 0))
	}
	out = append(out, sectionOf(sectionExport, vector(exports...))...)
	if a.start != 0 {
		out = append(out, sectionOf(8, leb(a.start))...)
	}
	out = append(out, sectionOf(sectionCode, vector(bodies...))...)
	if a.data != "" {
		out = append(out, sectionOf(11, vector(slices.Concat([]byte{0, 0x41, 0, opEnd}, sized([]byte(a.data)))))...)
	}
	return append(out, slices.Concat(a.extra...)...)
}

func leb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

// constant pushes a number.
func constant(n int32) []byte {
	out := []byte{0x41}
	for {
		b := byte(n & 0x7f)
		n >>= 7
		if n == 0 && b&0x40 == 0 || n == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

// callOn pushes the arguments and calls a function.
func callOn(fn int, arguments ...int32) []byte {
	var out []byte
	for _, a := range arguments {
		out = append(out, constant(a)...)
	}
	return append(append(out, opCall), leb(fn)...)
}

func sized(b []byte) []byte { return append(leb(len(b)), b...) }

func vector(elements ...[]byte) []byte {
	return append(leb(len(elements)), slices.Concat(elements...)...)
}

func sectionOf(id byte, body []byte) []byte { return append([]byte{id}, sized(body)...) }

func importOf(module, name string, kind byte, description ...byte) []byte {
	return slices.Concat(sized([]byte(module)), sized([]byte(name)), []byte{kind}, description)
}

func exportOf(name string, kind byte, index int) []byte {
	return slices.Concat(sized([]byte(name)), []byte{kind}, leb(index))
}

// reactor is a module whose execute has the code; it leaves an i32.
func reactor(code ...[]byte) assembly {
	return assembly{functions: []function{{export: "elasticjob_execute", typ: typeResult, code: slices.Concat(code...)}}}
}

// describing is a reactor that describes itself with the text and the result.
func describing(text string, result int32) assembly {
	a := reactor(constant(0))
	a.data = text
	a.memory = append([]byte{0}, leb(len(text)/pageSize+1)...)
	a.functions = append(a.functions, function{export: "elasticjob_describe", typ: typeResult, code: slices.Concat(
		callOn(fnOutputWrite, 0, int32(len(text))), constant(result))})
	return a
}

// endlessly is a loop without end that leaves an i32.
func endlessly(code ...byte) []byte {
	return slices.Concat([]byte{opLoop, emptyType}, code, []byte{0x0c, 0, opEnd}, constant(0))
}
