package host

import "github.com/elasticjob-go/elasticjob/core/registry/embedded"

// Server returns the embedded server, for tests to move its clock.
func (h *Host) Server() *embedded.Server { return h.connection.server }

// UseSteadyClock makes leases run by a clock that follows the one of a synctest
// bubble, as the system's clocks do not.
func (h *Host) UseSteadyClock() { h.elapsed = newSteadyClock() }
