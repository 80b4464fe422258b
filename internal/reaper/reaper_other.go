//go:build !unix

package reaper

// Reaper is for systems with process groups; here it does nothing.
type Reaper struct{}

// New returns a reaper.
func New() *Reaper { return &Reaper{} }

// Add does nothing.
func (*Reaper) Add(int) {}

// Remove does nothing.
func (*Reaper) Remove(int) {}

// Close does nothing.
func (*Reaper) Close() {}
