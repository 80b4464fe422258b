package hostcall

import (
	"context"
	"errors"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// The ABI's words for why a plugin is to stop.
const (
	ReasonStopping  = "stopping"
	ReasonTimeout   = "timeout"
	ReasonLeaseLost = "lease-lost"
	ReasonDisabled  = "disabled"
	ReasonReshard   = "reshard"
)

// StopReason is the word for the cause that a context was cancelled with, "" for
// nil.
func StopReason(cause error) string {
	switch {
	case cause == nil:
		return ""
	case errors.Is(cause, spi.ErrTimeout), errors.Is(cause, context.DeadlineExceeded):
		return ReasonTimeout
	case errors.Is(cause, spi.ErrLeaseLost):
		return ReasonLeaseLost
	case errors.Is(cause, spi.ErrDisabled):
		return ReasonDisabled
	default:
		return ReasonStopping
	}
}

// StopAnswer is the response of should_stop, which says to go on when there is no
// reason.
func StopAnswer(reason string) []byte {
	return wire.AppendShouldStopResponse(nil, reason != "", reason)
}

// Progress is how much of an item is done.
type Progress = wire.Progress

// DecodeProgress reads the request of progress.report. Its error is an
// [*spi.Error] with [spi.CodeProtocol], or [spi.CodeTooLarge] if the message is
// too long.
func DecodeProgress(request []byte) (Progress, error) {
	return wire.DecodeProgressReportRequest(request)
}

// DecodeCheckpoint reads the request of checkpoint.save. Its error is an
// [*spi.Error] with [spi.CodeProtocol], or that of [CheckCheckpoint]. The
// checkpoint is never nil.
func DecodeCheckpoint(request []byte) ([]byte, error) {
	return wire.DecodeCheckpointSaveRequest(request)
}

// CheckCheckpoint fails with [spi.CodeTooLarge] if a node does not keep a
// checkpoint because of its size.
func CheckCheckpoint(checkpoint []byte) error { return wire.CheckCheckpoint(checkpoint) }

// Done is the response of operations that have nothing to say.
func Done() []byte { return wire.AppendNothing(nil) }
