package host

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// TestUpdateJobComparesVersions tries each way to be refused.
func TestUpdateJobComparesVersions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(10*time.Second, 2, true)
		w := &onlooker{running: map[string]int{}, most: map[string]int{}}
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: w.plugins()})
		n := f.join()
		info, err := n.Job(t.Context(), c.Name)
		if err != nil {
			t.Fatal(err)
		}
		with := func(change func(c *job.Config)) job.Config {
			c := info.Config
			change(&c)
			return c
		}
		second := with(func(c *job.Config) { c.Description = "second" })
		for name, refused := range map[string]struct {
			config  job.Config
			version int64
			want    error
		}{
			"another version": {second, info.Version - 1, ErrConflict},
			"it is there":     {second, 0, ErrConflict},
			"unknown":         {with(func(c *job.Config) { c.Name = "nobody" }), 5, registry.ErrUnknownJob},
		} {
			if _, err := n.UpdateJob(t.Context(), refused.config, refused.version); !errors.Is(err, refused.want) {
				t.Errorf("UpdateJob(%s) = %v, want %v", name, err, refused.want)
			}
		}
		for want, config := range map[string]job.Config{
			"shardingTotalCount must be at most 10000":              with(func(c *job.Config) { c.ShardingTotalCount = 20_000 }),
			`property "colour"`:                                     with(func(c *job.Config) { c.Props = map[string]string{"colour": "red"} }),
			"its elasticJobType is PROBE and cannot become FAKE":    with(func(c *job.Config) { c.Type = "FAKE" }),
			"jobErrorHandlerType must have at least 1 elements":     with(func(c *job.Config) { c.ErrorHandlerTypes = nil }),
			"cannot be given together with every":                   with(func(c *job.Config) { c.At = time.Unix(1e9, 0) }),
			"concurrencyPolicy must be SKIP or CANCEL_RUNNING, not": with(func(c *job.Config) { c.ConcurrencyPolicy = "KILL" }),
		} {
			if _, err := n.UpdateJob(t.Context(), config, info.Version); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("UpdateJob() = %v, want an error with %q", err, want)
			}
		}
		version, err := n.UpdateJob(t.Context(), second, info.Version)
		if err != nil || version <= info.Version {
			t.Errorf("UpdateJob() = %d, %v, want a version above %d", version, err, info.Version)
		}
		if again, err := n.UpdateJob(t.Context(), second, version); err != nil || again != version {
			t.Errorf("UpdateJob() of the same = %d, %v, want %d as it is", again, err, version)
		}
		fresh := with(func(c *job.Config) { c.Name, c.Every, c.Cron = "fresh", 0, "0/10 * * * * ?" })
		if _, err := n.UpdateJob(t.Context(), fresh, 0); err != nil {
			t.Errorf("UpdateJob() of a new job = %v, want nil", err)
		}
		// A type that this node does not have may be another node's.
		foreign := with(func(c *job.Config) { c.Name, c.Type = "foreign", "SPARK" })
		if _, err := n.UpdateJob(t.Context(), foreign, 0); err != nil {
			t.Errorf("UpdateJob() of a job of others = %v, want nil", err)
		}
		time.Sleep(30 * time.Second)
		if got, err := n.Job(t.Context(), "fresh"); err != nil || got.Config.TimeZone != "UTC" || got.Status != JobOK {
			t.Errorf("Job(fresh) = %+v, %v, want it hosted, in the zone of the node", got, err)
		}
		if err := n.RemoveJob(t.Context(), "fresh"); err != nil {
			t.Errorf("RemoveJob() = %v, want nil", err)
		}
		synctest.Wait()
		if n.executor.Job("fresh") != nil {
			t.Error("the removed job is hosted, want it gone")
		}
		if err := n.RemoveJob(t.Context(), "fresh"); !errors.Is(err, registry.ErrUnknownJob) {
			t.Errorf("RemoveJob() of a job that is gone = %v, want %v", err, registry.ErrUnknownJob)
		}
		f.leaveAll()
		if _, err := n.UpdateJob(t.Context(), second, version); err == nil {
			t.Error("UpdateJob() of a stopped node = nil, want an error")
		}
	})
}

// TestAConstructorThatHangsHoldsUpItsUpdateOnly ends the update with its context.
func TestAConstructorThatHangsHoldsUpItsUpdateOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := fleetJob(10*time.Second, 1, true)
		release := make(chan struct{})
		hang := jobTypeOf("HANG", func(context.Context, spi.ExecuteRequest) error { return nil })
		construct := hang.JobType
		hang.JobType = func(ctx context.Context, values props.Values) (spi.JobType, error) {
			<-release
			return construct(ctx, values)
		}
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{probe(quick), hang}})
		n := f.join()
		hanging := job.Defaults("hanging")
		hanging.Type, hanging.Every, hanging.ShardingTotalCount = "HANG", time.Minute, 1
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.UpdateJob(ctx, hanging, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("UpdateJob() = %v, want %v", err, context.DeadlineExceeded)
		}
		if _, err := n.Job(t.Context(), "hanging"); !errors.Is(err, registry.ErrUnknownJob) {
			t.Errorf("Job() = %v, want %v: nothing was stored", err, registry.ErrUnknownJob)
		}
		close(release)
		f.leaveAll()
	})
}

// TestStreamingIsChangedForTheNextRun regards what ElasticJob misses: the property
// that makes a dataflow go on counts from the next run on.
func TestStreamingIsChangedForTheNextRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := flowJob("false")
		f := newFleet(t, setup{jobs: []job.Config{c}, plugins: []spi.Plugin{flow(threeBatches{})}})
		n := f.join()
		sleepUntil(nextMultiple(time.Minute).Add(time.Second))
		info, err := n.Job(t.Context(), c.Name)
		if err != nil {
			t.Fatal(err)
		}
		changed := info.Config
		changed.Props = map[string]string{execution.PropStreaming: "true"}
		if _, err := n.UpdateJob(t.Context(), changed, info.Version); err != nil {
			t.Fatalf("UpdateJob() = %v, want nil", err)
		}
		sleepUntil(nextMultiple(time.Minute).Add(time.Second))
		want := []string{"batches: 1, data: 1", "batches: 1, data: 1", "batches: 3, data: 3", "batches: 3, data: 3"}
		synctest.Wait()
		var got []string
		for _, e := range n.finished {
			got = append(got, e.Result)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("results differ (-want +got):\n%s", diff)
		}
		f.leaveAll()
	})
}

// threeBatches is a dataflow of three data.
type threeBatches struct{}

func (threeBatches) Execute(context.Context, spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	panic("a dataflow is not executed")
}

func (threeBatches) FetchData(_ context.Context, req spi.FetchDataRequest) (spi.FetchDataResponse, error) {
	if len(req.Cursor) == 3 {
		return spi.FetchDataResponse{}, nil
	}
	return spi.FetchDataResponse{Data: [][]byte{[]byte("1")}, Cursor: req.Cursor + "x"}, nil
}

func (threeBatches) ProcessData(context.Context, spi.ProcessDataRequest) (spi.ProcessDataResponse, error) {
	return spi.ProcessDataResponse{}, nil
}

var _ spi.Dataflow = threeBatches{}
