package wasm

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// TestRefusedFiles loads what cannot be used: every one must give one error
// that begins with the file and says what is wrong.
func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	ok := reactor(constant(0))
	command := assembly{functions: []function{{export: "_start", typ: typeVoid}}}
	with := func(a assembly, change func(*assembly)) []byte {
		a.functions = slices.Clone(a.functions)
		change(&a)
		return a.bytes()
	}
	unreachable := []byte{0}
	header := []byte(magic + coreVersion)
	for _, c := range []struct {
		name string
		data []byte
		want []string
	}{
		{"an empty file", nil, []string{"is not a WebAssembly module", "empty"}},
		{"half a header", []byte(magic + "\x01"), []string{"is not a WebAssembly module", "ends within the header"}},
		{"text", []byte("elasticjob:\n  jobs: {}\n"), []string{"is not a WebAssembly module", "text"}},
		{"text in other letters", []byte("任务\n"), []string{"text"}},
		{"WebAssembly text", []byte("(module)"), []string{"wat2wasm"}},
		{"an ELF program", []byte("\x7fELF\x02\x01\x01\x00"), []string{"ELF"}},
		{"a Windows program", []byte("MZ\x90\x00"), []string{"Windows"}},
		{"gzip", []byte("\x1f\x8b\x08\x00"), []string{"gzip"}},
		{"other bytes", []byte("\x01\x02\x03\x04\x05"), []string{"01 02 03 04"}},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), []string{"component", "wasm32-wasip1"}},
		{"another version", []byte("\x00asm\x02\x00\x00\x00"), []string{"version"}},
		{"only a header", header, []string{"exports nothing", "_start", "elasticjob_execute"}},
		{"no usable export", with(ok, func(a *assembly) { a.functions[0].export = "run" }), []string{"neither", "run, memory"}},
		{"a memory named like a function", with(ok, func(a *assembly) {
			a.functions[0].export = "run"
			a.noMemory = true
			a.extra = nil
		}), []string{"exports run"}},
		{"no export that can be served", with(ok, func(a *assembly) { a.functions[0].export = "elasticjob_shard" }), []string{"elasticjob_shard", "elasticjob_execute"}},
		{"both shapes", with(ok, func(a *assembly) {
			a.functions = append(a.functions, function{export: "_start", typ: typeVoid})
		}), []string{"_start", "elasticjob_execute", "-buildmode=c-shared"}},
		{"a command that imports the ABI", command.bytes(), []string{"elasticjob_v1.input_read", "_start"}},
		{"an unknown module", with(ok, func(a *assembly) { a.imports = [][]byte{importOf("env", "emscripten_run", 0, typeVoid)} }), []string{"imports env.emscripten_run"}},
		{"an unknown function", with(ok, func(a *assembly) { a.imports = [][]byte{importOf("elasticjob_v1", "sudo", 0, typeVoid)} }), []string{"imports elasticjob_v1.sudo"}},
		{"an unknown function of WASI", with(ok, func(a *assembly) {
			a.imports = [][]byte{importOf("wasi_snapshot_preview1", "sock_connect", 0, typeVoid)}
		}), []string{"imports wasi_snapshot_preview1.sock_connect"}},
		{"an imported memory", with(ok, func(a *assembly) { a.imports = [][]byte{importOf("env", "memory", 2, 0, 1)} }), []string{"imports the memory env.memory"}},
		{"an imported global", with(ok, func(a *assembly) { a.imports = [][]byte{importOf("env", "g", 3, 0x7f, 0)} }), []string{"imports the global env.g"}},
		{"an import of another type", with(ok, func(a *assembly) {
			a.imports = [][]byte{importOf("elasticjob_v1", "log", 0, typeVoid)}
			a.functions[0].code = constant(0)
		}), []string{"elasticjob_v1.log", "(i32,i32,i32) -> ()"}},
		{"an export of another type", with(ok, func(a *assembly) {
			a.functions[0] = function{export: "elasticjob_execute", typ: typeVoid}
		}), []string{"elasticjob_execute", "() -> (i32)"}},
		{"an _initialize of another type", with(ok, func(a *assembly) {
			a.functions = append(a.functions, function{export: "_initialize", typ: typeResult, code: constant(0)})
		}), []string{"_initialize"}},
		{"too much memory at once", with(ok, func(a *assembly) { a.memory = append([]byte{0}, leb(4097)...) }), []string{"LIMIT", "256 MiB"}},
		{"shared memory", with(ok, func(a *assembly) { a.memory = []byte{3, 1, 2} }), []string{"shared"}},
		{"64-bit memory", with(ok, func(a *assembly) { a.memory = []byte{4, 1} }), []string{"64-bit"}},
		{"two memories", with(ok, func(a *assembly) {
			a.noMemory = true
			a.extra = [][]byte{sectionOf(sectionMemory, vector([]byte{0, 1}, []byte{0, 1}))}
		}), []string{"more than 1 memory"}},
		{"too large a table", with(ok, func(a *assembly) { a.tables = [][]byte{append([]byte{0x70, 0}, leb(maxTableElements+1)...)} }), []string{"table of 1048577 elements"}},
		{"too many tables", with(ok, func(a *assembly) { a.tables = slices.Repeat([][]byte{{0x70, 0, 1}}, maxTables+1) }), []string{"more than 16 tables"}},
		{"a repeated section", with(ok, func(a *assembly) { a.extra = [][]byte{sectionOf(sectionMemory, vector([]byte{0, 1}))} }), []string{"twice"}},
		{"a file that was cut", func() []byte { b := ok.bytes(); return b[:len(b)-3] }(), []string{"ends too early"}},
		{"code that is no code", with(ok, func(a *assembly) { a.functions[0].code = []byte{0xff, 0xff} }), []string{"is not a valid WebAssembly module"}},
		{"code of the wrong type", with(ok, func(a *assembly) { a.functions[0].code = nil }), []string{"is not a valid WebAssembly module"}},
		{"a start section that traps while describing", with(describing(`{"plugins":[]}`, 0), func(a *assembly) {
			a.functions = append(a.functions, function{typ: typeVoid, code: unreachable})
			a.start = fnFirst + 2
		}), []string{"describing", "unreachable"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := writeFile(t, c.data)
			_, err := shared.host.Load(t.Context(), spi.LoadRequest{Path: path})
			if err == nil {
				t.Fatal("Load = nil, want an error")
			}
			text := err.Error()
			if e, ok := errors.AsType[*spi.Error](err); ok {
				text += " " + e.Code.String()
			}
			if !strings.HasPrefix(text, path+": ") {
				t.Errorf("Load = %q, want it to begin with the file", text)
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("Load = %q, want it to contain %q", text, want)
				}
			}
		})
	}
}

func TestRefusedPaths(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing.wasm")
	if _, err := shared.host.Load(t.Context(), spi.LoadRequest{Path: missing}); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), missing) {
		t.Errorf("Load(%s) = %v, want %v", missing, err, fs.ErrNotExist)
	}
	dir := t.TempDir()
	if _, err := shared.host.Load(t.Context(), spi.LoadRequest{Path: dir}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("Load(directory) = %v, want an error", err)
	}
	large := writeFile(t, []byte(magic+coreVersion))
	if err := os.Truncate(large, 64<<20+1); err != nil {
		t.Fatal(err)
	}
	if _, err := shared.host.Load(t.Context(), spi.LoadRequest{Path: large}); err == nil || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("Load(64 MiB and a byte) = %v, want an error", err)
	}
}

func TestRefusedTerms(t *testing.T) {
	t.Parallel()
	dir, file := t.TempDir(), writeFile(t, nil)
	for name, req := range map[string]spi.LoadRequest{
		"unknown isolation":                {Isolation: "shared"},
		"a negative memory":                {Limits: spi.Limits{Memory: -1}},
		"less than one page":               {Limits: spi.Limits{Memory: 1000}},
		"a negative timeout":               {Limits: spi.Limits{Timeout: -time.Second}},
		"a negative concurrency":           {Limits: spi.Limits{Concurrency: -1}},
		"an unknown clock":                 {Grants: spi.Grants{Clock: "slow"}},
		"unknown random numbers":           {Grants: spi.Grants{Random: "few"}},
		"a variable without a name":        {Grants: spi.Grants{Env: []string{""}}},
		"a variable with a value":          {Grants: spi.Grants{Env: []string{"A=B"}}},
		"a directory that is not absolute": {Grants: spi.Grants{Dirs: []spi.Dir{{Path: "data", Guest: "/data"}}}},
		"a directory that is not there":    {Grants: spi.Grants{Dirs: []spi.Dir{{Path: filepath.Join(dir, "missing"), Guest: "/data"}}}},
		"a directory that is a file":       {Grants: spi.Grants{Dirs: []spi.Dir{{Path: file, Guest: "/data"}}}},
		"a directory without a place":      {Grants: spi.Grants{Dirs: []spi.Dir{{Path: dir}}}},
		"a directory in a relative place":  {Grants: spi.Grants{Dirs: []spi.Dir{{Path: dir, Guest: "data"}}}},
		"a directory in a place above":     {Grants: spi.Grants{Dirs: []spi.Dir{{Path: dir, Guest: "/../data"}}}},
		"two directories in one place":     {Grants: spi.Grants{Dirs: []spi.Dir{{Path: dir, Guest: "/data"}, {Path: os.TempDir(), Guest: "/data"}}}},
	} {
		req.Path = prebuilt
		if b, err := shared.host.Load(t.Context(), req); err == nil {
			t.Errorf("%s: Load = %v, want an error", name, b)
		} else if !strings.HasPrefix(err.Error(), prebuilt+": ") {
			t.Errorf("%s: Load = %v, want the file in front", name, err)
		}
	}
}

func TestChecksum(t *testing.T) {
	t.Parallel()
	f, err := readFile(prebuilt, "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := shared.host.Load(t.Context(), spi.LoadRequest{Path: prebuilt, SHA256: strings.ToUpper(f.sha)})
	if err != nil {
		t.Fatalf("Load with the right checksum = %v", err)
	}
	if b.Provenance != (spi.Provenance{Host: "wasm", Path: prebuilt, SHA256: f.sha}) || b.Plugins != nil {
		t.Errorf("Load = %+v, want the provenance and no plugins", b)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	wrong := strings.Repeat("ab", 32)
	if _, err := shared.host.Load(t.Context(), spi.LoadRequest{Path: prebuilt, SHA256: wrong}); err == nil || !strings.Contains(err.Error(), wrong) || !strings.Contains(err.Error(), f.sha) {
		t.Errorf("Load with a wrong checksum = %v, want both sums", err)
	}
}

func TestMemoryLimitOfTheLoad(t *testing.T) {
	t.Parallel()
	a := reactor(constant(0))
	a.memory = append([]byte{0}, leb(32)...) // 2 MiB
	path := writeFile(t, a.bytes())
	for _, c := range []struct {
		limit int64
		ok    bool
	}{{2<<20 - 1, false}, {2 << 20, true}, {1 << 40, true}} {
		b, err := shared.host.Load(t.Context(), spi.LoadRequest{Path: path, Limits: spi.Limits{Memory: c.limit}})
		if (err == nil) != c.ok {
			t.Errorf("Load with %d bytes = %v, want ok %v", c.limit, err, c.ok)
		}
		if err == nil {
			if err := b.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestTablesCannotGrowForEver(t *testing.T) {
	t.Parallel()
	// table.grow by 2^20 - 1, then by 1 more: refused, so the result is -1.
	grow := func(n int32) []byte {
		return slices.Concat([]byte{0xd0, 0x70}, constant(n), []byte{0xfc, 0x0f, 0})
	}
	a := reactor(grow(maxTableElements-1), []byte{0x1a}, grow(1), constant(1), []byte{0x6a}) // drop; add 1
	a.tables = [][]byte{{0x70, 0, 1}}
	j := newJob(t, writeFile(t, a.bytes()))
	if got := execute(t.Context(), t, j, ""); got.err != nil {
		t.Errorf("Execute = %v, want the second table.grow to give -1", got.err)
	}
}

func TestModuleWithoutMemory(t *testing.T) {
	t.Parallel()
	a := reactor(callOn(fnLog, 0, 0, 1), constant(0))
	a.noMemory = true
	if got := execute(t.Context(), t, newJob(t, writeFile(t, a.bytes())), ""); got.code() != spi.CodeProtocol {
		t.Errorf("Execute = %v, want %v", got.err, spi.CodeProtocol)
	}
}

func TestStartSectionAndInitialize(t *testing.T) {
	t.Parallel()
	for name, code := range map[string][]byte{
		"host_call is denied": slices.Concat(
			callOn(fnHostCall, 0, 1, 0, 0), constant(-4), []byte{0x47, 0x04, emptyType, 0, opEnd}), // trap unless -4
		"the request is not there yet": slices.Concat(
			callOn(fnInputRead, 0, 0), []byte{0x04, emptyType, 0, opEnd}), // trap unless 0
		"an output is forgotten": callOn(fnOutputWrite, 0, 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := reactor(constant(0))
			a.data = "x"
			a.functions = append(a.functions, function{export: "_initialize", typ: typeVoid, code: code}, function{typ: typeVoid, code: code})
			a.start = fnFirst + 2
			j := newJob(t, writeFile(t, a.bytes()))
			if got := execute(t.Context(), t, j, "", &recorder{call: func(context.Context, string, []byte) ([]byte, error) { return nil, nil }}); got.err != nil {
				t.Errorf("Execute = %+v, want no error", got.err)
			}
		})
	}
	for _, where := range []string{"start", "_initialize"} {
		a := reactor(constant(0))
		a.functions = append(a.functions, function{typ: typeVoid, code: []byte{0}})
		if where == "start" {
			a.start = fnFirst + 1
		} else {
			a.functions[1].export = where
		}
		if got := execute(t.Context(), t, newJob(t, writeFile(t, a.bytes())), ""); got.code() != spi.CodeTrap {
			t.Errorf("Execute with a trap in %s = %v, want %v", where, got.err, spi.CodeTrap)
		}
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	a := reactor(constant(0))
	a.memory = []byte{1, 1, 3}
	data := a.bytes()
	path := writeFile(t, data)
	got, err := shared.host.Inspect(t.Context(), spi.LoadRequest{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	f, err := readFile(path, "")
	if err != nil {
		t.Fatal(err)
	}
	want := Inspection{
		Path: path, SHA256: f.sha, Size: int64(len(data)), Shape: ShapeReactor, MemoryMin: 64 << 10, MemoryMax: 3 * 64 << 10,
		Imports: []Import{{"elasticjob_v1", "input_read"}, {"elasticjob_v1", "output_write"}, {"elasticjob_v1", "log"}, {"elasticjob_v1", "host_call"}, {"elasticjob_v1", "host_read"}},
		Exports: []Export{{"elasticjob_execute", "function", "() -> (i32)"}, {"memory", "memory", ""}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Inspect (-want +got):\n%s", diff)
	}
	if sum, err := hex.DecodeString(got.SHA256); err != nil || len(sum) != 32 {
		t.Errorf("SHA256 = %q, want 32 bytes in hexadecimal", got.SHA256)
	}
	got, err = shared.host.Inspect(t.Context(), spi.LoadRequest{Path: goCommand(t)})
	if err != nil || got.Shape != ShapeCommand || got.Describes {
		t.Errorf("Inspect(command) = %+v, %v, want a command", got, err)
	}
	got, err = shared.host.Inspect(t.Context(), spi.LoadRequest{Path: goReactor(t)})
	if err != nil || !got.Describes || len(got.Plugins) != 1 || got.Plugins[0].Version != "1.2.3" {
		t.Errorf("Inspect(Go reactor) = %+v, %v, want its plugin", got, err)
	}
	if _, err := shared.host.Inspect(t.Context(), spi.LoadRequest{Path: writeFile(t, bytes.Repeat([]byte("x"), 10))}); err == nil {
		t.Error("Inspect(text) = nil, want an error")
	}
}

func TestJobTypeRefusesModulesWithTypes(t *testing.T) {
	t.Parallel()
	path := goReactor(t)
	plugin := shared.host.JobType(func(module string) spi.LoadRequest { return spi.LoadRequest{Path: module} })
	if err := plugin.Check(); err != nil {
		t.Errorf("Check = %v", err)
	}
	if _, problems := plugin.Descriptor.Props.Resolve(map[string]string{"wasm.module": "a.wasm", "anything": "goes"}); len(problems) > 0 {
		t.Errorf("Resolve = %v, want no problems", problems)
	}
	if _, problems := plugin.Descriptor.Props.Resolve(nil); len(problems) != 1 || problems[0].Property != "wasm.module" {
		t.Errorf("Resolve without a module = %v, want one problem", problems)
	}
	_, err := plugin.JobType(t.Context(), props.Values{PropModule: path})
	if err == nil || !strings.Contains(err.Error(), "elasticJobType: GO_PLAIN") {
		t.Errorf("JobType = %v, want the type to use instead", err)
	}
}

func TestHostileNamesStayOnOneLine(t *testing.T) {
	t.Parallel()
	a := reactor(constant(0))
	a.functions[0].export = "two\nlines \x1b[31m \"red\""
	_, err := shared.host.Load(t.Context(), spi.LoadRequest{Path: writeFile(t, a.bytes())})
	if want := `two\nlines \x1b[31m "red"`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Load = %v, want %s in it", err, want)
	}
}
