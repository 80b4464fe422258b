//go:build wasip1

package sdk

import (
	"context"
	"strings"
	"sync"
	"unsafe"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

//go:wasmimport elasticjob_v1 input_read
func inputRead(ptr unsafe.Pointer, capacity uint32) uint32

//go:wasmimport elasticjob_v1 output_write
func outputWrite(ptr unsafe.Pointer, length uint32)

//go:wasmimport elasticjob_v1 log
func logWrite(level int32, ptr unsafe.Pointer, length uint32)

//go:wasmimport elasticjob_v1 host_call
func hostCall(op unsafe.Pointer, opLength uint32, request unsafe.Pointer, requestLength uint32) int32

//go:wasmimport elasticjob_v1 host_read
func hostRead(ptr unsafe.Pointer, capacity uint32) uint32

func pointer(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

func textPointer(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }

// readAll reads from an import that copies nothing when the buffer is too
// small and always returns the whole length.
func readAll(read func(unsafe.Pointer, uint32) uint32) []byte {
	buffer := make([]byte, 4<<10)
	for {
		n := read(pointer(buffer), uint32(len(buffer)))
		if int(n) <= len(buffer) {
			return buffer[:n]
		}
		buffer = make([]byte, n)
	}
}

// hostServices is the host as this module's imports reach it.
type hostServices struct {
	// mu keeps a host_call and the host_read of its response together.
	mu sync.Mutex
}

var _ spi.Services = (*hostServices)(nil)

// Log writes each line of the record as a record of its own.
func (*hostServices) Log(_ context.Context, record spi.LogRecord) {
	for line := range strings.SplitSeq(strings.TrimSuffix(record.Line, "\n"), "\n") {
		line = wire.Cut(strings.TrimSuffix(line, "\r"), wire.MaxLogLine)
		logWrite(int32(record.Level.Round()), textPointer(line), uint32(len(line)))
	}
}

// Call runs a host operation.
func (s *hostServices) Call(_ context.Context, op string, request []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	result := hostCall(textPointer(op), uint32(len(op)), pointer(request), uint32(len(request)))
	response := readAll(hostRead)
	if result >= 0 {
		return response, nil
	}
	e, err := wire.DecodeError(response)
	if err != nil {
		return nil, spi.NewError(spi.Code(-result), "the host refused "+op)
	}
	return nil, e
}
