//go:build !unix

package process

// reaper is for systems with process groups.
type reaper struct{}

func newReaper() *reaper { return &reaper{} }

func (*reaper) add(int) {}

func (*reaper) remove(int) {}

func (*reaper) close() {}
