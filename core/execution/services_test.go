package execution

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
)

// doorFunc is a door that is a function.
type doorFunc func(ctx context.Context, op string, request []byte) ([]byte, error)

func (f doorFunc) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	return f(ctx, op, request)
}

// echo is a door that answers with what it was asked.
func echo(name string) hostcall.Caller {
	return doorFunc(func(_ context.Context, op string, request []byte) ([]byte, error) {
		return fmt.Appendf(nil, "%s %s %s", name, op, request), nil
	})
}

// ask calls a service and returns its answer or the code of its error.
func ask(ctx context.Context, s spi.Services, op, request string) string {
	response, err := s.Call(ctx, op, []byte(request))
	if err != nil {
		return spi.AsError(err).Code.String()
	}
	return string(response)
}

func TestShouldStopSaysWhy(t *testing.T) {
	t.Parallel()
	none := registry.Items{}
	cases := map[string]struct {
		happen func(r *rig, j *Job)
		want   string
	}{
		"nothing":          {func(*rig, *Job) {}, ""},
		"job disabled":     {func(r *rig, j *Job) { a := r.owned(2); a.Disabled = true; j.Adopt(a) }, "disabled"},
		"item disabled":    {func(r *rig, j *Job) { a := r.owned(2); a.DisabledItems = registry.NewItems(1); j.Adopt(a) }, "disabled"},
		"another disabled": {func(r *rig, j *Job) { a := r.owned(2); a.DisabledItems = registry.NewItems(0); j.Adopt(a) }, ""},
		"item moved":       {func(r *rig, j *Job) { a := r.owned(1); a.Generation = 2; j.Adopt(a) }, "reshard"},
		"nobody may run it": {func(r *rig, j *Job) {
			j.Adopt(registry.Assignment{Generation: 2, Items: none, Unowned: registry.AllItems(2)})
		}, "disabled"},
		"job removed":   {func(r *rig, j *Job) { r.Remove(j.Name()) }, "disabled"},
		"node drains":   {func(r *rig, _ *Job) { r.HandOver() }, "stopping"},
		"lease lost":    {func(r *rig, _ *Job) { r.Partition(0).Detach(rigLease()) }, "lease-lost"},
		"timeout is up": {func(*rig, *Job) { time.Sleep(2 * rigTimeout) }, "timeout"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var got, first string
				r := startRig(t)
				goOn := make(chan struct{})
				j := r.host("orders", 2, &Spec{JobType: code(func(ctx context.Context, req spi.ExecuteRequest) error {
					if req.Context.ShardingItem != 1 {
						return nil
					}
					first = ask(ctx, req.Services, spi.OpShouldStop, `{}`)
					<-goOn
					got = ask(ctx, req.Services, spi.OpShouldStop, `{}`)
					return nil
				})})
				j.spec.Config.Timeout = rigTimeout
				r.fire(j)
				synctest.Wait()
				c.happen(r, j)
				close(goOn)
				synctest.Wait()
				r.stop(t)
				if want := `{"stop":false,"reason":""}`; first != want {
					t.Errorf("should_stop at the start = %s, want %s", first, want)
				}
				if want := fmt.Sprintf(`{"stop":%v,"reason":%q}`, c.want != "", c.want); got != want {
					t.Errorf("should_stop = %s, want %s", got, want)
				}
			})
		})
	}
}

// rigTimeout bounds items where a test wants that.
const rigTimeout = 5 * time.Second

func TestARunningItemsProgressAndCheckpointAreKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		goOn := make(chan struct{})
		var mu sync.Mutex
		kept := make(map[int]spi.Services)
		j := r.host("orders", 3, &Spec{JobType: code(func(ctx context.Context, req spi.ExecuteRequest) error {
			item := req.Context.ShardingItem
			mu.Lock()
			kept[item] = req.Services
			mu.Unlock()
			if item == 0 {
				<-goOn
				return nil
			}
			for i := range item + 1 {
				report := fmt.Sprintf(`{"done":%d,"total":9,"message":"batch %d","later":[1]}`, i, i)
				if got := ask(ctx, req.Services, spi.OpProgressReport, report); got != `{}` {
					t.Errorf("progress.report of item %d = %s, want {}", item, got)
				}
				save := fmt.Sprintf(`{"data":%q}`, base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%d/%d", item, i)))
				if got := ask(ctx, req.Services, spi.OpCheckpointSave, save); got != `{}` {
					t.Errorf("checkpoint.save of item %d = %s, want {}", item, got)
				}
			}
			<-goOn
			return nil
		})})
		at := r.fire(j)
		synctest.Wait()
		run := registry.FormatRunID(at)
		want := map[int]RunningItem{
			0: {Run: run},
			1: {Run: run, Progress: Progress{Done: 1, Total: 9, Message: "batch 1"}, Checkpoint: []byte("1/1")},
			2: {Run: run, Progress: Progress{Done: 2, Total: 9, Message: "batch 2"}, Checkpoint: []byte("2/2")},
		}
		if diff := cmp.Diff(want, maps.Collect(j.Running())); diff != "" {
			t.Errorf("Running() (-want +got):\n%s", diff)
		}
		first := maps.Clone(kept)
		// Whoever keeps its services beyond its call does not speak for the item.
		checkMute := func(when string) {
			t.Helper()
			for item, s := range first {
				if got := ask(t.Context(), s, spi.OpProgressReport, `{"done":77}`); got != "CANCELLED" {
					t.Errorf("progress.report of item %d %s = %s, want CANCELLED", item, when, got)
				}
			}
		}
		goOn <- struct{}{}
		goOn <- struct{}{}
		goOn <- struct{}{}
		synctest.Wait()
		checkMute("after its end")
		time.Sleep(time.Second)
		r.fire(j)
		synctest.Wait()
		checkMute("in its next run")
		close(goOn)
		synctest.Wait()
		if diff := cmp.Diff(map[int]RunningItem{}, maps.Collect(j.Running())); diff != "" {
			t.Errorf("Running() after the end (-want +got):\n%s", diff)
		}
		if len(j.kept) != 0 {
			t.Errorf("%d items that ended have something kept, want none", len(j.kept))
		}
		r.stop(t)
	})
}

func TestWhatAnItemLeavesIsChecked(t *testing.T) {
	t.Parallel()
	data := func(size int) string {
		return fmt.Sprintf(`{"data":%q}`, base64.StdEncoding.EncodeToString(make([]byte, size)))
	}
	cases := []struct{ name, op, request, want string }{
		{"progress", spi.OpProgressReport, `{"done":9007199254740991,"total":0,"message":""}`, `{}`},
		{"progress of nothing", spi.OpProgressReport, `{}`, `{}`},
		{"progress with the longest message", spi.OpProgressReport, fmt.Sprintf(`{"message":%q}`, strings.Repeat("x", 4096)), `{}`},
		{"progress with a longer message", spi.OpProgressReport, fmt.Sprintf(`{"message":%q}`, strings.Repeat("x", 4097)), "TOO_LARGE"},
		{"negative progress", spi.OpProgressReport, `{"done":-1}`, "PROTOCOL"},
		{"negative total", spi.OpProgressReport, `{"total":-1}`, "PROTOCOL"},
		{"broken progress", spi.OpProgressReport, `{"done":1.5}`, "PROTOCOL"},
		{"progress beyond 64 bits", spi.OpProgressReport, `{"done":9223372036854775808}`, "PROTOCOL"},
		{"no progress", spi.OpProgressReport, ``, "PROTOCOL"},
		{"checkpoint", spi.OpCheckpointSave, data(100), `{}`},
		{"empty checkpoint", spi.OpCheckpointSave, `{"data":""}`, `{}`},
		{"greatest checkpoint", spi.OpCheckpointSave, data(64 << 10), `{}`},
		{"greater checkpoint", spi.OpCheckpointSave, data(64<<10 + 1), "TOO_LARGE"},
		{"checkpoint without data", spi.OpCheckpointSave, `{}`, "PROTOCOL"},
		{"checkpoint that is no base64", spi.OpCheckpointSave, `{"data":"%"}`, "PROTOCOL"},
		{"operation for the door", spi.OpSecretGet, `{"name":"x"}`, `job type secret.get {"name":"x"}`},
		{"operation that nobody knows", "self.destruct", `{}`, `job type self.destruct {}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := startRig(t)
				got := ""
				r.fire(r.host("orders", 1, &Spec{Door: echo("job type"), JobType: code(func(ctx context.Context, req spi.ExecuteRequest) error {
					got = ask(ctx, req.Services, c.op, c.request)
					return nil
				})}))
				synctest.Wait()
				r.stop(t)
				if got != c.want {
					t.Errorf("Call(%s, %.60s) = %s, want %s", c.op, c.request, got, c.want)
				}
			})
		})
	}
}

func TestHandlersHearThatTheNodeStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		got := ""
		r := startRig(t)
		r.fire(r.host("orders", 1, &Spec{
			JobType: code(func(context.Context, spi.ExecuteRequest) error { return errors.New("no") }),
			Handlers: []*Handler{{Type: "H", Handler: spi.ErrorHandlerFunc(func(ctx context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
				<-goOn
				got = ask(ctx, req.Services, spi.OpShouldStop, `{}`)
				return spi.HandleErrorResponse{}, nil
			})}},
		}))
		synctest.Wait()
		r.HandOver()
		close(goOn)
		synctest.Wait()
		if want := `{"stop":true,"reason":"stopping"}`; got != want {
			t.Errorf("should_stop = %s, want %s", got, want)
		}
		r.stop(t)
	})
}

func TestALostLeaseKeepsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t)
		got := ""
		goOn := make(chan struct{})
		j := r.host("orders", 1, &Spec{JobType: code(func(ctx context.Context, req spi.ExecuteRequest) error {
			<-goOn
			got = ask(ctx, req.Services, spi.OpCheckpointSave, `{"data":"AA=="}`)
			return nil
		})})
		r.fire(j)
		synctest.Wait()
		r.Partition(0).Detach(rigLease())
		close(goOn)
		r.stop(t)
		if got != "LEASE_LOST" {
			t.Errorf("checkpoint.save without a lease = %s, want LEASE_LOST", got)
		}
	})
}

// TestDoorsBelongToTheirPlugins has the job type, two handlers and two listeners
// of one job ask for the same.
func TestDoorsBelongToTheirPlugins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		got := make(map[string][]string)
		try := func(ctx context.Context, who string, s spi.Services) {
			for _, op := range []string{spi.OpSecretGet, spi.OpShouldStop, spi.OpProgressReport, spi.OpCheckpointSave} {
				answer := ask(ctx, s, op, `{"data":"AA=="}`)
				mu.Lock()
				got[who] = append(got[who], answer)
				mu.Unlock()
			}
		}
		handler := func(name string, door hostcall.Caller) *Handler {
			return &Handler{Type: name, Door: door, Handler: spi.ErrorHandlerFunc(func(ctx context.Context, req spi.HandleErrorRequest) (spi.HandleErrorResponse, error) {
				try(ctx, name, req.Services)
				return spi.HandleErrorResponse{}, nil
			})}
		}
		listener := func(name string, door hostcall.Caller) *Listener {
			return &Listener{Type: name, Door: door, Listener: listenerFuncs{before: func(ctx context.Context, req spi.JobListenerRequest) error {
				try(ctx, name, req.Services)
				return nil
			}}}
		}
		r := startRig(t)
		r.fire(r.host("orders", 1, &Spec{
			Door:      echo("job type"),
			Handlers:  []*Handler{handler("H1", echo("handler")), handler("H2", nil)},
			Listeners: []*Listener{listener("L1", echo("listener")), listener("L2", nil)},
			JobType: code(func(ctx context.Context, req spi.ExecuteRequest) error {
				try(ctx, "PROBE", req.Services)
				return errors.New("no")
			}),
		}))
		synctest.Wait()
		r.stop(t)
		goOn := `{"stop":false,"reason":""}`
		want := map[string][]string{
			"PROBE": {`job type secret.get {"data":"AA=="}`, goOn, `{}`, `{}`},
			"H1":    {`handler secret.get {"data":"AA=="}`, goOn, "UNSUPPORTED", "UNSUPPORTED"},
			"H2":    {"UNSUPPORTED", goOn, "UNSUPPORTED", "UNSUPPORTED"},
			"L1":    {`listener secret.get {"data":"AA=="}`, goOn, "UNSUPPORTED", "UNSUPPORTED"},
			"L2":    {"UNSUPPORTED", goOn, "UNSUPPORTED", "UNSUPPORTED"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
	})
}

// FuzzWhatAnItemLeaves hands the engine's own operations whatever a plugin may
// send. What is kept is within its bounds.
func FuzzWhatAnItemLeaves(f *testing.F) {
	for _, seed := range []string{
		`{"done":1,"total":2,"message":"x"}`, `{"done":-1}`, `{"done":1e3}`, `{"DONE":1,"done":2}`, `{"message":"\ud800"}`, `null`, `[]`, ``,
		`{"data":"AAEC"}`, `{"data":""}`, `{"data":null}`, `{"data":"A"}`, `{"data":[1,2]}`, "{\"data\":\"AA\\n==\"}",
	} {
		f.Add([]byte(seed))
	}
	r := newRig(f, slog.New(slog.DiscardHandler))
	j := r.host("orders", 1, &Spec{})
	f.Fuzz(func(t *testing.T, request []byte) {
		running := newRun(j, r.Partition(0).session.Load(), j.spec, time.Now(), spi.SourceNormal, 1, registry.AllItems(1), false)
		j.occupy(0, running)
		defer j.release(0)
		_, progress := running.services.Call(t.Context(), spi.OpProgressReport, request)
		_, checkpoint := running.services.Call(t.Context(), spi.OpCheckpointSave, request)
		left := maps.Collect(j.Running())[0]
		for _, err := range []error{progress, checkpoint} {
			if err == nil {
				continue
			}
			if c := spi.AsError(err).Code; c != spi.CodeProtocol && c != spi.CodeTooLarge {
				t.Errorf("Call(%q) = %v of code %v, want PROTOCOL or TOO_LARGE", request, err, c)
			}
		}
		if p := left.Progress; p.Done < 0 || p.Total < 0 || len(p.Message) > 4<<10 || len(left.Checkpoint) > 64<<10 {
			t.Errorf("Call(%q) kept %+v, beyond its bounds", request, left)
		}
		if progress != nil && left.Progress != (Progress{}) || checkpoint != nil && left.Checkpoint != nil {
			t.Errorf("Call(%q) kept what it refused: %+v", request, left)
		}
		if checkpoint == nil {
			// Names of members are as they are written.
			var again map[string]json.RawMessage
			var data []byte
			if err := errors.Join(json.Unmarshal(request, &again), json.Unmarshal(again["data"], &data)); err != nil || !bytes.Equal(data, left.Checkpoint) {
				t.Errorf("Call(%q) kept %q", request, left.Checkpoint)
			}
		}
	})
}
