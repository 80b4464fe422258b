// Package job is the configuration of one job: its model, its defaults, its
// validation and the form in which the registry keeps it.
//
// The package is pure: it reads no file, no environment and no clock. The names
// and defaults are those of Apache ElasticJob; departures are named where they
// happen. A [Config] is a plain value. Nothing here keeps state, so every
// function is safe for concurrent use as long as the Props, ErrorHandlerTypes,
// ListenerTypes and DependsOn of a shared Config are only read.
package job

import (
	"cmp"
	"fmt"
	"time"

	robfig "github.com/robfig/cron/v3"

	"github.com/elasticjob-go/elasticjob/core/cron"
)

// Bounds of a definition.
const (
	// MaxNameLength is the greatest length of a job name in bytes.
	MaxNameLength = 100
	// MaxItems is the greatest number of sharding items of one job.
	MaxItems = 10_000
	// MaxPoolSize is the greatest pool that a job can ask for by number.
	MaxPoolSize = 10_000
	// MaxDefinitionSize is the greatest size in bytes of what Encode returns.
	MaxDefinitionSize = 64 << 10
	// MaxInterval is the greatest value of every and of timeout: ten years.
	MaxInterval = 10 * 365 * 24 * time.Hour
	// MaxRetries is the greatest number of retries of one item in one run.
	MaxRetries = 100
	// MaxRetryPause is the longest pause before a retry: doubling ends there.
	MaxRetryPause = 5 * time.Minute
)

// Values that a job has when its definition does not say otherwise.
const (
	DefaultShardingStrategyType     = "AVG_ALLOCATION"
	DefaultPoolType                 = PoolCPU
	DefaultErrorHandlerType         = "LOG"
	DefaultReconcileIntervalMinutes = 10
	DefaultMaxTimeDiffSeconds       = -1
	DefaultRetryBackoff             = time.Second
	DefaultConcurrencyPolicy        = ConcurrencySkip
	DefaultOnLeaseLoss              = LeaseLossCancel
	DefaultMisfireLimit             = 100 // the reason is in docs/rationale.md
)

// Time-outs that a job has when its definition does not say otherwise; the
// reasons are in docs/rationale.md.
const (
	DefaultStartedTimeout   = 30 * time.Second
	DefaultCompletedTimeout = 24 * time.Hour
)

// BroadcastStrategyType is the strategy whose jobs have as many items as there are
// instances, whatever their ShardingTotalCount is.
const BroadcastStrategyType = "BROADCAST"

// Names of the pools that are no number.
const (
	// PoolCPU runs as many items of the job at once as twice the cores of the node.
	PoolCPU = "CPU"
	// PoolSingleThread runs one item of the job at a time.
	PoolSingleThread = "SINGLE_THREAD"
)

// What becomes of fires that were missed while nobody could run them.
const (
	// MisfireOnce runs the latest of them, once for each item.
	MisfireOnce = "ONCE"
	// MisfireSkip runs none of them.
	MisfireSkip = "SKIP"
	// MisfireAll runs them all in order, up to a limit.
	MisfireAll = "ALL"
)

// What becomes of an item that still runs at its next fire.
const (
	// ConcurrencySkip lets it run on. The fire is missed, and caught up once if
	// the job does that.
	ConcurrencySkip = "SKIP"
	// ConcurrencyCancelRunning cancels it, and the fire runs when it has ended.
	ConcurrencyCancelRunning = "CANCEL_RUNNING"
)

// What becomes of the items that run on a node whose lease is lost.
const (
	// LeaseLossCancel cancels them, so that none runs here and elsewhere at once.
	LeaseLossCancel = "cancel"
	// LeaseLossContinue lets them run on, although others may run them, too. What
	// they end with is not believed.
	LeaseLossContinue = "continue"
)

// Config is one job definition as users know it. The JSON names are the keys of
// the config file. Get one from [Defaults] rather than from a literal: the zero
// value is not the default. A Config that [Config.Validate] finds no problem in
// can be encoded and scheduled.
type Config struct {
	// Name identifies the job in its namespace.
	Name string `json:"jobName" validate:"required,job_name"`
	// Type names the job type, a plugin, that runs the items.
	Type string `json:"elasticJobType" validate:"required,type_name"`
	// Cron is a Quartz expression. At most one of Cron, Every and At is given; a
	// job with none of them runs only when it is triggered.
	Cron string `json:"cron,omitempty"`
	// Every is an interval; the job fires at its multiples counted from the Unix epoch.
	Every time.Duration `json:"every,omitempty"`
	// At is the only instant at which the job fires.
	At time.Time `json:"at,omitzero"`
	// DependsOn are the jobs after whose runs the job runs; it has no schedule then.
	DependsOn []Dependency `json:"dependsOn,omitempty"`
	// TimeZone is the zone of Cron by IANA name or as GMT+h, GMT+hh:mm. An empty
	// one is filled in by the node before the definition is put.
	TimeZone string `json:"timeZone,omitempty"`
	// ShardingTotalCount is the number of items that a firing is cut into.
	ShardingTotalCount int `json:"shardingTotalCount" validate:"required,min=1,max=10000"`
	// ShardingItemParameters names a parameter for some items: "0=A,1=B".
	ShardingItemParameters string `json:"shardingItemParameters,omitempty"`
	// JobParameter is handed to every item.
	JobParameter string `json:"jobParameter,omitempty"`
	// MonitorExecution says whether each run of an item is marked in the registry.
	MonitorExecution bool `json:"monitorExecution"`
	// Misfire says whether fires that were missed are caught up.
	Misfire bool `json:"misfire"`
	// MisfirePolicy says how: it is MisfireOnce or MisfireAll if Misfire is true and
	// MisfireSkip if it is false. An empty one is what Misfire says: once or not.
	MisfirePolicy string `json:"misfirePolicy,omitempty" validate:"omitempty,oneof=ONCE SKIP ALL"`
	// MisfireLimit bounds the fires that MisfireAll runs of those missed, in
	// number; 0 is [DefaultMisfireLimit].
	MisfireLimit int `json:"misfireLimit,omitempty" validate:"min=0,max=10000"`
	// Failover says whether another instance takes over an item of a dead one at once.
	Failover bool `json:"failover"`
	// Timeout bounds one attempt of one item; zero is no bound.
	Timeout time.Duration `json:"timeout,omitempty" validate:"min=0"`
	// MaxRetries is how often a failed item is run again within its run.
	MaxRetries int `json:"maxRetries,omitempty" validate:"min=0,max=100"`
	// RetryBackoff is the pause before the first retry. It doubles for each further
	// one, up to MaxRetryPause.
	RetryBackoff time.Duration `json:"retryBackoff,omitempty" validate:"min=1ms,max=5m"`
	// ConcurrencyPolicy is ConcurrencySkip or ConcurrencyCancelRunning.
	ConcurrencyPolicy string `json:"concurrencyPolicy,omitempty" validate:"oneof=SKIP CANCEL_RUNNING"`
	// OnLeaseLoss is LeaseLossCancel or LeaseLossContinue.
	OnLeaseLoss string `json:"onLeaseLoss,omitempty" validate:"oneof=cancel continue"`
	// MaxTimeDiffSeconds bounds the difference of the node's clock from the
	// registry's; -1 is no bound.
	MaxTimeDiffSeconds int `json:"maxTimeDiffSeconds" validate:"min=-1,max=31536000"`
	// ReconcileIntervalMinutes is how often the leader looks for items without
	// an owner; less than 1 is never.
	ReconcileIntervalMinutes int `json:"reconcileIntervalMinutes" validate:"min=-1,max=525600"`
	// ShardingStrategyType names the plugin that spreads the items over the instances.
	ShardingStrategyType string `json:"jobShardingStrategyType" validate:"required,type_name"`
	// PoolType is CPU, SINGLE_THREAD or the number of items of the job that run
	// at once on one instance.
	PoolType string `json:"jobExecutorThreadPoolSizeProviderType" validate:"required,pool"`
	// ErrorHandlerTypes names the plugins that are told of a failed item. All are called.
	ErrorHandlerTypes []string `json:"jobErrorHandlerType" validate:"min=1,max=16,unique,dive,type_name"`
	// ListenerTypes names the plugins that are told before and after each run, in
	// the order in which they are called; empty for none.
	ListenerTypes []string `json:"jobListenerTypes,omitempty" validate:"max=16,unique,dive,type_name"`
	// StartedTimeoutMilliseconds bounds how long items wait for those of other
	// instances when a listener is called once before them; 0 is
	// [DefaultStartedTimeout].
	StartedTimeoutMilliseconds int `json:"startedTimeoutMilliseconds,omitempty" validate:"max=604800000"`
	// CompletedTimeoutMilliseconds bounds how long an instance whose items have
	// ended watches those of others when a listener is called once after them; 0
	// is [DefaultCompletedTimeout].
	CompletedTimeoutMilliseconds int `json:"completedTimeoutMilliseconds,omitempty" validate:"max=604800000"`
	// Description is for people.
	Description string `json:"description,omitempty"`
	// Props are the properties of the job type and of the job's other plugins.
	Props map[string]string `json:"props,omitempty" validate:"max=1000,dive,keys,prop_key,endkeys,max=65536"`
	// Disabled says whether the job starts out disabled.
	Disabled bool `json:"disabled"`
	// Overwrite says whether this definition replaces a different one in the registry.
	Overwrite bool `json:"overwrite"`
	// Label groups jobs; the engine does not read it.
	Label string `json:"label,omitempty"`
}

// Defaults returns the definition of a job of this name in which everything has
// its documented default: no schedule, monitorExecution and misfire on, failover,
// disabled and overwrite off, no timeout, no retries, which would begin after a
// second, SKIP, items cancelled with a lost lease, no bound on the clock difference, reconcile every 10 minutes,
// AVG_ALLOCATION, CPU and LOG. Type and ShardingTotalCount have no default. Props is
// empty and not nil.
func Defaults(name string) Config {
	return Config{
		Name:                     name,
		MonitorExecution:         true,
		Misfire:                  true,
		RetryBackoff:             DefaultRetryBackoff,
		ConcurrencyPolicy:        DefaultConcurrencyPolicy,
		OnLeaseLoss:              DefaultOnLeaseLoss,
		MaxTimeDiffSeconds:       DefaultMaxTimeDiffSeconds,
		ReconcileIntervalMinutes: DefaultReconcileIntervalMinutes,
		ShardingStrategyType:     DefaultShardingStrategyType,
		PoolType:                 DefaultPoolType,
		ErrorHandlerTypes:        []string{DefaultErrorHandlerType},
		Props:                    map[string]string{},
	}
}

// StartedTimeout is how long the items of an instance wait for those of others.
func (c Config) StartedTimeout() time.Duration {
	return orDefault(c.StartedTimeoutMilliseconds, DefaultStartedTimeout)
}

// CompletedTimeout is how long an instance whose items have ended watches those
// of others.
func (c Config) CompletedTimeout() time.Duration {
	return orDefault(c.CompletedTimeoutMilliseconds, DefaultCompletedTimeout)
}

func orDefault(milliseconds int, d time.Duration) time.Duration {
	if milliseconds == 0 {
		return d
	}
	return time.Duration(milliseconds) * time.Millisecond
}

// RetryPause is the pause after a failed attempt, which count from 1: RetryBackoff
// doubled for each earlier one, at most MaxRetryPause.
func (c Config) RetryPause(attempt int) time.Duration {
	pause := c.RetryBackoff
	for ; attempt > 1 && pause < MaxRetryPause; attempt-- {
		pause *= 2
	}
	return min(pause, MaxRetryPause)
}

// CancelsRunning reports whether a fire cancels an item that still runs.
func (c Config) CancelsRunning() bool { return c.ConcurrencyPolicy == ConcurrencyCancelRunning }

// OutlivesLease reports whether items run on when their node loses its lease.
func (c Config) OutlivesLease() bool { return c.OnLeaseLoss == LeaseLossContinue }

// CatchesUpAll reports whether all fires that were missed are run, in order.
func (c Config) CatchesUpAll() bool { return c.MisfirePolicy == MisfireAll }

// MostCaughtUp is how many of them are, at most.
func (c Config) MostCaughtUp() int { return cmp.Or(c.MisfireLimit, DefaultMisfireLimit) }

// CatchesUpHeld reports whether a fire that comes while the item still runs is run
// when it has ended.
func (c Config) CatchesUpHeld() bool { return c.Misfire || c.CancelsRunning() }

// IsOneOff reports whether the job has no schedule: it runs only when somebody
// triggers it.
func (c Config) IsOneOff() bool { return c.Cron == "" && c.Every == 0 && c.At.IsZero() }

// Schedule builds the times at which the job fires: never, if it is one-off. A
// cron expression is read
// in loc, which the caller has resolved from TimeZone and may share among jobs;
// when loc is nil, Schedule resolves TimeZone itself. The error is a
// *cron.SyntaxError when the expression is wrong.
func (c Config) Schedule(loc *time.Location) (robfig.Schedule, error) {
	switch {
	case c.Cron != "":
		if loc == nil {
			var err error
			if loc, err = cron.Zone(c.TimeZone); err != nil {
				return nil, fmt.Errorf("scheduling job %q: %w", c.Name, err)
			}
		}
		expr, err := cron.Parse(c.Cron, loc)
		if err != nil {
			return nil, fmt.Errorf("scheduling job %q: %w", c.Name, err)
		}
		return expr, nil
	case c.Every != 0:
		interval, err := cron.Every(c.Every)
		if err != nil {
			return nil, fmt.Errorf("scheduling job %q: %w", c.Name, err)
		}
		return interval, nil
	}
	return cron.At(c.At), nil
}
