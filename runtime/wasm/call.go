package wasm

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// errInterrupted and errBroken end a guest from inside an import.
var (
	errInterrupted = errors.New("interrupted")
	errBroken      = errors.New("contract broken")
)

// call is the state of one call of a guest. It is used by the goroutine that
// runs the guest and by no other.
type call struct {
	done     <-chan struct{}
	services spi.Services
	out      output
	noMemory bool // the module has none
	denied   bool // a path that leads out of a granted directory was logged
	// seeded makes the random numbers; nil leaves that to the system.
	seeded *mathrand.ChaCha8

	// serving says that the guest runs the export that was asked for, and
	// may call the host. It is false while the instance starts.
	serving bool
	// input is the request. A guest reads it as often as it likes.
	input []byte
	// response is what output_write gave last.
	response []byte
	// hostResponse is the answer to the latest host_call.
	hostResponse []byte
	// broken is the rule that the guest broke, or the fault of the host, for
	// which an import ended it.
	broken *spi.Error
}

// newCall returns the state of a call that ends with ctx. Without services
// its output is discarded and host calls are denied.
func newCall(ctx context.Context, services spi.Services) *call {
	c := &call{done: ctx.Done(), services: services}
	c.out.log = func(r spi.LogRecord) {
		if services != nil {
			services.Log(ctx, r)
		}
	}
	return c
}

// beginRandom puts seeded random numbers at their beginning.
func (c *call) beginRandom(seeded bool) {
	if seeded {
		c.seeded = newSeeded()
	}
}

type callKey struct{}

// into returns a context that carries the call to the imports; wazero gives
// them nothing else that is made for one call.
func (c *call) into(ctx context.Context) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// breakOff ends the guest with an error of the code.
func (c *call) breakOff(code spi.Code, message string) {
	c.broken = spi.NewError(code, message)
	panic(errBroken)
}

// checkDone ends the guest when its context has ended. Imports that can take
// long, or that would lie to the guest otherwise, call it.
func (c *call) checkDone() {
	select {
	case <-c.done:
		panic(errInterrupted)
	default:
	}
}

// hostCall runs an operation of the services and returns what the import
// returns: the length of the response, or the negative code of the error.
func (c *call) hostCall(ctx context.Context, op string, request []byte) int32 {
	response, err := c.ask(ctx, op, request)
	if err == nil && len(response) > wire.MaxMessage {
		err = spi.NewError(spi.CodeTooLarge, fmt.Sprintf("the response of %s is larger than %d MiB", op, wire.MaxMessage>>20))
	}
	if err != nil {
		e := spi.AsError(err)
		if e.Code <= 0 {
			e = spi.NewError(spi.CodeInternal, e.Message)
		}
		c.hostResponse = wire.AppendError(nil, e)
		return -int32(e.Code)
	}
	c.hostResponse = response
	return int32(len(response))
}

func (c *call) ask(ctx context.Context, op string, request []byte) (response []byte, err error) {
	switch {
	case !c.serving:
		return nil, spi.NewError(spi.CodeDenied, op+" is not granted while a module starts or describes itself")
	case len(request) > wire.MaxMessage:
		return nil, spi.NewError(spi.CodeTooLarge, fmt.Sprintf("the request of %s is larger than %d MiB", op, wire.MaxMessage>>20))
	case c.services == nil:
		return nil, spi.NewError(spi.CodeUnsupported, op+" is not offered to this call")
	}
	defer func() {
		if r := recover(); r != nil {
			c.breakOff(spi.CodeInternal, fmt.Sprintf("host operation %s panicked: %v", op, r))
		}
	}()
	return c.services.Call(ctx, op, request)
}
