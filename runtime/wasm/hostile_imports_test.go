package wasm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// edges are the numbers at which pointers and lengths go wrong, in a memory of
// size bytes.
func edges(size uint64) []uint64 {
	return []uint64{0, 1, size - 1, size, size + 1, 1 << 31, 1<<32 - 1}
}

// combinations calls f with every choice of n values.
func combinations(values []uint64, n int, f func(chosen []uint64)) {
	chosen := make([]uint64, n)
	var choose func(i int)
	choose = func(i int) {
		if i == n {
			f(chosen)
			return
		}
		for _, v := range values {
			chosen[i] = v
			choose(i + 1)
		}
	}
	choose(0)
}

// TestEveryPointerInEveryImport calls each import of elasticjob_v1 with every
// combination of edges.
func TestEveryPointerInEveryImport(t *testing.T) {
	t.Parallel()
	j := newJob(t, prebuilt, pooledIsolation)
	size, err := strconv.ParseUint(execute(t.Context(), t, j, "memory").message, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	outside := func(ptr, n uint64) bool { return n > 0 && ptr+n > size }
	for _, imp := range hostImports() {
		// Pairs of pointer and length are at the end of the parameters.
		combinations(edges(size), imp.params, func(p []uint64) {
			want := spi.Code(0)
			for i := imp.params % 2; i < imp.params; i += 2 {
				if outside(p[i], p[i+1]) {
					want = spi.CodeProtocol
				}
			}
			if imp.name == wire.ImportOutputWrite && p[1] > wire.MaxMessage {
				want = spi.CodeLimit
			}
			do := "import:" + imp.name
			for _, v := range p {
				do += "," + strconv.FormatUint(v, 10)
			}
			got := execute(t.Context(), t, j, do)
			if got.code() != want || want != 0 && !strings.Contains(got.err.Message, imp.name) {
				t.Errorf("%s = %v %v, want %v that names the import", do, got.code(), got.err, want)
			}
		})
	}
}

// TestEveryPointerInWASI calls every function of WASI with edges, many
// combinations each, in a module that has a directory. Nothing it does may be
// a fault of the host, take longer than its time or reach beyond the
// directory.
func TestEveryPointerInWASI(t *testing.T) {
	t.Parallel()
	const most = 300
	data, outside := tree(t)
	before := snapshot(t, outside)
	random := rand.New(rand.NewPCG(1, 2))
	for name, sig := range shared.host.programs.offers["wasi_snapshot_preview1"] {
		if name == "proc_exit" || name == "proc_raise" {
			continue
		}
		f := wasiFunction{name: name, void: sig.results == ""}
		var wide []bool
		for typ := range strings.SplitSeq(sig.params, ",") {
			switch typ {
			case "":
			case "i32":
				f.params, wide = append(f.params, typeI32), append(wide, false)
			case "i64":
				f.params, wide = append(f.params, typeI32-1), append(wide, true)
			default:
				t.Fatalf("%s has a parameter of type %s", name, typ)
			}
		}
		values := append(edges(pageSize), 3, 4, 16, 1<<28)
		var calls [][]byte
		for range most {
			var code []byte
			for _, is64 := range wide {
				code = append(code, number(values[random.IntN(len(values))], is64)...)
			}
			code = append(append(code, opCall), leb(fnFirst)...)
			if !f.void {
				code = append(code, 0x1a) // drop
			}
			calls = append(calls, code)
		}
		a := reactor(slices.Concat(calls...), constant(0))
		a.wasi = []wasiFunction{f}
		// At 0 a path, at 16 a list of one range, and a subscription of zeros.
		a.data = "plain\x00..\x00outdir/secret\x00\x00\x00\x00\x10\x00\x00\x00"
		path := writeFile(t, a.bytes())
		j := newJob(t, path, granting(spi.Dir{Path: data, Guest: "/data", Writable: true}), func(r *spi.LoadRequest) {
			r.Limits.Timeout = 300 * time.Millisecond
		})
		switch got := execute(t.Context(), t, j, ""); got.code() {
		case 0, spi.CodeTrap, spi.CodeTimeout, spi.CodeLimit:
		default:
			t.Errorf("%s = %v %v, want none of the host's faults", name, got.code(), got.err)
		}
	}
	if after := snapshot(t, outside); after != before {
		t.Errorf("outside was changed from\n%s\nto\n%s", before, after)
	}
}

// number pushes a number of 32 or 64 bits.
func number(v uint64, is64 bool) []byte {
	if !is64 {
		return constant(int32(uint32(v)))
	}
	out := []byte{0x42}
	for n := int64(v); ; {
		b := byte(n & 0x7f)
		n >>= 7
		if n == 0 && b&0x40 == 0 || n == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

// TestOverflowingCounts has lists whose length in bytes overflows 32 bits.
func TestOverflowingCounts(t *testing.T) {
	t.Parallel()
	for name, params := range map[string][]uint64{
		"poll_oneoff": {0, 0, 1 << 28, 64},
		"fd_write":    {1, 0, 1 << 29, 64},
		"fd_read":     {0, 0, 1<<29 + 1, 64},
	} {
		a := reactor()
		f := wasiFunction{name: name}
		var code []byte
		for _, v := range params {
			f.params = append(f.params, typeI32)
			code = append(code, number(v, false)...)
		}
		a.wasi = []wasiFunction{f}
		a.functions[0].code = slices.Concat(code, []byte{opCall}, leb(fnFirst), []byte{0x1a}, constant(0))
		j := newJob(t, writeFile(t, a.bytes()))
		if got := execute(t.Context(), t, j, ""); got.code() != 0 && got.code() != spi.CodeTrap {
			t.Errorf("%s = %v %v, want an error in the guest or a trap", name, got.code(), got.err)
		}
	}
}

// deepRecursion calls itself for ever and needs no memory, only stack.
func deepRecursion() assembly {
	a := reactor([]byte{opCall}, leb(fnFirst+1))
	a.functions = append(a.functions, function{typ: typeResult, code: slices.Concat(
		[]byte{opCall}, leb(fnFirst+1), []byte{opCall}, leb(fnFirst+1), []byte{0x6a}, // i32.add
	)})
	return a
}

func TestEndlessRecursionWithoutMemory(t *testing.T) {
	t.Parallel()
	a := deepRecursion()
	if got := execute(t.Context(), t, newJob(t, writeFile(t, a.bytes())), ""); got.code() != spi.CodeTrap || !strings.Contains(got.err.Message, "stack") {
		t.Errorf("Execute = %v %v, want %v for the stack", got.code(), got.err, spi.CodeTrap)
	}
}

// TestEveryExportTraps has each export of the ABI trap, exit and return what it
// may not, in a module where only that export is bad.
func TestEveryExportTraps(t *testing.T) {
	t.Parallel()
	for _, m := range methods() {
		for ending, code := range map[string][]byte{
			"unreachable":    {0},
			"out of bounds":  slices.Concat(constant(-1), []byte{0x28, 2, 0}),
			"divide by zero": slices.Concat(constant(1), constant(0), []byte{0x6d}),
			"wrong result":   constant(-7),
		} {
			t.Run(fmt.Sprintf("%s %s", m.name, ending), func(t *testing.T) {
				t.Parallel()
				// The exports of the kinds' guest, all bad.
				a := describing(`{"plugins":[`+strings.Join(describedKinds(), ",")+`]}`, 0)
				for _, export := range []string{
					wire.ExportFetchData, wire.ExportProcessData, wire.ExportShard, wire.ExportHandleError, wire.ExportBeforeJob, wire.ExportAfterJob, wire.ExportTrace,
				} {
					a.functions = append(a.functions, function{export: export, typ: typeResult, code: code})
				}
				p := plugins(t, writeFile(t, a.bytes()))[m.typ]
				want := spi.CodeTrap
				if ending == "wrong result" {
					want = spi.CodeProtocol
				}
				if _, err := m.call(t.Context(), p, "", &recorder{}); codeOf(err) != want {
					t.Errorf("%s = %v, want %v", m.name, err, want)
				}
			})
		}
	}
}

// describedKinds are the plugins of kinds.c.
func describedKinds() []string {
	var all []string
	for _, d := range []struct{ kind, typ, capabilities string }{
		{"jobType", "PLAIN", `[]`},
		{"jobType", "FLOW", `["dataflow"]`},
		{"jobType", "BOTH", `["execute","dataflow"]`},
		{"shardingStrategy", "SPREAD", `[]`},
		{"errorHandler", "HANDLE", `[]`},
		{"jobListener", "LISTEN", `["distributeOnce"]`},
		{"tracingSink", "SINK", `[]`},
	} {
		all = append(all, descriptor("jobType", d.kind, "ORDERS", d.typ, `"capabilities":[]`, `"capabilities":`+d.capabilities))
	}
	return all
}
