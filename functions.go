package elasticjob

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/plugins/jobtypes/function"
	"github.com/elasticjob-go/elasticjob/sdk"
	"github.com/elasticjob-go/elasticjob/spi"
)

// JobConfig is the definition of one job. The JSON names of its fields are the
// keys of the configuration file, where their meaning is documented.
type JobConfig = job.Config

// Dependency is a job after whose runs another one runs, for [JobConfig].DependsOn.
type Dependency = job.Dependency

// When a job runs after another one: after a run of which every item has succeeded,
// after one of which an item has not, or after every run, also one that was skipped.
const (
	OnSuccess = job.OnSuccess
	OnFailure = job.OnFailure
	OnAlways  = job.OnAlways
)

// NewJob returns the definition of a job that calls the function of its own name
// (see [WithFunc]) with one item, and has the documented defaults otherwise. The
// caller gives it one of Cron, Every and At, or none for a job that runs when it is
// triggered, and puts it into the Jobs of a [Config].
func NewJob(name string) JobConfig {
	j := job.Defaults(name)
	j.Type, j.ShardingTotalCount = function.TypeSimple, 1
	return j
}

// Job is one item for a function to work on, and its way to the node: the
// sharding context, the log, progress, checkpoints, HTTP and secrets. It belongs
// to one call. It is the type of package sdk, so a function serves in a plugin
// just as well.
type Job = sdk.Job

// Progress is how much of an item is done, for the ReportProgress of a [Job].
type Progress = sdk.Progress

// WithFunc registers a function under a name. A job of type SIMPLE calls it for
// each of its items when its property simple.function, by default the name of
// the job, is this name. Nodes of several programs may share such jobs: those
// that have the function run it.
//
// The function is called for several items and by several jobs at once. Its
// context ends at the job's timeout, when the node stops, and when the node loses
// the item, each with its own cause; see [spi.ErrTimeout]. It should return soon
// after that, and no goroutine of its may outlive it. Nil means success; a panic
// is a failure.
//
// It sees the job's properties as they are. A job type whose properties are
// checked is made by package sdk and handed to [WithPlugins].
func WithFunc(name string, run func(ctx context.Context, job *Job) error) Option {
	return func(s *settings) {
		if s.register(name, run != nil, &s.functions) {
			s.functions[name] = sdk.JobType(function.TypeSimple, "a function", run).JobType
		}
	}
}

// WithDataflow registers a pair of functions under a name. A job of type DATAFLOW
// calls them when its property dataflow.function, by default the name of the
// job, is this name: fetch returns the next data of an item and process works on
// them, once, or with the property streaming.process until fetch returns none,
// the node stops or the item moves. Fetch gets the cursor that it returned
// before, "" at first.
//
// Between the two the data are JSON, as they are in every plugin, so a T must
// survive encoding/json. What is said of the function of [WithFunc] holds for
// both.
func WithDataflow[T any](name string,
	fetch func(ctx context.Context, job *Job, cursor string) (data []T, next string, err error),
	process func(ctx context.Context, job *Job, data []T) error,
) Option {
	return func(s *settings) {
		if s.register(name, fetch != nil && process != nil, &s.dataflows) {
			s.dataflows[name] = sdk.Dataflow(function.TypeDataflow, "two functions", jsonCodec[T](), fetch, process).JobType
		}
	}
}

func jsonCodec[T any]() sdk.Codec[T] {
	return sdk.Codec[T]{
		Marshal: func(value T) ([]byte, error) { return json.Marshal(value) },
		Unmarshal: func(data []byte) (value T, err error) {
			err = json.Unmarshal(data, &value)
			return value, err
		},
	}
}

// register makes room for a function, or notes why there is none.
func (s *settings) register(name string, isGiven bool, in *function.Set) bool {
	if *in == nil {
		*in = make(function.Set)
	}
	var wrong string
	switch _, taken := (*in)[name]; {
	case name == "":
		wrong = "a function has no name"
	case !isGiven:
		wrong = "function " + strconv.Quote(name) + " is nil"
	case taken:
		wrong = "function " + strconv.Quote(name) + " is registered twice"
	default:
		return true
	}
	s.wrong = append(s.wrong, Problem{Rule: "function", Message: wrong})
	return false
}

// addFunctions adds the job types of functions.
func (l *loaded) addFunctions(c Config, s settings) {
	from := catalog.Source{Provenance: spi.Provenance{Host: "built-in"}, Terms: catalog.Trusted}
	from.NameProperty = function.PropSimple
	l.add(c, from, []spi.Plugin{function.Simple(s.functions)})
	from.NameProperty = function.PropDataflow
	l.add(c, from, []spi.Plugin{function.Dataflow(s.dataflows)})
}
