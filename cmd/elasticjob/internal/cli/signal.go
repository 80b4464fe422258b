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

// interruptible returns a context that ends, with cause spi.ErrStopping, at
// the first signal to stop. The second one kills the process as if nothing had
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
			cancel(spi.ErrStopping)
		case <-ctx.Done():
		}
		signal.Stop(signals)
	}()
	return ctx, func() {
		cancel(nil)
		<-done
	}
}
