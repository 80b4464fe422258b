package host

import "github.com/elasticjob-go/elasticjob/core/registry/embedded"

// Server returns the embedded server, for tests to move its clock.
func (h *Host) Server() *embedded.Server { return h.server }
