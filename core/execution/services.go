package execution

import (
	"context"
	"log/slog"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
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
		return hostcall.StopAnswer(s.stopReason(ctx)), nil
	case spi.OpProgressReport:
		return s.reportProgress(request)
	case spi.OpCheckpointSave:
		return s.saveCheckpoint(ctx, request)
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
	p, err := hostcall.DecodeProgress(request)
	if err != nil {
		return nil, err
	}
	if err := s.keep(func(k *kept) { k.progress = Progress(p) }); err != nil {
		return nil, err
	}
	s.run.job.executor.events.Progressed.Publish(ItemProgressed{Job: s.run.job.name, Item: s.item, Run: s.run.id, Progress: Progress(p)})
	return hostcall.Done(), nil
}

// saveCheckpoint keeps the item's checkpoint. The latest counts. It lives with
// the item until that is done: a retry gets it, and with failover who takes the item
// over.
func (s *itemServices) saveCheckpoint(ctx context.Context, request []byte) ([]byte, error) {
	if s.kind != callWork {
		return nil, notOffered(spi.OpCheckpointSave, "fetch_data")
	}
	data, err := hostcall.DecodeCheckpoint(request)
	if err != nil {
		return nil, err
	}
	if err := s.keepCheckpoint(ctx, data); err != nil {
		return nil, err
	}
	return hostcall.Done(), nil
}

// keepCheckpoint keeps the checkpoint itself.
func (s *itemServices) keepCheckpoint(ctx context.Context, data []byte) error {
	if err := hostcall.CheckCheckpoint(data); err != nil {
		return err
	}
	if s.run.session.isLost() {
		// Whoever runs the item now has a checkpoint of its own.
		return spi.NewError(spi.CodeLeaseLost, spi.ErrLeaseLost.Error())
	}
	if err := s.keep(func(k *kept) { k.checkpoint = data }); err != nil {
		return err
	}
	if err := s.share(ctx, data); err != nil {
		return err
	}
	s.run.job.executor.events.Checkpointed.Publish(ItemCheckpointed{Job: s.run.job.name, Item: s.item, Run: s.run.id, Data: data})
	return nil
}

// keep notes something of the item, as long as it runs and may do so.
func (s *itemServices) keep(note func(*kept)) error {
	if s.run.session.isLost() && !s.run.outlivesLease() {
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
			reason = hostcall.ReasonStopping
		}
		return hostcall.StopAnswer(reason), nil
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

// reasonSuperseded is why an item is not run again whose next fire has come. Code
// that runs is told that it is stopping.
const reasonSuperseded = "superseded"

// contextReason is why ctx was cancelled, "" when it was not.
func contextReason(ctx context.Context) string { return hostcall.StopReason(cause(ctx)) }

// stopReason is why a running item is to end although its context has not: the
// node drains, nobody may run the item any more, or it is another's now.
func (j *Job) stopReason(item int) string {
	if j.executor.draining.Load() {
		return hostcall.ReasonStopping
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.endReason(item)
}

// endReason is stopReason with the lock held.
func (j *Job) endReason(item int) string {
	switch {
	case j.executor.draining.Load():
		return hostcall.ReasonStopping
	case j.closed, j.current.Disabled, j.current.DisabledItems.Contains(item), j.unowned.Contains(item):
		return hostcall.ReasonDisabled
	case j.current.How == registry.HowBroadcast && j.current.Items.Len() > 0:
		// It is this instance's, whatever its number is now.
		return ""
	case !j.current.Items.Contains(item) && !j.isTakenOver(item):
		return hostcall.ReasonReshard
	default:
		return ""
	}
}
