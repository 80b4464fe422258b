package cli

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/elasticjob-go/elasticjob/spi"
)

// stopSignals are the signals that end a command. On Windows they stand for
// Ctrl-C and for the closing of the console.
func stopSignals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

func isReload(sig os.Signal) bool { return slices.Contains(reloadSignals(), sig) }

// interruption is why a command was cancelled by a signal. To the runtimes it
// is what stopping is to a node.
type interruption struct{}

// Error says so in a word.
func (interruption) Error() string { return "interrupted" }

// Is makes it match spi.ErrStopping.
func (interruption) Is(target error) bool { return target == spi.ErrStopping }

// interruptible returns a context that ends, with an interruption as its cause,
// at the first signal to stop. The second one kills the process as if nothing had
// been taken over. The caller calls stop when the command ends.
func interruptible(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, stopSignals()...)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-signals:
			cancel(interruption{})
		case <-ctx.Done():
		}
		signal.Stop(signals)
	}()
	return ctx, func() {
		cancel(nil)
		<-done
	}
}
