//go:build unix

package chaos_test

import (
	"testing"
)

// followed adds a job "next" to a story, which runs after "settle" as on says, and a run
// of it that begins at a second.
func (s *story) followed(on string, from float64) {
	s.specs = append(s.specs, jobSpec{name: "next", items: 1, monitored: true, failover: true, after: []dependency{{"settle", on}}})
	s.quiet = s.at(100)
	s.ran("next", "ONE_OFF", s.b, 0, from, from+1, 1, success)
}

// settles adds the run of "settle" that "next" follows.
func (s *story) settles(end cause) {
	s.ran("settle", "NORMAL_TRIGGER", s.a, 0, 0, 2, 1, end)
}

func (s *story) skips(second float64) {
	s.logs(second, record{Msg: "run skipped", Job: "next", Run: s.at(0).Format(runLayout)})
}

// TestCheckOfTheGraph has histories of jobs that run after others.
func TestCheckOfTheGraph(t *testing.T) {
	t.Parallel()
	checkStories(t, map[string]told{
		"one after the other": {tell: func(s *story) {
			s.settles(success)
			s.followed("SUCCESS", 3)
		}},
		"one before the end of the other": {want: "begins after its end", tell: func(s *story) {
			s.settles(success)
			s.followed("SUCCESS", 1)
		}},
		"one before another takes over": {want: "begins after its end", tell: func(s *story) {
			s.a.killed = s.at(1)
			s.ran("settle", "NORMAL_TRIGGER", s.a, 0, 0, 1, 1, "")
			s.ran("settle", "FAILOVER", s.b, 0, 5, 6, 2, success)
			s.followed("ALWAYS", 4)
		}},
		"nothing": {want: "begins or is skipped", tell: func(s *story) {
			s.followed("SUCCESS", 3)
			s.executions = nil
			s.settles(success)
		}},
		"a skip": {tell: func(s *story) {
			s.followed("SUCCESS", 3)
			s.executions = nil
			s.settles(failed)
			s.skips(3)
		}},
		"a skip and a run": {want: "as it demands", tell: func(s *story) {
			s.settles(success)
			s.followed("SUCCESS", 3)
			s.skips(3)
		}},
		"one after a failure": {want: "as it demands", tell: func(s *story) {
			s.settles(failed)
			s.followed("SUCCESS", 3)
		}},
		"one for failures after a success": {want: "as it demands", tell: func(s *story) {
			s.settles(success)
			s.followed("FAILURE", 3)
		}},
		"one twice": {want: "nothing is run twice", tell: func(s *story) {
			s.settles(success)
			s.followed("SUCCESS", 3)
			s.ran("next", "ONE_OFF", s.a, 0, 5, 6, 2, success)
		}},
	})
}
