package sim_test

import (
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// followedHistory is that of calmHistory, with a job that runs after the other one has
// succeeded, a second after the end of its item, under the tokens 1 and 2.
func followedHistory() *history {
	h := calmHistory()
	h.after = map[string][]job.Dependency{"job": nil, "next": {{Job: "job", On: job.OnSuccess}}}
	for i, g := range h.grants[:2] {
		id, end := h.runs[i].id, h.runs[i].to
		h.ends = append(h.ends, ended(end, "job", g.fence, "S"), ended(end+2*time.Second, "next", g.fence, "S"))
		next := g
		next.at, next.job, next.kind, next.instant, next.run = end+time.Second, "next", "O", 0, id
		h.grants = append(h.grants, next)
		h.runs = append(h.runs, &run{
			place: place{"next", 0}, node: "a", id: id, source: spi.SourceOneOff, attempt: 1, token: g.fence, from: next.at, to: end + 2*time.Second,
		})
		h.graph = append(h.graph, notedRun{h.concluded, "job", id, "S", ""}, notedRun{h.concluded, "next", id, "S", ""})
	}
	return h
}

func ended(at time.Duration, job string, fence int64, outcome string) end {
	return end{at, "a", job, fence, registry.NewItems(0), outcome}
}

func TestAFollowedHistoryIsAccepted(t *testing.T) {
	t.Parallel()
	for _, v := range check(followedHistory()) {
		t.Error(v)
	}
}

func TestInvariantsOfTheGraphRefuseAHistory(t *testing.T) {
	t.Parallel()
	refuse(t, followedHistory, []refusal{
		{"a run that begins while code before it runs", "I11 ", func(h *history) { h.runs[0].to = 17 * time.Second }},
		{"a run that begins before the end of one before it is known", "I11 ", func(h *history) { h.ends[0].at = 17 * time.Second }},
		{"an item that begins in a run which others have followed", "I11 ", func(h *history) {
			late := h.grants[0]
			late.at, late.fence = 19*time.Second, 9
			h.grants = append(h.grants, late)
		}},
		{"a run that nothing follows", "I12 ", func(h *history) {
			h.grants, h.runs, h.ends, h.graph = h.grants[:3], h.runs[:3], h.ends[:3], h.graph[:3]
		}},
		{"a run that does not end", "I12 ", func(h *history) { h.graph[1].outcome = "" }},
		{"a run that was skipped, too", "I12 ", func(h *history) {
			h.graph = append(h.graph, notedRun{30 * time.Second, "next", h.runs[0].id, "K", string(registry.SkippedUpstream)})
		}},
		{"a run after a failure", "I13 ", func(h *history) { h.ends[0].outcome = "F" }},
		{"a run that is skipped after a success", "I13 ", func(h *history) {
			h.graph[1].outcome, h.graph[1].reason = "K", string(registry.SkippedUpstream)
		}},
		{"a run that is skipped because of another one that is not there", "I13 ", func(h *history) {
			h.graph[3].outcome, h.graph[3].reason = "K", string(registry.SkippedItemsBusy)
		}},
		{"a run that starts twice", "I4 ", func(h *history) { h.runs[3].id = h.runs[2].id }},
	})
}
