package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/coordinator"
	"github.com/elasticjob-go/elasticjob/core/cron"
	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// Rules of problems that only show when a job meets the plugins of its node.
const (
	RuleUnknownType = "unknown-type"
	RulePlugin      = "plugin"
)

// keyListeners is the key of a job's listeners.
const keyListeners = "jobListenerTypes"

// specs makes what jobs are executed from: it finds their plugins, checks
// their properties and constructs them.
type specs struct {
	config  config.Config
	catalog *catalog.Catalog
	// localZone is the zone of this node by name, for jobs without one.
	localZone func() (string, error)
	// calls runs the host operations of plugins; nil offers none.
	calls *hostcall.Host
	// zones keeps those of all jobs.
	zones cron.Zones
}

// build returns the spec of a job, or everything that is wrong with it.
func (s *specs) build(ctx context.Context, c job.Config) (*execution.Spec, config.Problems) {
	var problems config.Problems
	spec := &execution.Spec{Config: c}
	report := func(rule, message string, path ...string) {
		problems = append(problems, s.config.Problem(rule, message, append([]string{"jobs", c.Name}, path...)...))
	}

	if c.Cron != "" && c.TimeZone == "" {
		zone, err := s.localZone()
		if err != nil {
			report(job.RuleZone, err.Error())
		}
		spec.Config.TimeZone = zone
	}
	var err error
	// What is wrong with these values is among the problems of the definition
	// itself, with which no node is made.
	var unsound []error
	spec.Schedule, err = spec.Config.Schedule(s.zone(spec.Config.TimeZone))
	unsound = append(unsound, err)
	spec.Parameters, err = job.ParseItemParameters(c.ShardingItemParameters, c.ShardingTotalCount)
	unsound = append(unsound, err)
	spec.Pool, err = execution.PoolSize(c.PoolType)
	unsound = append(unsound, err)

	found, unknown := s.find(c)
	for _, u := range unknown {
		report(RuleUnknownType, u.message, u.key)
	}
	if len(unknown) > 0 {
		return nil, problems
	}
	values, refused := s.hideSecrets(found.schema, "jobs", c.Name).Resolve(found.jobType.Given(c.Name, c.Props))
	for _, p := range refused {
		report(p.Rule, fmt.Sprintf("property %q %s", p.Property, p.Message), "props", p.Property)
	}
	if d := found.strategy.Descriptor; !c.MonitorExecution && (d.Has(spi.CapabilityEveryRun) || d.Has(spi.CapabilityBroadcast)) {
		report(job.RuleConflict, "sharding strategy "+d.Type+" needs monitorExecution: without marks nobody knows what has run, and where", "jobShardingStrategyType")
	}
	if len(problems) > 0 || errors.Join(unsound...) != nil {
		return nil, problems
	}
	resolvePaths(s.config, found.jobType, values)
	for _, h := range found.handlers {
		resolvePaths(s.config, h, values)
	}
	for _, l := range found.listeners {
		resolvePaths(s.config, l, values)
	}
	spec.Values = values
	spec.Door = doorOf(s, found.jobType, values)
	spec.OwnCode = found.jobType.Terms(values).Trusted
	if spec.JobType, err = found.jobType.New(ctx, values); err != nil {
		report(RulePlugin, err.Error(), constructorPath(err, "elasticJobType")...)
	}
	if found.jobType.Descriptor.Has(spi.CapabilityDataflow) {
		var ok bool
		if spec.Dataflow, ok = spec.JobType.(spi.Dataflow); !ok && err == nil {
			report(RulePlugin, "job type "+c.Type+" announces dataflow and does not implement it", "elasticJobType")
		}
	}
	for _, h := range found.handlers {
		handler, err := h.New(ctx, values)
		if err != nil {
			report(RulePlugin, err.Error(), constructorPath(err, "jobErrorHandlerType")...)
			continue
		}
		spec.Handlers = append(spec.Handlers, &execution.Handler{
			Type: h.Descriptor.Type, Handler: handler, Door: doorOf(s, h, values),
			Notifies: h.Descriptor.Has(spi.CapabilityNotify), Window: values.Duration(execution.PropWindow),
		})
	}
	for _, l := range found.listeners {
		once := l.Descriptor.Has(spi.CapabilityDistributeOnce)
		if once && !c.MonitorExecution {
			report(job.RuleConflict, "job listener "+l.Descriptor.Type+" is called once for the whole run, which needs monitorExecution: without marks nobody knows when all items have begun or ended", keyListeners)
			continue
		}
		listener, err := l.New(ctx, values)
		if err != nil {
			report(RulePlugin, err.Error(), constructorPath(err, keyListeners)...)
			continue
		}
		one := &execution.Listener{Type: l.Descriptor.Type, Listener: listener, Door: doorOf(s, l, values)}
		if l.Descriptor.Has(spi.CapabilityPerInstance) {
			spec.Listeners = append(spec.Listeners, one)
		}
		if once {
			spec.OnceListeners = append(spec.OnceListeners, one)
		}
	}
	if len(problems) > 0 {
		if err := closeSpec(ctx, spec); err != nil {
			report(RulePlugin, err.Error())
		}
		return nil, problems
	}
	return spec, nil
}

// resolvePaths makes the paths among the properties of a plugin absolute: they
// start from the directory of this node's file, and stay as written in the
// registry. What is not part of this process may see other files under a path of
// this machine, or none, and gets it as written.
func resolvePaths[T any](c config.Config, plugin catalog.Found[T], values props.Values) {
	if !plugin.Terms(values).Trusted {
		return
	}
	for _, f := range plugin.Descriptor.Props {
		if f.Type == props.Path && values[f.Name] != "" {
			values[f.Name] = c.Resolve(values[f.Name])
		}
	}
}

// doorOf returns the door of a plugin that is made of these properties, nil if
// the node offers no operations.
func doorOf[T any](s *specs, plugin catalog.Found[T], values props.Values) hostcall.Caller {
	if s.calls == nil {
		return nil
	}
	return s.calls.Door(plugin.Descriptor.Type, plugin.Terms(values))
}

// buildStored returns the spec of a job as the registry has it. What another node
// stored is not trusted: it may come from another version.
func (s *specs) buildStored(ctx context.Context, state registry.JobState) (*execution.Spec, error) {
	c, err := job.Decode(state.Definition.Config)
	if err != nil {
		return nil, err
	}
	if c.Name != state.Definition.Name || c.ShardingTotalCount != state.Definition.Items || c.MonitorExecution != state.Definition.Monitored {
		return nil, errors.New("its parts contradict each other")
	}
	if broken := c.Validate(); len(broken) > 0 {
		return nil, errors.New(broken[0].String())
	}
	spec, problems := s.build(ctx, c)
	if spec == nil {
		return nil, errors.New(problems[0].Message)
	}
	spec.Since = state.Updated
	return spec, nil
}

// hideSecrets returns the schema with the properties marked secret whose value
// comes from a placeholder, so that no message shows it.
func (s *specs) hideSecrets(schema props.Schema, holder ...string) props.Schema {
	hidden := append(props.Schema(nil), schema...)
	for i, f := range hidden {
		if strings.Contains(s.config.Shown(append(slices.Clone(holder), "props", f.Name)...), "${") {
			hidden[i].Secret = true
		}
	}
	return hidden
}

// constructorPath places a constructor's error at the property that it names.
func constructorPath(err error, key string) []string {
	if property := spi.AsError(err).Property; property != "" {
		return []string{"props", property}
	}
	return []string{key}
}

// zone returns the zone of that name, nil if there is none: that is a problem of the
// definition itself.
func (s *specs) zone(name string) *time.Location {
	location, err := s.zones.Zone(name)
	if err != nil {
		return nil
	}
	return location
}

// found are the plugins of one job.
type found struct {
	jobType   catalog.Found[spi.JobType]
	strategy  catalog.Found[spi.ShardingStrategy]
	handlers  []catalog.Found[spi.ErrorHandler]
	listeners []catalog.Found[spi.JobListener]
	// schema holds the properties of all of them.
	schema props.Schema
}

// unknownType is a type that no plugin declares.
type unknownType struct{ key, message string }

func (s *specs) find(c job.Config) (f found, unknown []unknownType) {
	var ok bool
	if f.jobType, ok = catalog.Lookup(s.catalog, catalog.JobTypes(), c.Type); !ok {
		unknown = append(unknown, s.unknown(c.Name, "elasticJobType", "job type", spi.KindJobType, c.Type))
	}
	if f.strategy, ok = catalog.Lookup(s.catalog, catalog.ShardingStrategies(), c.ShardingStrategyType); !ok {
		unknown = append(unknown, s.unknown(c.Name, "jobShardingStrategyType", "sharding strategy", spi.KindShardingStrategy, c.ShardingStrategyType))
	}
	for _, t := range c.ErrorHandlerTypes {
		h, ok := catalog.Lookup(s.catalog, catalog.ErrorHandlers(), t)
		if !ok {
			unknown = append(unknown, s.unknown(c.Name, "jobErrorHandlerType", "error handler", spi.KindErrorHandler, t))
			continue
		}
		f.handlers = append(f.handlers, h)
	}
	for _, t := range c.ListenerTypes {
		l, ok := catalog.Lookup(s.catalog, catalog.JobListeners(), t)
		if !ok {
			unknown = append(unknown, s.unknown(c.Name, keyListeners, "job listener", spi.KindJobListener, t))
			continue
		}
		f.listeners = append(f.listeners, l)
	}
	f.schema = mergeSchemas(f.jobType.Descriptor.Props, f.strategy.Descriptor.Props)
	if f.jobType.Descriptor.Has(spi.CapabilityDataflow) {
		f.schema = mergeSchemas(f.schema, execution.DataflowProps())
	}
	for _, h := range f.handlers {
		f.schema = mergeSchemas(f.schema, h.Descriptor.Props)
		if h.Descriptor.Has(spi.CapabilityNotify) {
			f.schema = mergeSchemas(f.schema, execution.NotifyProps())
		}
	}
	for _, l := range f.listeners {
		f.schema = mergeSchemas(f.schema, l.Descriptor.Props)
	}
	return f, unknown
}

func (s *specs) unknown(job, key, what string, kind spi.Kind, name string) unknownType {
	return unknownType{key, s.noSuchType(what, kind, name, "jobs", job, key)}
}

// noSuchType says that no plugin declares the type that stands at a path of the
// configuration, and which there are.
func (s *specs) noSuchType(what string, kind spi.Kind, name string, path ...string) string {
	types := s.catalog.Types(kind)
	if shown := s.config.Shown(path...); strings.Contains(shown, "${") {
		// What a placeholder gives may be a secret in the wrong place.
		return fmt.Sprintf("no plugin declares %s %q as the environment has it; there are %s", what, shown, strings.Join(types, ", "))
	}
	message := fmt.Sprintf("no plugin declares %s %q", what, name)
	if near, ok := config.Suggest(name, types); ok {
		return message + "; did you mean " + near + "?"
	}
	if len(types) == 0 {
		return message + "; there is none"
	}
	return message + "; there are " + strings.Join(types, ", ")
}

// mergeSchemas joins two schemas; of two fields with one name the first counts.
func mergeSchemas(a, b props.Schema) props.Schema {
	merged := append(props.Schema(nil), a...)
	for _, f := range b {
		known := false
		for _, g := range a {
			known = known || g.Name == f.Name
		}
		if !known {
			merged = append(merged, f)
		}
	}
	return merged
}

// strategist finds the sharding strategy of a job as the registry has it.
func (s *specs) strategist(ctx context.Context, state registry.JobState) (coordinator.Strategy, error) {
	c, err := job.Decode(state.Definition.Config)
	if err != nil {
		return coordinator.Strategy{}, fmt.Errorf("reading the definition: %w", err)
	}
	f, unknown := s.find(c)
	for _, u := range unknown {
		if u.key == "jobShardingStrategyType" {
			return coordinator.Strategy{}, fmt.Errorf("finding its strategy: %s", u.message)
		}
	}
	parameters, err := job.ParseItemParameters(c.ShardingItemParameters, c.ShardingTotalCount)
	if err != nil {
		return coordinator.Strategy{}, fmt.Errorf("reading its item parameters: %w", err)
	}
	values, _ := f.schema.Resolve(f.jobType.Given(c.Name, c.Props))
	strategy, err := f.strategy.New(ctx, values)
	if err != nil {
		return coordinator.Strategy{}, fmt.Errorf("constructing its strategy: %w", err)
	}
	req := spi.ShardRequest{JobName: c.Name, ShardingTotalCount: c.ShardingTotalCount, Items: make([]spi.Item, c.ShardingTotalCount), Props: values}
	for i := range req.Items {
		req.Items[i] = spi.Item{Item: i, Parameter: parameters[i]}
	}
	return coordinator.Strategy{Descriptor: f.strategy.Descriptor, Strategy: strategy, Request: req, Door: doorOf(s, f.strategy, values)}, nil
}

// closeSpec closes the plugins of a job.
func closeSpec(ctx context.Context, spec *execution.Spec) error {
	errs := []error{catalog.Close(ctx, spec.JobType)}
	for _, h := range spec.Handlers {
		errs = append(errs, catalog.Close(ctx, h.Handler))
	}
	for _, l := range spec.Listeners {
		errs = append(errs, catalog.Close(ctx, l.Listener))
	}
	for _, l := range spec.OnceListeners {
		if !slices.Contains(spec.Listeners, l) {
			errs = append(errs, catalog.Close(ctx, l.Listener))
		}
	}
	return errors.Join(errs...)
}
