package wasm

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/spi"
)

// bombs are small modules that claim to be large. Any of them would make
// wazero reserve up to a hundred gigabytes at once, which ends the process.
func bombs() map[string][]byte {
	huge := leb(1<<32 - 1)
	module := func(sections ...[]byte) []byte {
		return append([]byte(magic+coreVersion), slices.Concat(sections...)...)
	}
	body := func(b ...[]byte) []byte { return slices.Concat(b...) }
	out := map[string][]byte{
		"parameters":     module(sectionOf(sectionType, body([]byte{1, 0x60}, huge))),
		"results":        module(sectionOf(sectionType, body([]byte{1, 0x60, 0}, huge))),
		"locals":         module(sectionOf(sectionCode, vector(sized(body([]byte{1}, huge, []byte{0x7f, opEnd}))))),
		"local groups":   module(sectionOf(sectionCode, vector(sized(body(huge, []byte{opEnd}))))),
		"body":           module(sectionOf(sectionCode, body([]byte{1}, huge))),
		"data":           module(sectionOf(sectionData, body([]byte{1, 0, 0x41, 0, opEnd}, huge))),
		"passive data":   module(sectionOf(sectionData, body([]byte{1, 1}, huge))),
		"name":           module(sectionOf(sectionExport, body([]byte{1}, huge))),
		"function names": module(sectionOf(sectionCustom, body(sized([]byte("name")), []byte{functionNames, 5}, huge))),
		"local names":    module(sectionOf(sectionCustom, body(sized([]byte("name")), []byte{2, 5}, huge))),
		"custom name":    module(sectionOf(sectionCustom, huge)),
		"section":        module([]byte{sectionData}, huge),
	}
	for _, id := range []byte{sectionType, sectionImport, sectionFunction, sectionTable, sectionMemory, sectionGlobal, sectionExport, sectionElement, sectionCode, sectionData} {
		out["list of section "+string('0'+rune(id))] = module(sectionOf(id, huge))
	}
	for form := range byte(8) {
		head := []byte{1, form}
		if form&1 == 0 {
			if form&2 != 0 {
				head = append(head, 0)
			}
			head = append(head, 0x41, 0, opEnd)
		}
		if form&3 != 0 {
			kind := byte(0)
			if form&4 != 0 {
				kind = typeFuncref
			}
			head = append(head, kind)
		}
		out["elements of form "+string('0'+rune(form))] = module(sectionOf(sectionElement, append(head, huge...)))
	}
	return out
}

func TestBombsAreRefused(t *testing.T) {
	t.Parallel()
	for name, data := range bombs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := shared.host.Load(t.Context(), spi.LoadRequest{Path: writeFile(t, data)})
			if e, ok := errors.AsType[*spi.Error](err); !ok || e.Code != spi.CodeProtocol {
				t.Errorf("Load = %v, want %v", err, spi.CodeProtocol)
			}
		})
	}
}

func TestScreen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		id   byte
		body []byte
		want string // in the error; "" is none
	}{
		{"types", sectionType, vector([]byte{0x60, 2, 0x7f, 0x7b, 1, 0x70}), ""},
		{"a structure", sectionType, vector([]byte{0x5f, 0}), "0x5f"},
		{"a long value type", sectionType, vector([]byte{0x60, 1, 0x63, 0x70, 0}), "0x63"},
		{"many parameters", sectionType, vector(append([]byte{0x60}, append(leb(1001), make([]byte, 1002)...)...)), "1000 parameters"},
		{"globals", sectionGlobal, vector([]byte{0x7f, 1, 0x41, 0x80, 1, opEnd}, []byte{0x7e, 0, 0x42, 0x7f, opEnd}, []byte{0x7d, 0, 0x43, 1, 2, 3, 4, opEnd},
			[]byte{0x7c, 0, 0x44, 1, 2, 3, 4, 5, 6, 7, 8, opEnd}, []byte{0x70, 0, 0xd2, 3, opEnd}, []byte{0x6f, 0, 0xd0, 0x6f, opEnd}, []byte{0x7f, 0, opGlobalGet, 0, opEnd}), ""},
		{"a computed global", sectionGlobal, vector([]byte{0x7f, 0, 0x41, 1, 0x41, 1, 0x6a, opEnd}), "0x6a"},
		{"an endless global", sectionGlobal, vector([]byte{0x7f, 0, 0x41, 1}), "too early"},
		{"locals", sectionCode, vector(sized([]byte{2, 1, 0x7f, 3, 0x7b, opEnd})), ""},
		{"too many locals", sectionCode, vector(sized(slices.Concat([]byte{2}, leb(50_000), []byte{0x7f, 1, 0x7f, opEnd}))), "50000 locals"},
		{"data", sectionData, vector([]byte{0, 0x41, 0, opEnd, 2, 'a', 'b'}, []byte{1, 1, 'c'}, []byte{2, 0, 0x41, 0, opEnd, 0}), ""},
		{"data of another form", sectionData, vector([]byte{3, 0}), "form 3"},
		{"elements", sectionElement, vector([]byte{0, 0x41, 0, opEnd, 1, 7}, []byte{1, 0, 1, 7}, []byte{2, 0, 0x41, 0, opEnd, 0, 1, 7}, []byte{3, 0, 1, 7},
			[]byte{4, 0x41, 0, opEnd, 1, 0xd2, 7, opEnd}, []byte{5, 0x70, 1, 0xd0, 0x70, opEnd}, []byte{6, 0, 0x41, 0, opEnd, 0x70, 1, 0xd2, 7, opEnd}, []byte{7, 0x6f, 0}), ""},
		{"elements of another form", sectionElement, vector([]byte{8, 0}), "form 8"},
		{"elements of another kind", sectionElement, vector([]byte{1, 5, 0}), "kind 0x5"},
		{"bytes after the list", sectionFunction, append(vector([]byte{0}), 0), "longer than its content"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := screen(c.id, c.body)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("screen(%d, %x) = %v, want %q", c.id, c.body, err, c.want)
			}
		})
	}
}

func TestKeepNames(t *testing.T) {
	t.Parallel()
	functions := slices.Concat([]byte{functionNames}, sized(vector(append([]byte{0}, sized([]byte("fib"))...))))
	locals := slices.Concat([]byte{2}, sized([]byte{0}))
	title := sized([]byte("name"))
	for _, c := range []struct {
		name string
		body []byte
		want []byte
	}{
		{"another section", sized([]byte("producers")), nil},
		{"function names only", slices.Concat(title, functions), slices.Concat(title, functions)},
		{"other names are left out", slices.Concat(title, locals, functions, locals), slices.Concat(title, functions)},
		{"no function names", slices.Concat(title, locals), nil},
		{"names that are no text", slices.Concat(title, []byte{functionNames}, sized([]byte{1, 0, 1, 0xff})), nil},
		{"more names than there are", slices.Concat(title, []byte{functionNames}, sized([]byte{2, 0, 1, 'a'})), nil},
	} {
		if got := keepNames(c.body); !slices.Equal(got, c.want) {
			t.Errorf("%s: keepNames = %q, want %q", c.name, got, c.want)
		}
	}
}
