package spitest

import (
	"slices"
	"testing"

	"github.com/elasticjob-go/elasticjob/spi/spitest/subject"
)

// difference is a call that a host cannot answer as the others do.
type difference struct {
	kind string // of the host
	deed string // its name
	// change makes the call what this host does; nil leaves it out.
	change func(*deed)
	why    string
}

// differences are all of them.
func differences() []difference {
	all := []difference{
		{
			kind: builtIn, deed: "failure to close", change: func(d *deed) { d.lines, d.levels = d.lines[:1], nil },
			why: "It lives as long as its job and is closed with it, when there is no call left whose log could tell.",
		},
		{
			kind: builtIn, deed: "log without an end", change: func(d *deed) {
				d.lines = slices.Repeat([]string{d.values[subject.PropText]}, 1100)
				d.check = nil
			},
			why: "It is part of the node, and nothing bounds what the node itself logs.",
		},
	}
	for name, line := range map[string]string{
		"operation with a request that is too large":  "{}",
		"operation with a response that is too large": "16777217 bytes",
	} {
		all = append(all, difference{
			kind: builtIn, deed: name, change: func(d *deed) { d.lines, d.check = []string{line}, succeeds },
			why: "Nothing crosses a border that has bounds; the operations of the engine have their own.",
		})
	}
	for _, name := range []string{"too large request", "data that are no JSON", "two values as a datum", "empty datum", "deep data", "space around data"} {
		all = append(all, difference{
			kind: builtIn, deed: name,
			why: "Its data go from one of its methods to the other: nobody else reads them, and they cross no border.",
		})
	}
	for _, when := range []string{"the node stops", "the job is disabled", "the lease is lost", "time is over", "somebody cancels"} {
		all = append(all, difference{
			kind: module, deed: "finish when " + when, change: func(d *deed) {
				d.lines, d.calls, d.check = d.lines[:1], []HostCall{}, endedWith(d.end)
			},
			why: "The end of its context ends a module, which cannot be told in the middle of its work. " +
				"It has the time before: should_stop, and the context of the sdk, which asks that, say that the end is near.",
		})
	}
	return all
}

// succeeds holds that a call did.
func succeeds(t *testing.T, o outcome) {
	t.Helper()
	if o.err != nil {
		t.Errorf("the call fails with %s, want success", subject.ErrorText(o.err))
	}
}

func differenceOf(kind, name string) (difference, bool) {
	for _, d := range differences() {
		if d.kind == kind && d.deed == name {
			return d, true
		}
	}
	return difference{}, false
}
