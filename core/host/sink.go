package host

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/tracing"
	"github.com/elasticjob-go/elasticjob/spi"
)

// buildSink returns the tracing sink of the configuration, nil if it names none,
// or everything that is wrong with it.
func (s *specs) buildSink(ctx context.Context, logger *slog.Logger) (*tracing.Sink, config.Problems) {
	wanted := s.config.Tracing
	if wanted == nil {
		return nil, nil
	}
	var problems config.Problems
	report := func(rule, message string, path ...string) {
		problems = append(problems, s.config.Problem(rule, message, append([]string{"tracing"}, path...)...))
	}
	found, ok := catalog.Lookup(s.catalog, catalog.TracingSinks(), wanted.Type)
	if !ok {
		report(RuleUnknownType, s.noSuchType("tracing sink", spi.KindTracingSink, wanted.Type, "tracing", "type"), "type")
		return nil, problems
	}
	values, refused := s.hideSecrets(found.Descriptor.Props, "tracing").Resolve(wanted.Props)
	for _, p := range refused {
		report(p.Rule, fmt.Sprintf("property %q %s", p.Property, p.Message), "props", p.Property)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	sink, err := found.New(ctx, values)
	if err != nil {
		path := []string{"type"}
		if property := spi.AsError(err).Property; property != "" {
			path = []string{"props", property}
		}
		report(RulePlugin, err.Error(), path...)
		return nil, problems
	}
	return &tracing.Sink{Type: wanted.Type, Sink: sink, Values: values, Door: doorOf(s, found, values), Close: func(ctx context.Context) {
		if err := catalog.Close(ctx, sink); err != nil {
			logger.Warn("tracing sink not closed", "plugin", wanted.Type, "err", err)
		}
	}}, nil
}

// holdSink keeps the plugins of the latest configuration in use until the sink,
// which is one of them, is closed.
func (js *jobs) holdSink(sink *tracing.Sink) {
	if sink == nil {
		return
	}
	js.mu.Lock()
	defer js.mu.Unlock()
	of, closeSink := js.plugins, sink.Close
	of.inUse++
	sink.Close = func(ctx context.Context) {
		closeSink(ctx)
		js.mu.Lock()
		defer js.mu.Unlock()
		of.leave()
	}
}

// makeTracer makes the tracer of the node if its configuration has a sink.
func (h *Host) makeTracer(sink *tracing.Sink) {
	if sink == nil {
		return
	}
	h.jobs.holdSink(sink)
	instance := spi.Instance{ID: h.instance.ID, IP: h.instance.IP, Labels: h.instance.Labels}
	h.tracer = tracing.New(instance, sink, h.now, h.config.Logger)
	h.tracer.Follow(&h.events)
}

// replaceSink hands the history to the sink of a new configuration, to none if
// that is nil.
func (h *Host) replaceSink(ctx context.Context, sink *tracing.Sink) {
	switch {
	case h.tracer != nil:
		h.jobs.holdSink(sink)
		h.tracer.Replace(ctx, sink)
	case sink != nil:
		h.logger.Warn("a change of this key takes effect at the next start", "key", "tracing")
		sink.Close(ctx)
	}
}
