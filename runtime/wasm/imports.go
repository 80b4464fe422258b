package wasm

import (
	"context"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// maxOpName bounds the name of a host operation; the known ones are shorter.
const maxOpName = 256

// hostImport is one function of the module elasticjob_v1.
type hostImport struct {
	name    string
	params  int // i32 each
	results int // i32 each
	run     func(ctx context.Context, c *call, mem guestMemory, stack []uint64)
}

func hostImports() []hostImport {
	return []hostImport{
		{wire.ImportInputRead, 2, 1, func(_ context.Context, c *call, mem guestMemory, stack []uint64) {
			stack[0] = copyOut(c, wire.ImportInputRead, mem, stack, c.input)
		}},
		{wire.ImportHostRead, 2, 1, func(_ context.Context, c *call, mem guestMemory, stack []uint64) {
			stack[0] = copyOut(c, wire.ImportHostRead, mem, stack, c.hostResponse)
		}},
		{wire.ImportOutputWrite, 2, 0, outputWrite},
		{wire.ImportLog, 3, 0, logLine},
		{wire.ImportHostCall, 4, 1, hostCall},
	}
}

// exportImports adds the module elasticjob_v1 to a runtime.
func exportImports(r wazero.Runtime) wazero.HostModuleBuilder {
	b := r.NewHostModuleBuilder(wire.Module)
	for _, f := range hostImports() {
		run := f.run
		b = b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, m api.Module, stack []uint64) {
			c := callOf(ctx)
			run(ctx, c, memoryOf(c, m), stack)
		}), i32s(f.params), i32s(f.results)).Export(f.name)
	}
	return b
}

func i32s(n int) []api.ValueType {
	types := make([]api.ValueType, n)
	for i := range types {
		types[i] = api.ValueTypeI32
	}
	return types
}

// guestMemory is the memory that pointers of a guest point into.
type guestMemory interface {
	Read(offset, byteCount uint32) ([]byte, bool)
}

// noMemory is the memory of a module without one.
type noMemory struct{}

func (noMemory) Read(uint32, uint32) ([]byte, bool) { return nil, false }

// memoryOf returns the memory of the calling module. Of a module without one,
// api.Module.Memory is a typed nil, which cannot be told from a memory.
func memoryOf(c *call, m api.Module) guestMemory {
	if c.noMemory {
		return noMemory{}
	}
	return m.Memory()
}

// view returns the bytes of a range, which alias the guest's memory. A range
// outside of it ends the guest. An empty range is nowhere outside.
func view(c *call, name string, mem guestMemory, ptr, length uint64) []byte {
	p, n := uint32(ptr), uint32(length)
	if n == 0 {
		return nil
	}
	b, ok := mem.Read(p, n)
	if !ok {
		c.breakOff(spi.CodeProtocol, fmt.Sprintf("%s: the range of %d bytes at %d is outside of the module's memory", name, n, p))
	}
	return b
}

// copyOut copies data to (ptr, cap) if it fits, and returns its length.
func copyOut(c *call, name string, mem guestMemory, stack []uint64, data []byte) uint64 {
	target := view(c, name, mem, stack[0], stack[1])
	if len(data) <= len(target) {
		copy(target, data)
	}
	return uint64(uint32(len(data)))
}

func outputWrite(_ context.Context, c *call, mem guestMemory, stack []uint64) {
	if n := uint32(stack[1]); n > wire.MaxMessage {
		c.breakOff(spi.CodeLimit, fmt.Sprintf("%s: an output of %d bytes is larger than %d MiB", wire.ImportOutputWrite, n, wire.MaxMessage>>20))
	}
	c.response = append(c.response[:0], view(c, wire.ImportOutputWrite, mem, stack[0], stack[1])...)
}

func logLine(_ context.Context, c *call, mem guestMemory, stack []uint64) {
	c.checkDone()
	c.out.record(spi.Level(int32(stack[0])), spi.StreamLog, view(c, wire.ImportLog, mem, stack[1], stack[2]))
}

func hostCall(ctx context.Context, c *call, mem guestMemory, stack []uint64) {
	c.checkDone()
	op := view(c, wire.ImportHostCall, mem, stack[0], stack[1])
	request := view(c, wire.ImportHostCall, mem, stack[2], stack[3])
	name := strings.ToValidUTF8(string(op[:min(len(op), maxOpName)]), "\uFFFD")
	// The services get a copy: the guest's memory may move or go away.
	if len(request) <= wire.MaxMessage {
		request = append([]byte(nil), request...)
	}
	stack[0] = uint64(uint32(c.hostCall(ctx, name, request)))
}
