//go:build unix

package chaos_test

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// story is a history that a test tells, of a job with failover and one without.
type story struct {
	*history
	began time.Time
	a, b  *process
}

func newStory() *story {
	s := &story{began: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC), a: &process{name: "0-0"}, b: &process{name: "1-1"}}
	s.history = &history{
		specs: []jobSpec{
			{name: "settle", every: 10 * time.Second, items: 1, monitored: true, failover: true},
			{name: "marked", every: 10 * time.Second, items: 1, monitored: true},
			{name: "loose", every: 10 * time.Second, items: 1},
		},
		nodes: []*process{s.a, s.b}, losses: make(map[*process][]time.Time), quiet: s.began,
	}
	return s
}

func (s *story) at(second float64) time.Time {
	return s.began.Add(time.Duration(second * float64(time.Second)))
}

// ran adds an execution of the run of an instant.
func (s *story) ran(job, source string, node *process, instant, from, to float64, fence int64, how cause) {
	s.executions = append(s.executions, &execution{
		place: place{job, 0}, node: node, run: s.at(instant).Format(runLayout), source: source, fence: fence, from: s.at(from), to: s.at(to), cause: how,
	})
}

// takenOver adds a run that has ended, and one more of the same instant elsewhere.
func (s *story) takenOver() {
	s.ran("settle", "NORMAL_TRIGGER", s.a, 0, 0, 2, 1, success)
	s.ran("settle", "FAILOVER", s.b, 0, 10, 12, 2, success)
}

// logs adds a record.
func (s *story) logs(second float64, r record) {
	r.Time = s.at(second)
	s.records = append(s.records, r)
}

// TestCheck has histories that the checks refuse, and such that they do not.
func TestCheck(t *testing.T) {
	t.Parallel()
	checkStories(t, map[string]told{
		"one after the other": {tell: func(s *story) {
			s.ran("settle", "NORMAL_TRIGGER", s.a, 0, 0, 2, 1, success)
			s.ran("settle", "NORMAL_TRIGGER", s.b, 10, 10, 12, 2, success)
		}},
		"an overlap": {want: "do not overlap", tell: func(s *story) {
			s.ran("settle", "NORMAL_TRIGGER", s.a, 0, 0, 12, 1, success)
			s.ran("settle", "NORMAL_TRIGGER", s.b, 10, 10, 12, 2, success)
		}},
		"an overlap of code that a paused node was in": {tell: func(s *story) {
			s.a.pauses = []span{{s.at(1), s.at(15)}}
			s.losses[s.a] = []time.Time{s.at(15)}
			s.ills = []ill{{fault{kind: pause, slot: 0}, s.a.pauses[0]}}
			s.ran("settle", "NORMAL_TRIGGER", s.a, 0, 0, 15, 1, leaseLost)
			s.ran("settle", "FAILOVER", s.b, 0, 10, 12, 2, success)
		}},
		"an overlap after a pause that the lease outlived": {want: "do not overlap", tell: func(s *story) {
			s.a.pauses = []span{{s.at(1), s.at(2)}}
			s.ran("settle", "NORMAL_TRIGGER", s.a, 0, 0, 12, 1, success)
			s.ran("settle", "NORMAL_TRIGGER", s.b, 10, 10, 12, 2, success)
		}},
		"an older token": {want: "tokens rise", tell: func(s *story) {
			s.ran("settle", "NORMAL_TRIGGER", s.a, 0, 0, 2, 2, success)
			s.ran("settle", "NORMAL_TRIGGER", s.b, 10, 10, 12, 1, success)
		}},
		"the same token": {want: "tokens rise", tell: func(s *story) {
			s.ran("marked", "NORMAL_TRIGGER", s.a, 0, 0, 2, 2, success)
			s.ran("marked", "NORMAL_TRIGGER", s.a, 10, 10, 12, 2, success)
		}},
		"an overlap without marks": {tell: func(s *story) {
			s.ran("loose", "NORMAL_TRIGGER", s.a, 0, 0, 12, 1, success)
			s.ran("loose", "NORMAL_TRIGGER", s.b, 10, 10, 12, 2, success)
		}},
		"the same token without marks": {tell: func(s *story) {
			s.ran("loose", "NORMAL_TRIGGER", s.a, 0, 0, 2, 2, success)
			s.ran("loose", "NORMAL_TRIGGER", s.a, 10, 10, 12, 2, success)
		}},
		"an older effect accepted": {want: "accepts no older token", tell: func(s *story) {
			s.effects = []seen{{effect{Job: "settle", Fence: 2}, true}, {effect{Job: "settle", Fence: 1}, true}}
		}},
		"a newer effect refused": {want: "accepts no older token", tell: func(s *story) {
			s.effects = []seen{{effect{Job: "settle", Fence: 2}, true}, {effect{Job: "settle", Fence: 3}, false}}
		}},
		"an older effect refused": {tell: func(s *story) {
			s.effects = []seen{{effect{Job: "settle", Fence: 2}, true}, {effect{Job: "settle", Fence: 1}, false}}
		}},
		"a double fire": {want: "nothing is run twice", tell: func(s *story) {
			s.ran("settle", "NORMAL_TRIGGER", s.a, 0, 0, 2, 1, success)
			s.ran("settle", "NORMAL_TRIGGER", s.b, 0, 3, 4, 2, success)
		}},
		"a failover of what was reported": {want: "nothing is run twice", tell: func(s *story) {
			s.a.killed = s.at(6)
			s.takenOver()
		}},
		"a failover of what could not be reported": {tell: func(s *story) {
			s.a.killed = s.at(6)
			s.ills = []ill{{fault{kind: hang, slot: 0}, span{s.at(1), s.at(6)}}}
			s.takenOver()
		}},
		"a failover without failover": {want: "nothing is run twice", tell: func(s *story) {
			s.a.killed = s.at(1)
			s.ran("marked", "NORMAL_TRIGGER", s.a, 0, 0, 1, 1, "")
			s.ran("marked", "FAILOVER", s.b, 0, 10, 12, 2, success)
		}},
		"a failover of what a node left behind": {want: "nothing is run twice", tell: func(s *story) {
			s.a.left = s.at(1)
			s.takenOver()
		}},
		"a failover of what a node that stopped could not report": {tell: func(s *story) {
			s.a.left = s.at(1)
			s.ills = []ill{{fault{kind: restart, slot: noSlot}, span{s.at(1), s.at(2)}}}
			s.takenOver()
		}},
		"two failovers of one death": {want: "nothing is run twice", tell: func(s *story) {
			s.a.killed = s.at(1)
			s.ran("settle", "NORMAL_TRIGGER", s.a, 0, 0, 1, 1, "")
			s.ran("settle", "FAILOVER", s.b, 0, 5, 6, 2, success)
			s.ran("settle", "FAILOVER", s.b, 0, 10, 12, 3, success)
		}},
		"a death without a failover": {want: "is run again", tell: func(s *story) {
			s.a.killed = s.at(1)
			s.ran("settle", "NORMAL_TRIGGER", s.a, 0, 0, 1, 1, "")
		}},
		"a death without failover": {tell: func(s *story) {
			s.a.killed = s.at(1)
			s.ran("marked", "NORMAL_TRIGGER", s.a, 0, 0, 1, 1, "")
		}},
		"an instant without a verdict": {want: "has a verdict", tell: func(s *story) {
			s.quiet = s.at(25)
			s.logs(1, record{Msg: "items assigned", Job: "settle", Items: "0"})
			s.logs(10, record{Msg: "item started", Job: "settle", Run: s.at(10).Format(runLayout)})
		}},
		"instants with verdicts": {tell: func(s *story) {
			s.quiet = s.at(35)
			s.logs(1, record{Msg: "items assigned", Job: "settle", Items: "0"})
			s.logs(10, record{Msg: "item started", Job: "settle", Run: s.at(10).Format(runLayout)})
			s.logs(31, record{Msg: "item misfired", Job: "settle", From: s.at(20).Format(time.RFC3339), To: s.at(30).Format(time.RFC3339)})
		}},
		"an item that ran again before its owner was killed": {want: "has a verdict", tell: func(s *story) {
			s.quiet, s.a.killed = s.at(25), s.at(22)
			s.logs(1, record{node: s.a, Msg: "items assigned", Job: "settle", Items: "0"})
			s.logs(20, record{node: s.a, Msg: "item started", Job: "settle", Run: s.at(20).Format(runLayout)})
		}},
		"held fires that a killed owner did not tell of": {want: "every instant has a verdict: settle/0 at 12:00:20", tell: func(s *story) {
			s.quiet, s.a.killed = s.at(35), s.at(32)
			s.logs(1, record{node: s.a, Msg: "items assigned", Job: "settle", Items: "0"})
			s.logs(10, record{node: s.a, Msg: "item started", Job: "settle", Run: s.at(10).Format(runLayout)})
		}},
		"an instant that a killed node knew of": {tell: func(s *story) {
			s.quiet, s.a.killed = s.at(15), s.at(10.1)
			s.logs(1, record{Msg: "items assigned", Job: "settle", Items: "0"})
		}},
	})
}

// told is a story and the rule that it breaks, "" if none.
type told struct {
	tell func(*story)
	want string
}

func checkStories(t *testing.T, stories map[string]told) {
	t.Helper()
	for name, one := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory()
			one.tell(s)
			s.mustBe(t, one.want)
		})
	}
}

// mustBe fails unless the story breaks a rule, or none if that is empty.
func (s *story) mustBe(t *testing.T, want string) {
	t.Helper()
	got := check(s.history)
	isRight := len(got) == 0
	if want != "" {
		isRight = slices.ContainsFunc(got, func(text string) bool { return strings.Contains(text, want) })
	}
	if !isRight {
		t.Errorf("check() = %q, want %q", got, want)
	}
}
