package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/elasticjob-go/elasticjob/runtime/wasm"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

const (
	// calls is how many calls of a module are timed, after warmUp that are not.
	calls  = 2000
	warmUp = 50
	// loads is how many times a module is loaded each way.
	loads = 5
	// kills is how many runaway calls are interrupted, each after killAfter.
	kills     = 30
	killAfter = 50 * time.Millisecond
)

// guest is a module that is called.
type guest struct {
	row  string
	path string
	// brings says that the module describes its own job type.
	brings bool
}

// measureModules measures calls and loads of WASM modules: a small one in C and
// one made with the Go sdk.
func measureModules(ctx context.Context, s *settings) (results []result, err error) {
	dir, err := os.MkdirTemp("", "elasticjob-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	guests, err := makeGuests(ctx, s, dir)
	if err != nil {
		return nil, err
	}
	if err := s.hot(); err != nil {
		return nil, err
	}
	var loading []result
	for _, g := range guests {
		calling, err := measureCalls(ctx, g)
		if err != nil {
			return nil, fmt.Errorf("calling %s: %w", g.row, err)
		}
		results = append(results, calling...)
		loaded, err := measureLoads(ctx, g, dir)
		if err != nil {
			return nil, fmt.Errorf("loading %s: %w", g.row, err)
		}
		loading = append(loading, loaded)
	}
	results = append(results, loading...)
	killed, err := measureKills(ctx, guests[0])
	if err != nil {
		return nil, err
	}
	return append(results, killed), nil
}

// buildGuest builds a guest of the repository with the Go of this machine.
func buildGuest(ctx context.Context, repo, pkg, out string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-buildmode=c-shared", "-o", out, pkg)
	cmd.Dir = repo
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, text)
	}
	return nil
}

// open loads the guest and returns its job type and what unloads it.
func (g guest) open(ctx context.Context, h *wasm.Host, isolation spi.Isolation) (spi.JobType, func() error, error) {
	req := spi.LoadRequest{Path: g.path, Isolation: isolation}
	if !g.brings {
		plugin := h.JobType(func(string) spi.LoadRequest { return req })
		j, err := plugin.JobType(ctx, props.Values{wasm.PropModule: g.path})
		if err != nil {
			return nil, nil, err
		}
		unload := func() error {
			if closer, ok := j.(spi.Closer); ok {
				return closer.Close(ctx)
			}
			return nil
		}
		return j, unload, nil
	}
	bundle, err := h.Load(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	unload := func() error { return bundle.Close(ctx) }
	if len(bundle.Plugins) != 1 {
		return nil, nil, errors.Join(fmt.Errorf("%s brings %d plugins, want 1", g.path, len(bundle.Plugins)), unload())
	}
	j, err := bundle.Plugins[0].JobType(ctx, props.Values{})
	if err != nil {
		return nil, nil, errors.Join(err, unload())
	}
	return j, unload, nil
}

// request is what a guest is called with; the parameter tells the C guest what
// to do.
func request(parameter string) spi.ExecuteRequest {
	return spi.ExecuteRequest{Services: silent{}, Context: spi.ShardingContext{
		JobName: "bench", TaskID: "bench@-@0@-@READY@-@10.0.0.1@-@1", ShardingTotalCount: 4, JobParameter: parameter,
		ShardingItem: 2, ShardingParameter: "two", RunID: "20260101T000000.000Z",
		FireTime: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), ExecutionSource: spi.SourceNormal, Attempt: 1, FencingToken: 7,
	}}
}

// silent are services that keep nothing.
type silent struct{}

var _ spi.Services = silent{}

func (silent) Log(context.Context, spi.LogRecord) {}

func (silent) Call(_ context.Context, op string, _ []byte) ([]byte, error) {
	return nil, spi.NewError(spi.CodeUnsupported, op+" is not offered")
}

// callTimeout is the deadline of timed calls: as in a node, every call has one.
const callTimeout = 10 * time.Second

func measureCalls(ctx context.Context, g guest) (results []result, err error) {
	h, err := wasm.New(ctx, wasm.Config{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Close(ctx)) }()
	for _, isolation := range []spi.Isolation{spi.IsolationFresh, spi.IsolationPooled} {
		j, unload, err := g.open(ctx, h, isolation)
		if err != nil {
			return nil, err
		}
		took, err := timed(ctx, func(ctx context.Context) error {
			_, err := j.Execute(ctx, request(""))
			return err
		})
		if err := errors.Join(err, unload()); err != nil {
			return nil, err
		}
		results = append(results, callResult(g.row+", "+string(isolation), whoOurs, took))
	}
	if g.brings {
		return results, nil
	}
	bare, err := measureBare(ctx, g)
	return append(results, bare...), err
}

// timed calls f often and returns how long each call took, sorted.
func timed(ctx context.Context, f func(ctx context.Context) error) ([]time.Duration, error) {
	took := newSamples(calls)
	for i := range warmUp + calls {
		bounded, cancel := context.WithTimeout(ctx, callTimeout)
		begin := time.Now()
		err := f(bounded)
		d := time.Since(begin)
		cancel()
		if err != nil {
			return nil, err
		}
		if i >= warmUp {
			took.add(d)
		}
	}
	return took.sorted(), nil
}

func callResult(row, who string, sorted []time.Duration) result {
	return result{Group: "wasm call", Row: row, Who: who, Values: []value{
		known("p50", "µs", micros(quantile(sorted, 0.5))),
		known("p99", "µs", micros(quantile(sorted, 0.99))),
	}}
}

// measureLoads measures loading a module with an empty cache and with one that
// another process could have filled.
func measureLoads(ctx context.Context, g guest, dir string) (result, error) {
	cold, cached := newSamples(loads), newSamples(loads)
	for range loads {
		cache, err := os.MkdirTemp(dir, "cache-")
		if err != nil {
			return result{}, err
		}
		for _, took := range []*samples{cold, cached} {
			d, err := loadOnce(ctx, g, cache)
			if err != nil {
				return result{}, err
			}
			took.add(d)
		}
	}
	info, err := os.Stat(g.path)
	if err != nil {
		return result{}, err
	}
	return result{Group: "wasm load", Row: g.row, Who: whoOurs, Values: []value{
		known("size", "KiB", float64(info.Size())/1024),
		known("cold p50", "ms", millis(quantile(cold.sorted(), 0.5))),
		known("cached p50", "ms", millis(quantile(cached.sorted(), 0.5))),
	}}, nil
}

// loadOnce loads the module on a host that has compiled nothing yet.
func loadOnce(ctx context.Context, g guest, cache string) (took time.Duration, err error) {
	h, err := wasm.New(ctx, wasm.Config{CacheDir: cache})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, h.Close(ctx)) }()
	begin := time.Now()
	_, unload, err := g.open(ctx, h, spi.IsolationFresh)
	took = time.Since(begin)
	if err != nil {
		return 0, err
	}
	return took, unload()
}

// measureKills measures how long after its deadline an endless loop ends.
func measureKills(ctx context.Context, g guest) (killed result, err error) {
	h, err := wasm.New(ctx, wasm.Config{})
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, h.Close(ctx)) }()
	j, unload, err := g.open(ctx, h, spi.IsolationFresh)
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, unload()) }()
	over := newSamples(kills)
	for range kills {
		deadline := time.Now().Add(killAfter)
		bounded, cancel := context.WithDeadlineCause(ctx, deadline, spi.ErrTimeout)
		_, err := j.Execute(bounded, request("loop"))
		over.add(time.Since(deadline))
		cancel()
		if err == nil {
			return result{}, errors.New("an endless loop ended by itself")
		}
	}
	sorted := over.sorted()
	return result{Group: "wasm kill", Row: "endless loop in C", Who: whoOurs, Values: []value{
		known("overshoot p50", "ms", millis(quantile(sorted, 0.5))),
		known("overshoot max", "ms", millis(quantile(sorted, 1))),
	}}, nil
}
