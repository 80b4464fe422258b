package wasm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// fault says why a guest ended with err. What happened first counts: a broken
// rule, then the end of the context, then what the guest did.
func fault(ctx context.Context, c *call, mem *linearMemory, err error) *spi.Error {
	e := cause(ctx, c, mem, err)
	e.Stack = stackOf(err, c.out.lastErrors())
	return e
}

func cause(ctx context.Context, c *call, mem *linearMemory, err error) *spi.Error {
	if c.broken != nil {
		return c.broken
	}
	if ctx.Err() != nil {
		return interrupted(ctx)
	}
	if broken, ok := errors.AsType[*hostFault](err); ok {
		return spi.NewError(spi.CodeInternal, broken.Error())
	}
	message := firstLine(err.Error())
	if status, exited := exitStatus(err); exited {
		message = fmt.Sprintf("the module exited with status %d", status)
	}
	if mem.refused {
		return spi.NewError(spi.CodeLimit, "the memory limit of "+sizeText(mem.limit)+" was reached: "+message)
	}
	return spi.NewError(spi.CodeTrap, message)
}

// interrupted is the error of a call whose context ended.
func interrupted(ctx context.Context) *spi.Error { return ended(ctx, "the module was stopped") }

// ended is the error of what could not go on because its context ended.
func ended(ctx context.Context, what string) *spi.Error {
	why := context.Cause(ctx)
	code := spi.CodeCancelled
	switch {
	case errors.Is(why, spi.ErrTimeout), errors.Is(why, context.DeadlineExceeded):
		code = spi.CodeTimeout
	case errors.Is(why, spi.ErrLeaseLost):
		code = spi.CodeLeaseLost
	}
	return spi.NewError(code, what+": "+why.Error())
}

// traceMark is what wazero puts before the frames of the guest, and goTraceMark
// what it puts before those of this process, which are of no use to anyone
// but us.
const (
	traceMark   = "wasm stack trace:"
	goTraceMark = "Go runtime stack trace:"
)

// stackOf returns the frames of the guest and the last lines of its stderr,
// where the runtimes of many languages write the reason.
func stackOf(err error, stderr string) string {
	var parts []string
	if _, trace, found := strings.Cut(err.Error(), traceMark); found {
		trace, _, _ = strings.Cut(trace, goTraceMark)
		parts = append(parts, strings.TrimSpace(strings.ReplaceAll(trace, "\n\t", "\n")))
	}
	if stderr != "" {
		parts = append(parts, "stderr:\n"+stderr)
	}
	return wire.Cut(strings.ToValidUTF8(strings.Join(parts, "\n"), "\uFFFD"), wire.MaxStack)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return wire.Cut(strings.ToValidUTF8(line, "\uFFFD"), wire.MaxText)
}

// sizeText writes a number of bytes as operators write it in the config.
func sizeText(bytes uint64) string {
	switch {
	case bytes >= 1<<20 && bytes%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", bytes>>20)
	case bytes%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", bytes>>10)
	default:
		return fmt.Sprintf("%d bytes", bytes)
	}
}
