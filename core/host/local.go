package host

import (
	"context"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/registry"
)

// RunLocal runs items of a job of the configuration here and now, as
// [execution.Local] says, on a node that is not started and not used again. It
// returns nil for a job that is not in the configuration.
func (h *Host) RunLocal(ctx context.Context, name string, items registry.Items) []execution.LocalItem {
	h.jobs.mu.Lock()
	hosted := h.jobs.byName[name]
	h.jobs.mu.Unlock()
	if hosted == nil {
		return nil
	}
	execution.RecordKept(&h.events, h.config.Logger)
	return execution.Local{
		Spec: hosted.spec, RunID: execution.NewRunID(), Items: items, IP: h.instance.IP,
		MaxRunningItems: h.config.Node.MaxRunningItems, Logger: h.config.Logger, Events: &h.events,
	}.Run(ctx)
}
