package wasm

import (
	"fmt"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// terms are what a load allows a module.
type terms struct {
	memory  uint64 // bytes of one instance, whole pages
	timeout time.Duration
	pooled  bool
}

// maxMemory is what 32-bit addresses reach.
const maxMemory = 1 << 32

func termsOf(req spi.LoadRequest) (terms, error) {
	t := terms{memory: wire.DefaultMemory, timeout: req.Limits.Timeout}
	switch limit := req.Limits.Memory; {
	case limit < 0 || limit > 0 && limit < pageSize:
		return terms{}, spi.NewError(spi.CodeInvalidProperties, fmt.Sprintf("the memory limit of %d bytes is below one page of 64 KiB", limit))
	case limit > maxMemory:
		t.memory = maxMemory
	case limit > 0:
		t.memory = uint64(limit) / pageSize * pageSize
	}
	if t.timeout < 0 {
		return terms{}, spi.NewError(spi.CodeInvalidProperties, "the timeout "+t.timeout.String()+" is negative")
	}
	switch req.Isolation {
	case "", spi.IsolationFresh:
	case spi.IsolationPooled:
		t.pooled = true
	default:
		return terms{}, spi.NewError(spi.CodeInvalidProperties, fmt.Sprintf("unknown isolation %q; it is %q or %q", req.Isolation, spi.IsolationFresh, spi.IsolationPooled))
	}
	if g := req.Grants; len(g.HTTP)+len(g.Env)+len(g.Dirs)+len(g.Secrets) > 0 {
		return terms{}, spi.NewError(spi.CodeUnsupported, "grants are not available in this version")
	}
	return t, nil
}

// checkMemory refuses a module that cannot even start within the limit.
func (t terms) checkMemory(l *layout) error {
	if l.memory == nil {
		return nil
	}
	if least := uint64(l.memory.min) * pageSize; least > t.memory {
		return spi.NewError(spi.CodeLimit, fmt.Sprintf("needs at least %s of memory, but its limit is %s", sizeText(least), sizeText(t.memory)))
	}
	return nil
}
