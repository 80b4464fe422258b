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
		t.Items = NewItems(r.rand.IntN(r.m.n+r.rand.IntN(8)/7), r.rand.IntN(r.m.n))
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
// they do.
func (r *randomRun) returned(q CompleteRequest) {
	for item := range q.Items.All() {
		for key, fence := range r.ran {
			if fence == q.Fence && strings.HasPrefix(key, fmt.Sprintf("%d@", item)) && strings.Contains(key, "-") {
				delete(r.ran, key)
			}
		}
	}
}
