package registry

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// newFailingRun is a run in which nodes die while they run items.
func newFailingRun(t testing.TB, on server, seed uint64, edit func(name, source string) string) *randomRun {
	t.Helper()
	r := newRandomRun(t, on, seed, edit)
	r.fails = true
	return r
}

// claim lets a node take over what the dead have left, or repeat its last claim.
func (r *randomRun) claim() {
	r.t.Helper()
	l, ok := r.leases[r.node()]
	if !ok {
		return
	}
	r.requests++
	q := ClaimRequest{Lease: l, Job: "j", Most: 1 + r.rand.IntN(4), Request: fmt.Sprintf("c%d", r.requests)}
	if r.rand.IntN(4) == 0 {
		q.Busy = NewItems(r.rand.IntN(r.m.n))
	}
	if r.rand.IntN(5) == 0 && r.claims != nil {
		q = r.claims[len(r.claims)-1]
	}
	r.claims = append(r.claims, q)
	got, err := r.Claim(r.t.Context(), q)
	if !r.m.live(q.Lease.Instance, q.Lease.Epoch) {
		if !errors.Is(err, ErrLeaseLost) {
			r.t.Errorf("Claim without a lease = %v, want %v", err, ErrLeaseLost)
		}
		return
	}
	if err != nil {
		r.t.Fatal(err)
	}
	want := r.m.claim(q)
	want.LeaseDeadline = instantOf(r.m.sessions[q.Lease.Instance].deadline)
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("Claim(%+v) (-want +got):\n%s", q, diff)
	}
	if got.Code != CodeOK || r.known(got.Fence) {
		return
	}
	if got.Fence <= r.fence {
		r.t.Errorf("fence %d follows %d, want it to rise", got.Fence, r.fence)
	}
	r.fence = got.Fence
	c := CompleteRequest{Lease: q.Lease, Job: "j", Fence: got.Fence, Items: got.Items, Manual: got.Trigger != "", Claimed: true}
	if r.gathers {
		c.Run = got.Run
	}
	r.marks = append(r.marks, c)
	r.claimed += got.Items.Len()
}

// save lets an item save a checkpoint, perhaps too late.
func (r *randomRun) save() {
	r.t.Helper()
	if len(r.marks) == 0 {
		return
	}
	c := r.marks[len(r.marks)-1-r.rand.IntN(min(len(r.marks), 8))]
	items := c.Items.Slice()
	r.requests++
	q := CheckpointRequest{Lease: c.Lease, Job: "j", Fence: c.Fence, Item: items[r.rand.IntN(len(items))], Data: fmt.Appendf(nil, "page %d\x00", r.requests)}
	err := r.SaveCheckpoint(r.t.Context(), q)
	if ok := r.m.live(q.Lease.Instance, q.Lease.Epoch) && r.m.save(q); ok != (err == nil) || err != nil && !errors.Is(err, ErrLeaseLost) {
		r.t.Errorf("SaveCheckpoint(%+v) = %v, want success: %v", q, err, ok)
	}
}

// checkOrphans looks for items that wait for failover and run.
func (r *randomRun) checkOrphans(op string, busy map[int]string) {
	r.t.Helper()
	for item := range r.m.queued {
		if node, ok := busy[item]; ok {
			r.t.Errorf("after %s item %d waits for failover and runs on %s", op, item, node)
		}
	}
}
