package wasm

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// fakeMemory is a guest's memory of any size below 4 GiB.
type fakeMemory []byte

func (m fakeMemory) Read(offset, n uint32) ([]byte, bool) {
	if uint64(offset)+uint64(n) > uint64(len(m)) {
		return nil, false
	}
	return m[offset : offset+n : offset+n], true
}

// FuzzImports calls an import with any arguments: it either works within the
// memory or breaks the guest off, and writes nowhere else.
func FuzzImports(f *testing.F) {
	f.Add(uint8(0), uint32(0), uint32(64), uint32(0), uint32(0), "request")
	f.Add(uint8(1), uint32(100), uint32(4), uint32(0), uint32(0), "")
	f.Add(uint8(2), uint32(0xfffffff0), uint32(64), uint32(1), uint32(2), "x")
	f.Add(uint8(3), uint32(4), uint32(0), uint32(0xffffffff), uint32(0), "x")
	f.Add(uint8(4), uint32(0), uint32(4), uint32(8), uint32(4), "should_stop")
	imports := hostImports()
	f.Fuzz(func(t *testing.T, which uint8, a, b, c, d uint32, data string) {
		imp := imports[int(which)%len(imports)]
		mem := make(fakeMemory, 256, 512)
		for i := range mem {
			mem[i] = 'm'
		}
		call := newCall(t.Context(), &recorder{call: func(_ context.Context, op string, request []byte) ([]byte, error) {
			if !utf8.ValidString(op) || len(op) > 3*maxOpName || len(request) > len(mem) {
				t.Errorf("Call got %d bytes of operation, %d of request", len(op), len(request))
			}
			return []byte(data), nil
		}})
		call.serving, call.input, call.hostResponse = true, []byte(data), []byte(data)
		stack := []uint64{uint64(a) | 1<<40, uint64(b), uint64(c) | 1<<63, uint64(d)} // the upper half is rubbish
		broken := runImport(imp, call, mem, stack)
		if broken && (call.broken == nil || call.broken.Code != spi.CodeProtocol && call.broken.Code != spi.CodeLimit) {
			t.Errorf("%s broke off with %v", imp.name, call.broken)
		}
		reads := imp.name == wire.ImportInputRead || imp.name == wire.ImportHostRead
		for i, x := range mem {
			inside := reads && uint64(i) >= uint64(a) && uint64(i) < uint64(a)+min(uint64(b), uint64(len(data)))
			if x != 'm' && !inside {
				t.Fatalf("%s wrote to %d", imp.name, i)
			}
		}
		if reads && !broken {
			if stack[0] != uint64(len(data)) {
				t.Errorf("%s = %d, want %d", imp.name, stack[0], len(data))
			}
			if len(data) <= int(b) && string(mem[min(int(a), len(mem)):][:min(len(data), len(mem)-min(int(a), len(mem)))]) != data {
				t.Errorf("%s did not copy", imp.name)
			}
		}
	})
}

func runImport(imp hostImport, c *call, mem guestMemory, stack []uint64) (broken bool) {
	defer func() {
		if r := recover(); r != nil {
			if err, ok := r.(error); !ok || !errors.Is(err, errBroken) {
				panic(r)
			}
			broken = true
		}
	}()
	imp.run(context.Background(), c, mem, stack)
	return false
}

// FuzzOutcome reads any output with any result: what comes out is bounded
// and has a code that a guest may cause.
func FuzzOutcome(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"message":"m"}`, `{"code":6,"message":"m"}`, `{"code":1001,"message":"m","retryable":true}`, "[", "\xff"} {
		for result := range uint32(3) {
			f.Add(result, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, result uint32, output []byte) {
		var response spi.ExecuteResponse
		failed, broken := outcome(wire.ExportExecute, result, output, func(b []byte) (err error) {
			response, err = wire.DecodeExecuteResponse(b)
			return err
		})
		if broken != (failed != nil && failed.Code == spi.CodeProtocol) {
			t.Errorf("outcome(%d, %q) = %v, broken %v", result, output, failed, broken)
		}
		if failed != nil && failed.Code.FromGuest() != failed.Code && failed.Code != spi.CodeProtocol {
			t.Errorf("outcome(%d, %q) = code %v", result, output, failed.Code)
		}
		if len(response.Message) > wire.MaxText || failed != nil && len(failed.Message) > 2*wire.MaxText {
			t.Errorf("outcome(%d, %d bytes) is not bounded", result, len(output))
		}
	})
}

// FuzzDescription checks that no description gets past without being usable.
func FuzzDescription(f *testing.F) {
	f.Add([]byte(`{"plugins":[` + descriptor() + `]}`))
	f.Add([]byte(`{"plugins":[` + descriptor() + `,` + descriptor("ORDERS", "B") + `]}`))
	f.Add([]byte(`{"plugins":[` + descriptor("jobType", "errorHandler") + `]}`))
	a := reactor(constant(0))
	l, err := readLayout(a.bytes())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		plugins, err := wire.DecodeDescribeResponse(data)
		if err != nil || checkPlugins(l, plugins) != nil {
			return
		}
		seen := map[string]bool{}
		for _, d := range plugins {
			if d.Kind != spi.KindJobType || !spi.ValidType(d.Type) || seen[d.Type] || !d.Has(spi.CapabilityExecute) || d.Check() != nil {
				t.Errorf("%q was accepted", data)
			}
			seen[d.Type] = true
		}
	})
}

// FuzzOutput writes any bytes in any pieces: records are bounded, valid and,
// below the bounds, lose nothing.
func FuzzOutput(f *testing.F) {
	f.Add([]byte("one\ntwo\r\n\nthree"), 3)
	f.Add([]byte(strings.Repeat("x", 200)), 7)
	f.Add([]byte("\xff\xfe\n"), 1)
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		var lines []string
		o := output{log: func(r spi.LogRecord) {
			if len(r.Line) > wire.MaxLogLine || !utf8.ValidString(r.Line) || r.Stream != spi.StreamStderr || r.Level != spi.LevelWarn {
				t.Errorf("record = %+v", r)
			}
			lines = append(lines, r.Line)
		}}
		for rest := data; len(rest) > 0; {
			n := min(max(piece%64, 1), len(rest))
			o.write(spi.StreamStderr, rest[:n])
			rest = rest[n:]
		}
		o.finish()
		if len(data) < wire.MaxLogLine && utf8.Valid(data) {
			want := strings.Split(string(data), "\n")
			if want[len(want)-1] == "" {
				want = want[:len(want)-1]
			}
			for i := range want {
				want[i] = strings.TrimSuffix(want[i], "\r")
			}
			if !slices.Equal(lines, want) {
				t.Errorf("write(%q) = %q, want %q", data, lines, want)
			}
		}
		if tail := o.lastErrors(); len(tail) > tailBytes || !utf8.ValidString(tail) || strings.Count(tail, "\n") >= tailLines {
			t.Errorf("lastErrors = %d bytes", len(tail))
		}
	})
}
