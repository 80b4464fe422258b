package host

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// ErrConflict says that a job has another version in the registry center than the
// one that was to be changed.
var ErrConflict = errors.New("the job has another version")

// UpdateJob stores a definition in place of the version that its author has seen,
// or, with version zero, of a job that is not there yet. It returns the version of
// what is stored now, the same as before when nothing differs.
//
// The definition is validated, and its properties are checked by the plugins of
// this node if it has all that the job names; the error is [config.Problems] when
// it cannot be used. A cron without time zone gets that of this node. Other errors
// are [ErrConflict] when the version is another one, [registry.ErrUnknownJob] when
// a job with a version is not there, and those of the registry. The type of a job
// cannot be changed.
//
// Nodes run the job as it is stored from its next run on; what runs ends under the
// definition that it has begun with.
func (h *Host) UpdateJob(ctx context.Context, c job.Config, version int64) (int64, error) {
	ctx, done, err := h.change(ctx)
	if err != nil {
		return 0, fmt.Errorf("updating job %q: %w", c.Name, err)
	}
	defer done()
	if wrong := c.Validate(); len(wrong) > 0 {
		problems := make(config.Problems, len(wrong))
		for i, p := range wrong {
			problems[i] = config.Problem{Rule: p.Rule, Message: p.String()}
		}
		return 0, problems
	}
	c, problems, err := h.jobs.checked(ctx, c)
	if err != nil {
		return 0, fmt.Errorf("updating job %q: %w", c.Name, err)
	}
	if len(problems) > 0 {
		return 0, problems
	}
	if err := h.checkCircle(ctx, c); err != nil {
		return 0, err
	}
	stored, err := h.put(ctx, c, version)
	if err != nil {
		return 0, fmt.Errorf("updating job %q: %w", c.Name, err)
	}
	return stored, nil
}

// change lets one change by this node come after the other, and ends it when the
// node begins to stop.
func (h *Host) change(ctx context.Context) (bounded context.Context, done func(), err error) {
	h.reloading.Lock()
	if !h.isUp.Load() || h.closed {
		h.reloading.Unlock()
		return nil, nil, errors.New("the node does not run")
	}
	bounded, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(h.ending, func() { cancel(spi.ErrStopping) })
	return bounded, func() {
		stop()
		cancel(nil)
		h.reloading.Unlock()
	}, nil
}

// put stores a definition in place of a version.
func (h *Host) put(ctx context.Context, c job.Config, version int64) (int64, error) {
	p := h.center.Partition(c.Name)
	if version != 0 {
		state, err := p.Job(ctx, c.Name)
		switch {
		case err != nil:
			return 0, err
		case state.Version != version:
			return 0, fmt.Errorf("%w: %d, not %d", ErrConflict, state.Version, version)
		}
		// What cannot be read may be replaced by anything.
		if before, err := job.Decode(state.Definition.Config); err == nil && before.Type != c.Type {
			return 0, fmt.Errorf("its elasticJobType is %s and cannot become %s: remove the job first", before.Type, c.Type)
		}
	}
	d, err := definitionOf(c)
	if err != nil {
		return 0, err
	}
	d.Overwrite, d.ExpectVersion = false, version
	results, err := p.PutJobs(ctx, []registry.JobDefinition{d})
	if err != nil {
		return 0, err
	}
	switch one := results[0]; one.Outcome {
	case registry.PutKept, registry.PutConflict:
		return 0, fmt.Errorf("%w: %d, not %d", ErrConflict, one.Version, version)
	default:
		return one.Version, nil
	}
}

// checked completes a definition and returns what the plugins of this node find
// wrong with it. Without one of them nothing can be said of its properties.
func (js *jobs) checked(ctx context.Context, c job.Config) (job.Config, config.Problems, error) {
	type answer struct {
		config   job.Config
		problems config.Problems
		err      error
	}
	js.mu.Lock()
	plugins := js.plugins
	plugins.inUse++
	js.mu.Unlock()
	answers := make(chan answer, 1)
	// Constructors are code of others, which may hang.
	js.background.Go(func() {
		var a answer
		a.config, a.problems, a.err = plugins.specs.checked(js.lifetime, c)
		js.mu.Lock()
		plugins.leave()
		js.mu.Unlock()
		answers <- a
	})
	select {
	case a := <-answers:
		return a.config, a.problems, a.err
	case <-ctx.Done():
		return c, nil, context.Cause(ctx)
	}
}

// checked is that of jobs for the plugins of these specs.
func (s *specs) checked(ctx context.Context, c job.Config) (job.Config, config.Problems, error) {
	if _, unknown := s.find(c); len(unknown) > 0 {
		if c.Cron == "" || c.TimeZone != "" {
			return c, nil, nil
		}
		var err error
		c.TimeZone, err = s.localZone()
		return c, nil, err
	}
	spec, problems := s.build(ctx, c)
	if spec == nil {
		// They are not about the file, whatever it says of a job of this name.
		for i := range problems {
			problems[i] = config.Problem{Rule: problems[i].Rule, Message: problems[i].Message}
		}
		return c, slices.Clip(problems), nil
	}
	return spec.Config, nil, closeSpec(ctx, spec)
}

// RemoveJob removes a job from the registry center, with its assignment, its marks
// and its desired state; one that is not there is [registry.ErrUnknownJob]. All
// nodes stop hosting it. Items that run go on, and their end is not recorded. A
// node that has the job in its file stores it again when it starts, reloads or has
// been away from the registry meanwhile.
func (h *Host) RemoveJob(ctx context.Context, name string) error {
	removed, err := h.center.Partition(name).RemoveJobs(ctx, name)
	switch {
	case err != nil:
		return fmt.Errorf("removing job %q: %w", name, err)
	case removed == 0:
		return fmt.Errorf("removing job %q: %w", name, registry.ErrUnknownJob)
	default:
		return nil
	}
}
