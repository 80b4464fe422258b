package spi

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Kind says which interface a plugin implements.
type Kind string

// The kinds of plugins. KindExecutorPool is reserved by the ABI: pools are
// numbers so far.
const (
	KindJobType          Kind = "jobType"
	KindShardingStrategy Kind = "shardingStrategy"
	KindErrorHandler     Kind = "errorHandler"
	KindJobListener      Kind = "jobListener"
	KindTracingSink      Kind = "tracingSink"
	KindExecutorPool     Kind = "executorPool"
)

// Capabilities that a descriptor can announce. Without any, a job type has
// CapabilityExecute and a job listener has CapabilityPerInstance.
const (
	CapabilityExecute        = "execute"        // of job types: JobType.Execute
	CapabilityDataflow       = "dataflow"       // of job types: Dataflow, instead of Execute
	CapabilityPerInstance    = "perInstance"    // of listeners: called by each instance for its part of a run
	CapabilityDistributeOnce = "distributeOnce" // of listeners: called once for the whole run
	CapabilityNotify         = "notify"         // of error handlers: sends messages; the engine collapses failures that are alike, and tries again

	// Of sharding strategies.

	CapabilityEveryRun  = "everyRun"  // asked again after every run of the job, which must be monitored
	CapabilityBroadcast = "broadcast" // the job has as many items as instances, one each, and must be monitored
	CapabilityLoad      = "load"      // is told Instance.Load
)

// Descriptor is what a plugin says about itself. It is plain data, so that it
// can cross a process or module border.
type Descriptor struct {
	// Kind is the extension point.
	Kind Kind
	// Type is the name by which config refers to the plugin; see [ValidType].
	Type string
	// Version is the author's version, free text of at most 64 bytes.
	Version string
	// Description is one or two sentences for operators.
	Description string
	// Props is the schema of the job properties that the plugin reads.
	Props props.Schema
	// Capabilities lists the optional behaviour that the plugin has.
	Capabilities []string
	// Wants lists what the plugin would like to be granted. It grants nothing.
	Wants []Want
}

// Want is one host operation that a plugin asks the operator to grant.
type Want struct {
	// Op is the operation, such as "http.request".
	Op string
	// Value narrows it, such as a host name.
	Value string
	// Why tells the operator what it is for.
	Why string
}

// Has reports whether the descriptor announces the capability.
func (d Descriptor) Has(capability string) bool {
	if slices.Contains(d.Capabilities, capability) {
		return true
	}
	if len(d.Capabilities) > 0 {
		return false
	}
	return d.Kind == KindJobType && capability == CapabilityExecute || d.Kind == KindJobListener && capability == CapabilityPerInstance
}

// Check reports what is wrong with the descriptor itself: its kind, the form
// of its type name, its lengths and its property schema.
func (d Descriptor) Check() error {
	switch d.Kind {
	case KindJobType, KindShardingStrategy, KindErrorHandler, KindJobListener, KindTracingSink, KindExecutorPool:
	default:
		return errors.New("unknown kind " + strconv.Quote(clip(string(d.Kind), 64)))
	}
	if !ValidType(d.Type) {
		return errors.New("type name " + strconv.Quote(clip(d.Type, 100)) + " does not match [A-Z][A-Z0-9_]{0,63}")
	}
	if len(d.Version) > 64 {
		return errors.New("version of " + d.Type + " is longer than 64 bytes")
	}
	if len(d.Description) > 4096 {
		return errors.New("description of " + d.Type + " is longer than 4096 bytes")
	}
	if len(d.Capabilities) > 16 || len(d.Wants) > 64 {
		return errors.New(d.Type + " lists more than 16 capabilities or 64 wants")
	}
	if err := d.Props.Check(); err != nil {
		return errors.New("properties of " + d.Type + ": " + err.Error())
	}
	return nil
}

// ValidType reports whether name is a type name: a capital letter followed by
// at most 63 capital letters, digits and underscores.
func ValidType(name string) bool {
	if name == "" || len(name) > 64 || name[0] < 'A' || name[0] > 'Z' {
		return false
	}
	for i := 1; i < len(name); i++ {
		c := name[i]
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// Constructor makes an implementation for one job from that job's properties,
// which were checked against the plugin's schema and hold its defaults. It
// may refuse them with an [*Error] of [CodeInvalidProperties]. An
// implementation that also has a method Close(context.Context) error is
// closed when the job no longer needs it; see [Closer].
type Constructor[T any] func(ctx context.Context, values props.Values) (T, error)

// Closer is implemented by what holds resources. Close is called once, after
// the last call returned.
type Closer interface {
	// Close frees what is held.
	Close(ctx context.Context) error
}

// Plugin is a descriptor and the constructor of its kind. Exactly the field
// that belongs to Descriptor.Kind is set.
type Plugin struct {
	Descriptor Descriptor

	JobType          Constructor[JobType]
	ShardingStrategy Constructor[ShardingStrategy]
	ErrorHandler     Constructor[ErrorHandler]
	JobListener      Constructor[JobListener]
	TracingSink      Constructor[TracingSink]
}

// Check reports whether the descriptor is well formed and its constructor,
// and no other, is set.
func (p Plugin) Check() error {
	if err := p.Descriptor.Check(); err != nil {
		return err
	}
	set := map[Kind]bool{
		KindJobType:          p.JobType != nil,
		KindShardingStrategy: p.ShardingStrategy != nil,
		KindErrorHandler:     p.ErrorHandler != nil,
		KindJobListener:      p.JobListener != nil,
		KindTracingSink:      p.TracingSink != nil,
	}
	for kind, isSet := range set {
		if isSet != (kind == p.Descriptor.Kind) {
			return errors.New("plugin " + p.Descriptor.Type + " of kind " + string(p.Descriptor.Kind) + " must set the constructor of its kind and no other")
		}
	}
	if _, known := set[p.Descriptor.Kind]; !known {
		return errors.New("plugins of kind " + string(p.Descriptor.Kind) + " are not available in this version")
	}
	return nil
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
