package registry

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-cmp/cmp"
)

// trigger asks for a manual run of some items, or repeats an earlier request.
func (r *randomRun) trigger() {
	r.t.Helper()
	r.requests++
	t := TriggerRequest{
		Job: "j", ID: fmt.Sprintf("00000000-0000-7000-8000-%012d", r.requests), Mode: []TriggerMode{TriggerQueue, TriggerRefuse}[r.rand.IntN(2)], By: "test",
	}
	switch r.rand.IntN(6) {
	case 0, 3, 4:
		n := max(r.total(), 1)
		t.Items = NewItems(r.rand.IntN(n+r.rand.IntN(8)/7), r.rand.IntN(n))
	case 1:
		t.Instance = r.node()
	case 2:
		t.Parameter = new(strings.Repeat("a|\n@;", r.rand.IntN(3)))
	}
	r.triggers = append(r.triggers, t)
	if r.rand.IntN(4) == 0 {
		t = r.triggers[r.rand.IntN(len(r.triggers))]
	}
	got, err := r.Trigger(r.t.Context(), t)
	want, wantErr := r.m.trigger(t)
	if !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
		r.t.Errorf("Trigger(%+v) = %v, want %v", t, err, wantErr)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("Trigger(%+v) (-want +got):\n%s", t, diff)
	}
}

func (r *randomRun) beginOneOff() {
	r.t.Helper()
	r.requests++
	q := BeginRequest{Kind: KindOneOff, Request: fmt.Sprintf("o%d", r.requests)}
	if r.rand.IntN(4) == 0 {
		q.Busy = NewItems(r.rand.IntN(r.m.n))
	}
	r.begin(q)
}

// returned forgets that items of a manual run have run: they are given back before
// they do. What has ended already is not given back.
func (r *randomRun) returned(q CompleteRequest) {
	node := q.Lease.Instance
	if !r.m.live(node, q.Lease.Epoch) {
		return
	}
	for _, k := range r.m.marks[node] {
		if k.fence != q.Fence || k.epoch != q.Lease.Epoch {
			continue
		}
		for item := range q.Items.All() {
			if k.items[item] {
				delete(r.ran, r.runs(q.Lease, item, k.trigger, r.m.triggers[k.trigger].at))
			}
		}
	}
}

// runs names what may run once: an item at an instant or for a trigger; of a job that
// broadcasts, a session.
func (r *randomRun) runs(l Lease, item int, trigger string, at int64) string {
	if r.how == HowBroadcast {
		return fmt.Sprintf("%s|%d@%d%s", l.Instance, l.Epoch, at, trigger)
	}
	return fmt.Sprintf("%d@%d%s", item, at, trigger)
}
