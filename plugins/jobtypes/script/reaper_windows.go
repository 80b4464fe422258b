package script

// reaper is for systems with process groups; here job objects end with the node.
type reaper struct{}

func newReaper() *reaper { return &reaper{} }

func (*reaper) acquire() {}

func (*reaper) release() {}

func (*reaper) add(int) {}

func (*reaper) remove(int) {}
