package wasm_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/elasticjob-go/elasticjob/runtime/wasm"
	"github.com/elasticjob-go/elasticjob/spi"
)

// TestLoadsOfOneFileDoNotKeepItsBytes loads a large module for many jobs.
func TestLoadsOfOneFileDoNotKeepItsBytes(t *testing.T) { //nolint:paralleltest // it measures the heap
	data, err := os.ReadFile("testdata/guest.wasm")
	if err != nil {
		t.Fatal(err)
	}
	// A custom section without a name, of 8 MiB.
	const size = 8 << 20
	data = append(data, 0, 0x81, 0x80, 0x80, 0x04, 0)
	data = append(data, make([]byte, size)...)
	path := filepath.Join(t.TempDir(), "large.wasm")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := wasm.New(t.Context(), wasm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close(t.Context()) }()
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	load := func() {
		if _, err := h.Load(t.Context(), spi.LoadRequest{Path: path}); err != nil {
			t.Fatal(err)
		}
	}
	load()
	before := heap()
	const loads = 16
	for range loads {
		load()
	}
	if grown := int64(heap()) - int64(before); grown > loads*1<<20 {
		t.Errorf("%d more loads of a module of %d MiB keep %d MiB, want less than 1 MiB each", loads, size>>20, grown>>20)
	}
}
