//go:build unix

package main

import (
	"sync"
	"testing"
	"time"
)

// The jobs of most fleets.
var (
	marked   = jobFile{name: "marked", every: time.Second, items: 6, props: "fake.duration: 100ms"}
	unmarked = jobFile{name: "unmarked", every: time.Second, items: 6, unmonitors: true, props: "fake.duration: 100ms"}
	long     = jobFile{name: "long", every: 5 * time.Second, items: 6, props: "fake.duration: 3s"}
)

// TestFleet runs real node processes on real Redis servers. Every story has a
// fleet of its own. They run side by side, more than -parallel allows: they
// wait for leases most of the time.
func TestFleet(t *testing.T) {
	t.Parallel()
	stories := map[string]func(*fleet){
		"nodes join and leave":   testJoinAndLeave,
		"nodes are killed":       testKill,
		"nodes and items change": testChange,
		"a node is paused":       testPause,
		"Redis goes away":        testOutage,
		"start-up":               testStartUp,
		"definitions":            testDefinitions,
		"code outlives a lease":  testZombie,
	}
	var all sync.WaitGroup
	for name, story := range stories {
		all.Go(func() { t.Run(name, func(t *testing.T) { story(newFleet(t)) }) })
	}
	all.Wait()
}
