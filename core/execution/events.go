package execution

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/elasticjob-go/elasticjob/core/event"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// Events are the topics on which an executor tells what happens.
type Events struct {
	Assigned    event.Topic[ItemsAssigned]
	Started     event.Topic[ItemStarted]
	Finished    event.Topic[ItemFinished]
	Misfired    event.Topic[ItemMisfired]
	Coalesced   event.Topic[ItemCoalesced]
	ItemSkipped event.Topic[ItemSkipped]
	Fenced      event.Topic[ItemFenced]
	Lost        event.Topic[ItemLost]
	FailedOver  event.Topic[ItemFailedOver]
	Outlived    event.Topic[ItemOutlived]
	Skipped     event.Topic[RunSkipped]
	// Progressed and Checkpointed tell what running items have left with the node.
	Progressed   event.Topic[ItemProgressed]
	Checkpointed event.Topic[ItemCheckpointed]
}

// ItemsAssigned says that this instance adopted an assignment.
type ItemsAssigned struct {
	Job string
	// Items are the instance's own, as ranges; "" for none.
	Items      string
	Generation int64
}

// ItemStarted says that the code of an item is about to run.
type ItemStarted struct {
	Job  string
	Item int
	Run  string
	// Task is the id that the items of the run on this instance share, Items are
	// these items.
	Task    string
	Items   registry.Items
	Source  spi.Source
	Attempt int
	// Late is how long after its instant the item starts.
	Late time.Duration
}

// Outcome is how an item ended.
type Outcome string

// The outcomes. A timeout is a failure; an item whose node stops or loses its
// lease is cancelled, unless its job lets it go on.
const (
	OutcomeSuccess   Outcome = "success"
	OutcomeFailure   Outcome = "failure"
	OutcomeCancelled Outcome = "cancelled"
	// OutcomeFenced is of an item that went on without its lease. Whatever it says,
	// others may have run it meanwhile, and the registry does not believe it.
	OutcomeFenced Outcome = "fenced"

	// outcomeReturned is of an item of a manual run that was not started, for the
	// registry only.
	outcomeReturned Outcome = "returned"
)

// ItemFinished says that the code of an item has returned.
type ItemFinished struct {
	Job  string
	Item int
	Run  string
	// Task and Items are those of ItemStarted.
	Task    string
	Items   registry.Items
	Source  spi.Source
	Attempt int
	Outcome Outcome
	Took    time.Duration
	// Error is nil after a success.
	Error *spi.Error
	// Result is the message of a success.
	Result string
}

// Reason is why a fire was missed.
type Reason string

// The reasons.
const (
	ReasonStillRunning Reason = "still-running" // the item ran at the instant; it is caught up
	ReasonMisfireOff   Reason = "misfire-off"   // the item ran at the instant; the job does not catch up
	ReasonOwnerLost    Reason = "owner-lost"    // the item's owner was dead
	ReasonDisabled     Reason = "disabled"      // the job was disabled
	ReasonNotRunning   Reason = "not-running"   // this node did not run or was suspended
)

// ItemMisfired says which fires of an item were missed in one gap.
type ItemMisfired struct {
	Job      string
	Item     int
	Reason   Reason
	Count    int
	From, To time.Time
}

// ItemCoalesced says that a fire of an item that still ran is not caught up by
// itself: a later one stands for it. ItemMisfired sums such fires up when the item
// runs again, and is not told when its owner dies before that.
type ItemCoalesced struct {
	Job  string
	Item int
	// Run is that of the fire, Into that of the later one.
	Run, Into string
}

// ItemSkipped says that a fire of an item that still ran is not caught up, because
// its job does not do that. ItemMisfired sums such fires up likewise.
type ItemSkipped struct {
	Job  string
	Item int
	Run  string
}

// ItemFenced says that the registry does not know how an item has ended, because
// the lease was lost before it was told. Whatever ItemFinished said, the item may
// run again elsewhere.
type ItemFenced struct {
	Job  string
	Item int
	Run  string
}

// ItemLost says that an item was running when its session died, and that
// nobody takes it over.
type ItemLost struct {
	Job  string
	Item int
	Run  string
	// From is the dead instance.
	From string
}

// ItemFailedOver says that this instance has taken an item over that was running
// when the session of its instance died.
type ItemFailedOver struct {
	Job  string
	Item int
	Run  string
	// From is the dead instance, empty when the answer that named it was lost.
	From string
}

// ItemOutlived says that the code of an item runs on although its lease was lost,
// it was cancelled and the margin is over: others may run the item by now.
type ItemOutlived struct {
	Job  string
	Item int
	Run  string
	// Total is how many items have done so since the node was made.
	Total int64
}

// RunSkipped says that a job did not run after others: a run of those has not ended as
// the job demands, or the job itself could not run.
type RunSkipped struct {
	Job    string
	Run    string
	Reason registry.SkipReason
}

// ItemProgressed says that a running item has reported how far it is.
type ItemProgressed struct {
	Job      string
	Item     int
	Run      string
	Progress Progress
}

// ItemCheckpointed says that a running item has saved a checkpoint.
type ItemCheckpointed struct {
	Job  string
	Item int
	Run  string
	// Data are the checkpoint, which nobody changes.
	Data []byte
}

// Record writes the events to the log, as the records that scripts rely on.
// It must be called before the executor starts.
func Record(events *Events, logger *slog.Logger) {
	ctx := context.Background()
	// Two records an item are worth asking first.
	isQuiet := func(level slog.Level) bool { return !logger.Enabled(ctx, level) }
	events.Assigned.Subscribe(func(e ItemsAssigned) {
		logger.LogAttrs(ctx, slog.LevelInfo, "items assigned",
			slog.String("job", e.Job), slog.String("items", e.Items), slog.String("generation", strconv.FormatInt(e.Generation, 10)))
	})
	events.Started.Subscribe(func(e ItemStarted) {
		if isQuiet(slog.LevelInfo) {
			return
		}
		logger.LogAttrs(ctx, slog.LevelInfo, "item started",
			slog.String("job", e.Job), slog.Int("item", e.Item), slog.String("run", e.Run), slog.String("source", string(e.Source)),
			slog.Int("attempt", e.Attempt), slog.Int64("late", e.Late.Milliseconds()))
	})
	events.Finished.Subscribe(func(e ItemFinished) {
		level, code, message := slog.LevelInfo, spi.Code(0), ""
		if e.Error != nil {
			code, message = e.Error.Code, e.Error.Error()
			if e.Outcome == OutcomeFailure {
				level = slog.LevelError
			}
		}
		if isQuiet(level) {
			return
		}
		logger.LogAttrs(ctx, level, "item finished",
			slog.String("job", e.Job), slog.Int("item", e.Item), slog.String("run", e.Run), slog.String("source", string(e.Source)),
			slog.Int("attempt", e.Attempt), slog.String("outcome", string(e.Outcome)), slog.Int64("millis", e.Took.Milliseconds()),
			slog.Int("code", int(code)), slog.String("err", message), slog.String("result", e.Result))
	})
	events.Misfired.Subscribe(func(e ItemMisfired) {
		logger.LogAttrs(ctx, slog.LevelWarn, "item misfired",
			slog.String("job", e.Job), slog.Int("item", e.Item), slog.String("reason", string(e.Reason)), slog.Int("count", e.Count),
			slog.Time("from", e.From), slog.Time("to", e.To))
	})
	events.Coalesced.Subscribe(func(e ItemCoalesced) {
		logger.LogAttrs(ctx, slog.LevelInfo, "item coalesced",
			slog.String("job", e.Job), slog.Int("item", e.Item), slog.String("run", e.Run), slog.String("into", e.Into))
	})
	events.ItemSkipped.Subscribe(func(e ItemSkipped) {
		logger.LogAttrs(ctx, slog.LevelInfo, "item skipped", slog.String("job", e.Job), slog.Int("item", e.Item), slog.String("run", e.Run))
	})
	events.Fenced.Subscribe(func(e ItemFenced) {
		logger.LogAttrs(ctx, slog.LevelWarn, "item fenced", slog.String("job", e.Job), slog.Int("item", e.Item), slog.String("run", e.Run))
	})
	events.Lost.Subscribe(func(e ItemLost) {
		logger.LogAttrs(ctx, slog.LevelWarn, "item lost",
			slog.String("job", e.Job), slog.Int("item", e.Item), slog.String("run", e.Run), slog.String("from", e.From))
	})
	events.Outlived.Subscribe(func(e ItemOutlived) {
		logger.LogAttrs(ctx, slog.LevelError, "item outlives its lease",
			slog.String("job", e.Job), slog.Int("item", e.Item), slog.String("run", e.Run), slog.Int64("total", e.Total))
	})
	events.FailedOver.Subscribe(func(e ItemFailedOver) {
		logger.LogAttrs(ctx, slog.LevelWarn, "item failed over",
			slog.String("job", e.Job), slog.Int("item", e.Item), slog.String("run", e.Run), slog.String("from", e.From))
	})
	events.Skipped.Subscribe(func(e RunSkipped) {
		logger.LogAttrs(ctx, slog.LevelInfo, "run skipped",
			slog.String("job", e.Job), slog.String("run", e.Run), slog.String("reason", string(e.Reason)))
	})
}

// RecordKept writes what running items leave with their node to the log, for a
// program in which nobody else asks for it. It must be called before they run.
func RecordKept(events *Events, logger *slog.Logger) {
	ctx := context.Background()
	events.Progressed.Subscribe(func(e ItemProgressed) {
		logger.LogAttrs(ctx, slog.LevelInfo, "progress",
			slog.String("job", e.Job), slog.Int("item", e.Item), slog.String("run", e.Run),
			slog.Int64("done", e.Progress.Done), slog.Int64("total", e.Progress.Total), slog.String("message", e.Progress.Message))
	})
	events.Checkpointed.Subscribe(func(e ItemCheckpointed) {
		logger.LogAttrs(ctx, slog.LevelInfo, "checkpoint",
			slog.String("job", e.Job), slog.Int("item", e.Item), slog.String("run", e.Run), slog.Int("bytes", len(e.Data)))
	})
}
