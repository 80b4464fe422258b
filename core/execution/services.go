package execution

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Bounds of what a running item may leave with its node, in bytes.
const (
	maxProgressMessage = 4 << 10
	maxCheckpoint      = 64 << 10
)

// callKind is what a job type is called for.
type callKind uint8

const (
	callWork  callKind = iota // execute and process_data
	callFetch                 // fetch_data
)

// itemServices are the host services of the calls of the job type for one item.
type itemServices struct {
	run     *run
	item    int
	attempt int
	kind    callKind
}

var _ spi.Services = (*itemServices)(nil)

// Log writes a line of plugin output.
func (s *itemServices) Log(ctx context.Context, record spi.LogRecord) {
	s.run.log(ctx, record, s.run.spec.Config.Type, slog.Int("item", s.item))
}

// Call serves what is the engine's, and leaves the other operations to the door.
func (s *itemServices) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	switch op {
	case spi.OpShouldStop:
		return stopAnswer(s.stopReason(ctx)), nil
	case spi.OpProgressReport:
		return s.reportProgress(request)
	case spi.OpCheckpointSave:
		return s.saveCheckpoint(request)
	default:
		return pass(ctx, s.run.spec.Door, s.run.spec.Config.Type, op, request)
	}
}

// stopReason is why the item is to end, "" when it is not.
func (s *itemServices) stopReason(ctx context.Context) string {
	if reason := contextReason(ctx); reason != "" {
		return reason
	}
	return s.run.job.stopReason(s.item)
}

// reportProgress keeps how far the item is for those who ask for its status. The
// latest report counts, and it is forgotten when the item ends.
func (s *itemServices) reportProgress(request []byte) ([]byte, error) {
	var p struct {
		Done    int64  `json:"done"`
		Total   int64  `json:"total"`
		Message string `json:"message"`
	}
	switch err := json.Unmarshal(request, &p); {
	case err != nil:
		return nil, malformed(spi.OpProgressReport, err)
	case p.Done < 0 || p.Total < 0:
		return nil, malformed(spi.OpProgressReport, fmt.Errorf("%d of %d done is negative", p.Done, p.Total))
	case len(p.Message) > maxProgressMessage:
		return nil, tooLarge("the message of a progress", len(p.Message), maxProgressMessage)
	}
	if err := s.keep(func(k *kept) { k.progress = Progress(p) }); err != nil {
		return nil, err
	}
	s.run.job.executor.events.Progressed.Publish(ItemProgressed{Job: s.run.job.name, Item: s.item, Run: s.run.id, Progress: Progress(p)})
	return []byte(`{}`), nil
}

// saveCheckpoint keeps the item's checkpoint. The latest counts. It lives with
// the item until that is done: a retry gets it, the registry does not.
func (s *itemServices) saveCheckpoint(request []byte) ([]byte, error) {
	if s.kind != callWork {
		return nil, notOffered(spi.OpCheckpointSave, "fetch_data")
	}
	var c struct {
		Data []byte `json:"data"`
	}
	switch err := json.Unmarshal(request, &c); {
	case err != nil:
		return nil, malformed(spi.OpCheckpointSave, err)
	case c.Data == nil:
		return nil, malformed(spi.OpCheckpointSave, errors.New("it has no data"))
	}
	if err := s.keepCheckpoint(c.Data); err != nil {
		return nil, err
	}
	return []byte(`{}`), nil
}

// keepCheckpoint keeps the checkpoint itself.
func (s *itemServices) keepCheckpoint(data []byte) error {
	if len(data) > maxCheckpoint {
		return tooLarge("a checkpoint", len(data), maxCheckpoint)
	}
	if err := s.keep(func(k *kept) { k.checkpoint = data }); err != nil {
		return err
	}
	s.run.job.executor.events.Checkpointed.Publish(ItemCheckpointed{Job: s.run.job.name, Item: s.item, Run: s.run.id, Data: data})
	return nil
}

// keep notes something of the item, as long as it runs and the node owns it.
func (s *itemServices) keep(note func(*kept)) error {
	if errors.Is(cause(s.run.session.ctx), spi.ErrLeaseLost) {
		return spi.NewError(spi.CodeLeaseLost, spi.ErrLeaseLost.Error())
	}
	if !s.run.job.keep(s.run, s.item, s.attempt, note) {
		return spi.NewError(spi.CodeCancelled, "the attempt has ended")
	}
	return nil
}

// asideServices are the host services of a call that is about a run or a failed
// item and that the run does not wait for, or not yet.
type asideServices struct {
	run    *run
	plugin string
	door   hostcall.Caller
	about  []slog.Attr // the item, nothing when it is about the run
}

var _ spi.Services = (*asideServices)(nil)

// Log writes a line of plugin output.
func (s *asideServices) Log(ctx context.Context, record spi.LogRecord) {
	s.run.log(ctx, record, s.plugin, s.about...)
}

// Call serves should_stop, and leaves the other operations to the door. There is
// no progress and no checkpoint beside an item.
func (s *asideServices) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	switch op {
	case spi.OpShouldStop:
		reason := contextReason(ctx)
		if reason == "" && s.run.job.executor.draining.Load() {
			reason = reasonStopping
		}
		return stopAnswer(reason), nil
	case spi.OpProgressReport, spi.OpCheckpointSave:
		return nil, notOffered(op, s.plugin)
	default:
		return pass(ctx, s.door, s.plugin, op, request)
	}
}

// log writes plugin output, a record for each line, with the attributes of the
// run and those given.
func (r *run) log(ctx context.Context, record spi.LogRecord, plugin string, about ...slog.Attr) {
	for line := range hostcall.Lines(record) {
		attrs := make([]slog.Attr, 0, 6)
		attrs = append(append(attrs, slog.String("job", r.job.name)), about...)
		attrs = append(attrs, slog.String("run", r.id), slog.String("plugin", plugin), slog.String("stream", string(line.Stream)), slog.String("line", line.Line))
		r.job.executor.logger.LogAttrs(ctx, slog.Level(line.Level), "plugin output", attrs...)
	}
}

// pass hands an operation to a door that may not be there.
func pass(ctx context.Context, door hostcall.Caller, plugin, op string, request []byte) ([]byte, error) {
	if door == nil {
		return nil, notOffered(op, plugin)
	}
	return door.Call(ctx, op, request)
}

func notOffered(op, to string) *spi.Error {
	return spi.NewError(spi.CodeUnsupported, "operation "+clip(op, 100)+" is not offered to "+to)
}

func malformed(op string, err error) *spi.Error {
	return spi.NewError(spi.CodeProtocol, "reading the request of "+op+": "+err.Error())
}

func tooLarge(what string, size, most int) *spi.Error {
	return spi.NewError(spi.CodeTooLarge, fmt.Sprintf("%s has %d bytes, more than %d", what, size, most))
}

// The ABI's words for why an item is to stop.
const (
	reasonStopping  = "stopping"
	reasonTimeout   = "timeout"
	reasonLeaseLost = "lease-lost"
	reasonDisabled  = "disabled"
	reasonReshard   = "reshard"
)

// reasonSuperseded is why an item is not run again whose next fire has come. Code
// that runs is told that it is stopping.
const reasonSuperseded = "superseded"

// stopAnswer is the response of should_stop.
func stopAnswer(reason string) []byte {
	if reason == "" {
		return []byte(`{"stop":false,"reason":""}`)
	}
	return []byte(`{"stop":true,"reason":"` + reason + `"}`)
}

// contextReason is why ctx was cancelled, "" when it was not.
func contextReason(ctx context.Context) string {
	err := cause(ctx)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, spi.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return reasonTimeout
	case errors.Is(err, spi.ErrLeaseLost):
		return reasonLeaseLost
	case errors.Is(err, spi.ErrDisabled):
		return reasonDisabled
	default:
		return reasonStopping
	}
}

// stopReason is why a running item is to end although its context has not: the
// node drains, nobody may run the item any more, or it is another's now.
func (j *Job) stopReason(item int) string {
	if j.executor.draining.Load() {
		return reasonStopping
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.endReason(item)
}

// endReason is stopReason with the lock held.
func (j *Job) endReason(item int) string {
	switch {
	case j.executor.draining.Load():
		return reasonStopping
	case j.closed, j.current.Disabled, j.current.DisabledItems.Contains(item), j.unowned.Contains(item):
		return reasonDisabled
	case j.current.How == registry.HowBroadcast && j.current.Items.Len() > 0:
		// It is this instance's, whatever its number is now.
		return ""
	case !j.current.Items.Contains(item):
		return reasonReshard
	default:
		return ""
	}
}
