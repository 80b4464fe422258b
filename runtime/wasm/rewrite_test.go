package wasm

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tetratelabs/wazero"
)

func TestReadLayout(t *testing.T) {
	t.Parallel()
	a := reactor(constant(0))
	a.memory = []byte{1, 2, 5}
	a.tables = [][]byte{{0x70, 0, 3}, {0x6f, 1, 1, 9}}
	l, err := readLayout(a.bytes())
	if err != nil {
		t.Fatal(err)
	}
	if want := (limits{min: 2, max: 5, hasMax: true}); l.memory == nil || *l.memory != want {
		t.Errorf("memory = %+v, want %+v", l.memory, want)
	}
	if want := []table{{0x70, limits{min: 3}}, {0x6f, limits{min: 1, max: 9, hasMax: true}}}; !slices.Equal(l.tables, want) {
		t.Errorf("tables = %+v, want %+v", l.tables, want)
	}
	if !l.hasFunc("elasticjob_execute") || l.hasFunc("memory") || len(l.imports) != 5 {
		t.Errorf("exports = %v, imports = %v, want execute and five imports", l.exports, l.imports)
	}
}

func TestBoundTables(t *testing.T) {
	t.Parallel()
	a := reactor(constant(0))
	a.tables = [][]byte{{0x70, 0, 3}, {0x6f, 1, 1, 9}, append([]byte{0x70, 1, 1}, leb(1<<32-1)...)}
	l, err := readLayout(a.bytes())
	if err != nil {
		t.Fatal(err)
	}
	code, err := rewrite(l, boundTables(l))
	if err != nil {
		t.Fatal(err)
	}
	got, err := readLayout(code)
	if err != nil {
		t.Fatal(err)
	}
	want := []table{
		{0x70, limits{min: 3, max: maxTableElements, hasMax: true}},
		{0x6f, limits{min: 1, max: 9, hasMax: true}},
		{0x70, limits{min: 1, max: maxTableElements, hasMax: true}},
	}
	if !slices.Equal(got.tables, want) {
		t.Errorf("tables = %+v, want %+v", got.tables, want)
	}
}

func TestRewriteOfNothingChangesNothing(t *testing.T) {
	t.Parallel()
	a := reactor(constant(0))
	data := a.bytes()
	l, err := readLayout(data)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := rewrite(l); err != nil || !bytes.Equal(got, data) {
		t.Errorf("rewrite() = %x, %v, want %x", got, err, data)
	}
}

func TestCheckEntries(t *testing.T) {
	t.Parallel()
	check := []byte{opLoop, emptyType, opEnd}
	for _, c := range []struct {
		name     string
		locals   []byte
		code     []byte
		expected bool
	}{
		{"a leaf", []byte{0}, constant(1), false},
		{"a call", []byte{0}, callOn(5), true},
		{"an indirect call", []byte{0}, []byte{0x11, 0, 0}, true},
		{"a tail call", []byte{0}, []byte{0x12, 5}, true},
		{"a call behind locals", []byte{2, 3, 0x7f, 1, 0x7e}, callOn(5), true},
		{"a loop first", []byte{0}, slices.Concat([]byte{opLoop, emptyType}, callOn(5), []byte{opEnd}), false},
		{
			"a loop behind blocks and moves, as of the Go compiler",
			[]byte{1, 1, 0x7f},
			slices.Concat([]byte{opGlobalGet, 0, opLocalSet, 1, opBlock, emptyType, opBlock, 0x7f, opLoop, emptyType}, callOn(5), []byte{opEnd, opEnd, opEnd}), false,
		},
		{"a call before the loop", []byte{0}, slices.Concat(callOn(5), []byte{opLoop, emptyType, opEnd}), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := checkEntries(section{id: sectionCode, body: vector(sized(slices.Concat(c.locals, c.code, []byte{opEnd})))})
			if err != nil {
				t.Fatal(err)
			}
			body := slices.Concat(c.locals, c.code, []byte{opEnd})
			if c.expected {
				body = slices.Concat(c.locals, check, c.code, []byte{opEnd})
			}
			if want := vector(sized(body)); !bytes.Equal(got, want) {
				t.Errorf("checkEntries = %x, want %x", got, want)
			}
		})
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	if got, want := (signature{params: "i32,i64", results: "f32"}).String(), "(i32,i64) -> (f32)"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}

// FuzzRewrite checks that what is read here is what the engine reads, and
// that rewriting keeps valid modules valid and never hides a memory or table.
func FuzzRewrite(f *testing.F) {
	a := reactor(callOn(fnLog, 0, 0, 0), constant(0))
	a.tables = [][]byte{{0x70, 0, 3}}
	a.data = "data"
	f.Add(a.bytes())
	f.Add(describing(`{"plugins":[]}`, 0).bytes())
	f.Add([]byte(magic + coreVersion))
	for _, bomb := range bombs() {
		f.Add(bomb)
	}
	f.Add(readAll(f, prebuilt))
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	f.Cleanup(func() { _ = r.Close(ctx) })
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<20 || sniff(data) != nil {
			return
		}
		l, err := readLayout(data)
		if err != nil {
			return // refused
		}
		if shape, err := shapeOf(l); err == nil && shape == "" {
			t.Error("shapeOf gave neither a shape nor an error")
		}
		code, err := rewrite(l, boundTables(l), checkEntries)
		if err != nil {
			return // refused
		}
		again, err := readLayout(code)
		if err != nil {
			t.Fatalf("readLayout(rewrite(x)) = %v", err)
		}
		if diff := cmp.Diff(l.exports, again.exports); diff != "" {
			t.Errorf("exports (-before +after):\n%s", diff)
		}
		for _, table := range again.tables {
			if !table.hasMax || table.max > maxTableElements {
				t.Errorf("table %+v has no bound", table)
			}
		}
		// The engine sees nothing that was not screened before, here neither.
		plain, err := rewrite(l)
		if err != nil {
			t.Fatalf("rewrite() = %v", err)
		}
		compiled, valid := r.CompileModule(ctx, plain)
		if valid == nil {
			defer func() { _ = compiled.Close(ctx) }()
		}
		rewritten, err := r.CompileModule(ctx, code)
		if err != nil {
			if valid == nil {
				t.Fatalf("the module compiles, but rewritten: %v", err)
			}
			return
		}
		defer func() { _ = rewritten.Close(ctx) }()
		if len(rewritten.ExportedMemories()) > 0 && l.memory == nil {
			t.Error("a memory was not seen")
		}
		for name := range rewritten.ExportedFunctions() {
			if !l.hasFunc(name) {
				t.Errorf("the export %q was not seen", name)
			}
		}
	})
}
