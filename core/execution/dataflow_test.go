package execution

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// flowFuncs is a job type whose dataflow is two functions.
type flowFuncs struct {
	fetch   func(ctx context.Context, req spi.FetchDataRequest) (spi.FetchDataResponse, error)
	process func(ctx context.Context, req spi.ProcessDataRequest) error
}

var (
	_ spi.JobType  = flowFuncs{}
	_ spi.Dataflow = flowFuncs{}
)

func (f flowFuncs) Execute(context.Context, spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	panic("a dataflow is not executed")
}

func (f flowFuncs) FetchData(ctx context.Context, req spi.FetchDataRequest) (spi.FetchDataResponse, error) {
	return f.fetch(ctx, req)
}

func (f flowFuncs) ProcessData(ctx context.Context, req spi.ProcessDataRequest) (spi.ProcessDataResponse, error) {
	return spi.ProcessDataResponse{}, f.process(ctx, req)
}

func (f flowFuncs) spec(streaming bool) *Spec {
	return &Spec{JobType: f, Dataflow: f, Values: props.Values{PropStreaming: fmt.Sprint(streaming)}}
}

// pages are batches of data that cursors lead through.
func pages(batches ...string) func(context.Context, spi.FetchDataRequest) (spi.FetchDataResponse, error) {
	return func(_ context.Context, req spi.FetchDataRequest) (spi.FetchDataResponse, error) {
		page := len(req.Cursor)
		if page >= len(batches) {
			return spi.FetchDataResponse{}, nil
		}
		response := spi.FetchDataResponse{Cursor: req.Cursor + "x"}
		for one := range strings.SplitSeq(batches[page], ",") {
			response.Data = append(response.Data, []byte(one))
		}
		return response, nil
	}
}

func TestDataflowFetchesAndProcesses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		batches   []string
		streaming bool
		want      []string
		result    string
	}{
		"once":                  {[]string{"1,2", "3"}, false, []string{"1,2"}, "batches: 1, data: 2"},
		"once, nothing there":   {nil, false, nil, "batches: 0, data: 0"},
		"until nothing is left": {[]string{"1,2", "3", `{"a":4}`}, true, []string{"1,2", "3", `{"a":4}`}, "batches: 3, data: 4"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var got []string
				r := startRig(t)
				r.fire(r.host("orders", 1, flowFuncs{
					fetch: pages(c.batches...),
					process: func(_ context.Context, req spi.ProcessDataRequest) error {
						var batch []string
						for _, one := range req.Data {
							batch = append(batch, string(one))
						}
						got = append(got, strings.Join(batch, ","))
						return nil
					},
				}.spec(c.streaming)))
				synctest.Wait()
				r.stop(t)
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("processed (-want +got):\n%s", diff)
				}
				if ends := r.ends(); len(ends) != 1 || ends[0].Outcome != OutcomeSuccess || ends[0].Result != c.result {
					t.Errorf("ends = %+v, want one success with %q", ends, c.result)
				}
			})
		})
	}
}

func TestDataflowFailsWithEitherStep(t *testing.T) {
	t.Parallel()
	process := func(context.Context, spi.ProcessDataRequest) error { return nil }
	denied := spi.NewError(spi.CodeDenied, "no grant")
	huge := make([]byte, maxBatchData/2+1)
	cases := map[string]struct {
		flow flowFuncs
		code spi.Code
		want string
	}{
		"fetch": {flowFuncs{func(context.Context, spi.FetchDataRequest) (spi.FetchDataResponse, error) {
			return spi.FetchDataResponse{}, denied
		}, process}, spi.CodeDenied, "fetching batch 1: no grant"},
		"process": {flowFuncs{pages("1", "2"), func(_ context.Context, req spi.ProcessDataRequest) error {
			if string(req.Data[0]) == "2" {
				return errors.New("bad datum")
			}
			return nil
		}}, spi.CodeFailed, "processing batch 2: bad datum"},
		"fetch panics": {flowFuncs{func(context.Context, spi.FetchDataRequest) (spi.FetchDataResponse, error) { panic("oh") }, process}, spi.CodeFailed, "panic: oh"},
		"process ends its goroutine": {flowFuncs{pages("1"), func(context.Context, spi.ProcessDataRequest) error {
			runtime.Goexit()
			return nil
		}}, spi.CodeFailed, "the code ended its goroutine"},
		"too much data": {flowFuncs{func(context.Context, spi.FetchDataRequest) (spi.FetchDataResponse, error) {
			return spi.FetchDataResponse{Data: [][]byte{huge, huge}}, nil
		}, process}, spi.CodeTooLarge, "fetching batch 1: its data has 16777218 bytes, more than 16777216"},
		"no checkpoint in a fetch": {flowFuncs{func(ctx context.Context, req spi.FetchDataRequest) (spi.FetchDataResponse, error) {
			if got := ask(ctx, req.Services, spi.OpProgressReport, `{}`); got != `{}` {
				return spi.FetchDataResponse{}, errors.New(got)
			}
			_, err := req.Services.Call(ctx, spi.OpCheckpointSave, []byte(`{"data":""}`))
			return spi.FetchDataResponse{}, err
		}, process}, spi.CodeUnsupported, "fetching batch 1: operation checkpoint.save is not offered to fetch_data"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := startRig(t)
				r.fire(r.host("orders", 1, c.flow.spec(true)))
				synctest.Wait()
				r.stop(t)
				ends := r.ends()
				if len(ends) != 1 || ends[0].Outcome != OutcomeFailure || ends[0].Error.Code != c.code || ends[0].Error.Message != c.want {
					t.Fatalf("ends = %+v, want one failure of code %v: %s", ends, c.code, c.want)
				}
			})
		})
	}
}

func TestAStreamEndsBetweenBatches(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		happen  func(t *testing.T, r *rig, j *Job)
		outcome Outcome
		code    spi.Code
		result  string
	}{
		"disabled": {func(_ *testing.T, r *rig, j *Job) { a := r.owned(1); a.Disabled = true; j.Adopt(a) }, OutcomeSuccess, 0, "batches: 4, data: 4, more may be left: disabled"},
		"moved":    {func(_ *testing.T, r *rig, j *Job) { a := r.owned(0); a.Generation = 2; j.Adopt(a) }, OutcomeSuccess, 0, "batches: 4, data: 4, more may be left: reshard"},
		"reloaded": {func(_ *testing.T, r *rig, j *Job) {
			j.Replace(copyOf(j.Spec()))
			j.Adopt(r.owned(1))
		}, OutcomeSuccess, 0, "batches: 4, data: 4, more may be left: reloaded"},
		"drain":      {func(_ *testing.T, r *rig, _ *Job) { r.HandOver() }, OutcomeSuccess, 0, "batches: 4, data: 4, more may be left: stopping"},
		"stop":       {func(t *testing.T, r *rig, _ *Job) { r.stop(t) }, OutcomeSuccess, 0, "batches: 4, data: 4, more may be left: stopping"},
		"lease lost": {func(_ *testing.T, r *rig, _ *Job) { r.Partition(0).Detach(rigLease()) }, OutcomeCancelled, spi.CodeLeaseLost, ""},
		"timeout":    {func(*testing.T, *rig, *Job) { time.Sleep(time.Minute) }, OutcomeFailure, spi.CodeTimeout, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := startRig(t)
				j := r.host("orders", 1, flowFuncs{
					func(context.Context, spi.FetchDataRequest) (spi.FetchDataResponse, error) {
						return spi.FetchDataResponse{Data: [][]byte{[]byte("1")}}, nil
					},
					func(context.Context, spi.ProcessDataRequest) error { time.Sleep(time.Second); return nil },
				}.spec(true))
				// It covers the item, not the batch.
				j.spec.Config.Timeout = 10 * time.Second
				r.fire(j)
				time.Sleep(3500 * time.Millisecond)
				c.happen(t, r, j)
				synctest.Wait()
				time.Sleep(time.Second)
				r.stop(t)
				ends := r.ends()
				if len(ends) != 1 || ends[0].Outcome != c.outcome || ends[0].Result != c.result {
					t.Fatalf("ends = %+v, want %s with %q", ends, c.outcome, c.result)
				}
				if e := ends[0].Error; e != nil && e.Code != c.code {
					t.Errorf("code = %v, want %v", e.Code, c.code)
				}
			})
		})
	}
}

// copyOf is another spec of the same content.
func copyOf(s *Spec) *Spec {
	return &Spec{Config: s.Config, Schedule: s.Schedule, JobType: s.JobType, Dataflow: s.Dataflow, Values: s.Values, Pool: s.Pool}
}

// TestAReloadedStreamIsCaughtUp replaces the spec of a stream that has missed a
// fire. Its item ends no sooner than the next run can begin.
func TestAReloadedStreamIsCaughtUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		j := r.host("orders", 1, flowFuncs{
			func(ctx context.Context, req spi.FetchDataRequest) (spi.FetchDataResponse, error) {
				if got := ask(ctx, req.Services, spi.OpShouldStop, `{}`); got != `{"stop":false,"reason":""}` {
					t.Errorf("should_stop = %s, want no", got)
				}
				return spi.FetchDataResponse{Data: [][]byte{[]byte("1")}}, nil
			},
			func(context.Context, spi.ProcessDataRequest) error { time.Sleep(time.Second); return nil },
		}.spec(true))
		r.fire(j)
		time.Sleep(500 * time.Millisecond)
		r.fire(j)
		former, next := j.Spec(), copyOf(j.Spec())
		j.Replace(next)
		time.Sleep(3 * time.Second)
		if ends := r.ends(); len(ends) != 0 {
			t.Errorf("ends = %+v before the assignment is adopted, want none", ends)
		}
		j.Adopt(r.owned(1))
		if err := former.WaitUnused(t.Context()); err != nil {
			t.Errorf("WaitUnused() = %v, want nil", err)
		}
		want := "batches: 4, data: 4, more may be left: reloaded"
		if ends := r.ends(); len(ends) != 1 || ends[0].Result != want {
			t.Errorf("ends = %+v, want one with %q", ends, want)
		}
		if got := j.busyItems(); got != 1 {
			t.Errorf("%d items are busy after the reload, want 1 that is caught up", got)
		}
		time.Sleep(2500 * time.Millisecond)
		r.stop(t)
		want = "batches: 3, data: 3, more may be left: stopping"
		if ends := r.ends(); len(ends) != 2 || ends[1].Source != spi.SourceMisfire || ends[1].Result != want {
			t.Errorf("ends = %+v, want a catch-up with %q", ends, want)
		}
	})
}

// TestCursorsBelongToTheirItem lets the items of a run stream at once.
func TestCursorsBelongToTheirItem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const items, batches = 5, 20
		seen := make([][]string, items)
		r := startRig(t)
		r.fire(r.host("orders", items, flowFuncs{
			func(_ context.Context, req spi.FetchDataRequest) (spi.FetchDataResponse, error) {
				item := req.Context.ShardingItem
				seen[item] = append(seen[item], req.Cursor)
				time.Sleep(time.Duration(item+1) * time.Millisecond)
				if len(seen[item]) > batches {
					return spi.FetchDataResponse{}, nil
				}
				return spi.FetchDataResponse{Data: [][]byte{[]byte("1")}, Cursor: fmt.Sprintf("%d/%d", item, len(seen[item]))}, nil
			},
			func(context.Context, spi.ProcessDataRequest) error { return nil },
		}.spec(true)))
		time.Sleep(time.Second)
		r.stop(t)
		for item, cursors := range seen {
			want := []string{""}
			for i := 1; i <= batches; i++ {
				want = append(want, fmt.Sprintf("%d/%d", item, i))
			}
			if !slices.Equal(cursors, want) {
				t.Errorf("cursors of item %d = %q, want %q", item, cursors, want)
			}
		}
	})
}

// TestAStreamGoesOnWhereItFailed holds that with streaming.checkpoint a retry
// begins with the cursor behind the last batch that was processed, and without it
// anew.
func TestAStreamGoesOnWhereItFailed(t *testing.T) {
	t.Parallel()
	for keeps, want := range map[bool][]string{
		true:  {"1,2", "3", "4 fails", "4", "5"},
		false: {"1,2", "3", "4 fails", "1,2", "3", "4", "5"},
	} {
		t.Run(fmt.Sprintf("%s %t", PropStreamingCheckpoint, keeps), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var got []string
				failed := false
				r := startRig(t)
				spec := flowFuncs{
					fetch: pages("1,2", "3", "4", "5"),
					process: func(_ context.Context, req spi.ProcessDataRequest) error {
						batch := string(bytes.Join(req.Data, []byte(",")))
						if batch == "4" && !failed {
							failed, got = true, append(got, "4 fails")
							return errors.New("not now")
						}
						got = append(got, batch)
						return nil
					},
				}.spec(true)
				spec.Config = retries(1, time.Second)
				spec.Values[PropStreamingCheckpoint] = fmt.Sprint(keeps)
				r.fire(r.host("orders", 1, spec))
				time.Sleep(time.Minute)
				r.stop(t)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("processed (-want +got):\n%s", diff)
				}
				if ends := r.ends(); len(ends) != 2 || ends[1].Outcome != OutcomeSuccess {
					t.Errorf("ends = %+v, want a failure and a success", ends)
				}
			})
		})
	}
}

// TestACursorThatCannotBeKeptFailsItsItem holds the bound of checkpoints.
func TestACursorThatCannotBeKeptFailsItsItem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		spec := flowFuncs{
			fetch: func(context.Context, spi.FetchDataRequest) (spi.FetchDataResponse, error) {
				return spi.FetchDataResponse{Data: [][]byte{[]byte("1")}, Cursor: strings.Repeat("x", 64<<10+1)}, nil
			},
			process: func(context.Context, spi.ProcessDataRequest) error { return nil },
		}.spec(true)
		spec.Values[PropStreamingCheckpoint] = "true"
		r.fire(r.host("orders", 1, spec))
		synctest.Wait()
		r.stop(t)
		if ends := r.ends(); len(ends) != 1 || ends[0].Error == nil || ends[0].Error.Code != spi.CodeTooLarge {
			t.Errorf("ends = %+v, want one failure with %s", ends, spi.CodeTooLarge)
		}
	})
}
