package wasm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// attack is one hostile thing to do; it returns an error when it did not end as
// it should have.
type attack struct {
	name string
	run  func(ctx context.Context) error
	slow bool // it lasts until a time limit, or moves much memory
}

// expect checks how a call of execute ended.
func expect(t *testing.T, j spi.JobType, do string, want spi.Code, message string) func(context.Context) error {
	t.Helper()
	return func(ctx context.Context) error {
		got := execute(ctx, t, j, do)
		if got.code() != want || !strings.Contains(got.message, message) {
			return fmt.Errorf("Execute(%s) = %v, want %q, %v", do, got, message, want)
		}
		return nil
	}
}

// attacks are all hostile guests of this package. Modules that end at their
// time limit have one of 5 ms, and all little memory.
func attacks(t *testing.T) []attack {
	t.Helper()
	data, _ := tree(t)
	terms := func(r *spi.LoadRequest) {
		r.Limits.Memory = 8 << 20
		r.Grants.Dirs = []spi.Dir{{Path: data, Guest: "/data", Writable: true}}
	}
	hasty := func(r *spi.LoadRequest) { terms(r); r.Limits.Timeout = 5 * time.Millisecond }
	var all []attack
	for _, isolation := range []spi.Isolation{spi.IsolationFresh, spi.IsolationPooled} {
		isolated := func(r *spi.LoadRequest) { r.Isolation = isolation }
		j, timed := newJob(t, prebuilt, terms, isolated), newJob(t, prebuilt, hasty, isolated)
		for do, want := range map[string]spi.Code{
			"trap": spi.CodeTrap, "abort": spi.CodeTrap, "exit:0": spi.CodeTrap, "exit:3": spi.CodeTrap, "dive": spi.CodeTrap,
			"return:2": spi.CodeProtocol, "raw:[": spi.CodeProtocol, "bad error": spi.CodeProtocol, "error:6": spi.CodeProtocol, "raw:{'message':1}": spi.CodeProtocol,
			"pointer:input_read": spi.CodeProtocol, "pointer:output_write": spi.CodeProtocol, "pointer:log": spi.CodeProtocol,
			"pointer:host_call.op": spi.CodeProtocol, "pointer:host_call.request": spi.CodeProtocol, "pointer:host_read": spi.CodeProtocol,
			"huge output": spi.CodeLimit, "files:keep all|/data/plain": spi.CodeLimit, "long line": 0, "log": 0,
		} {
			all = append(all, attack{name: do, run: expect(t, j, do, want, "")})
		}
		for do, message := range map[string]string{
			"files:read|/data/out": notPermitted, "files:write|/data/outdir/secret|x": notPermitted, "files:read|/data/../outside/secret": notPermitted,
			"files:keep|/data/plain": "ok", "env:PATH": "not set", "host:http.request": "-3 ",
		} {
			all = append(all, attack{name: do, run: func(ctx context.Context) error {
				got := execute(ctx, t, j, do)
				if do == "files:keep|/data/plain" && got.code() == spi.CodeLimit {
					return nil // a pooled instance has kept enough of them
				}
				if got.err != nil || !strings.Contains(got.message, message) {
					return fmt.Errorf("Execute(%s) = %v, want %q", do, got, message)
				}
				return nil
			}})
		}
		for do, want := range map[string]spi.Code{"bomb": spi.CodeLimit, "careful": 0, "flood": 0} {
			all = append(all, attack{name: do, run: expect(t, j, do, want, ""), slow: true})
		}
		for _, do := range []string{"loop", "fib", "tower", "sleep", "until stop"} {
			all = append(all, attack{name: do, run: expect(t, timed, do, spi.CodeTimeout, ""), slow: true})
		}
		all = append(all, hostileKinds(t, isolation)...)
	}
	recursion := deepRecursion()
	deep := newJob(t, writeFile(t, recursion.bytes()), hasty)
	all = append(all, attack{name: "recursion", slow: true, run: func(ctx context.Context) error {
		// The stack or the time ends first.
		if got := execute(ctx, t, deep, ""); got.code() != spi.CodeTrap && got.code() != spi.CodeTimeout {
			return fmt.Errorf("Execute = %v, want %v or %v", got, spi.CodeTrap, spi.CodeTimeout)
		}
		return nil
	}})
	return append(all, liars(t)...)
}

// hostileKinds are bad calls of every method.
func hostileKinds(t *testing.T, isolation spi.Isolation) []attack {
	t.Helper()
	byType := plugins(t, prebuiltKinds, func(r *spi.LoadRequest) { r.Isolation = isolation })
	var all []attack
	for _, m := range methods() {
		want := map[string]spi.Code{"trap": spi.CodeTrap, "exit:1": spi.CodeTrap, "return:3": spi.CodeProtocol, "huge output": spi.CodeLimit}
		for _, bad := range m.bad {
			want[bad] = spi.CodeProtocol
		}
		for do, code := range want {
			all = append(all, attack{name: m.name + " " + do, run: func(ctx context.Context) error {
				if _, err := m.call(ctx, byType[m.typ], do, &recorder{}); codeOf(err) != code {
					return fmt.Errorf("%s(%s) = %w, want %v", m.name, do, err, code)
				}
				return nil
			}})
		}
	}
	return all
}

// liars are modules whose describe is refused, and modules that do not start.
func liars(t *testing.T) []attack {
	t.Helper()
	one := descriptor()
	trapping := describing("", 0)
	trapping.functions[1].code = []byte{0}
	modules := map[string]assembly{
		"no list":           describing(`{}`, 0),
		"endless plugins":   describing(`{"plugins":[`+strings.Join(slices.Repeat([]string{one}, wire.MaxPlugins+1), ",")+`]}`, 0),
		"a wrong kind":      describing(`{"plugins":[`+descriptor("jobType", "everything")+`]}`, 0),
		"a missing export":  describing(`{"plugins":[`+descriptor("jobType", "tracingSink")+`]}`, 0),
		"a huge text":       describing(`{"plugins":[`+descriptor(`"description":"d"`, `"description":"`+strings.Repeat("d", 1<<20)+`"`)+`]}`, 0),
		"a huge type":       describing(`{"plugins":[`+descriptor(`ORDERS`, strings.Repeat("T", 1<<20))+`]}`, 0),
		"deep nesting":      describing(strings.Repeat("[", 1<<20), 0),
		"a trap":            trapping,
		"an unknown import": {functions: []function{{export: wire.ExportExecute, typ: typeResult, code: constant(0)}}, wasi: []wasiFunction{{name: "no_such"}}},
	}
	var all []attack
	for name, a := range modules {
		path := writeFile(t, a.bytes())
		all = append(all, attack{name: "load " + name, slow: true, run: func(ctx context.Context) error {
			bundle, err := shared.host.Load(ctx, spi.LoadRequest{Path: path})
			if err == nil {
				_ = bundle.Close(ctx)
				return fmt.Errorf("Load(%s) succeeded", name)
			}
			if !strings.HasPrefix(err.Error(), path+": ") {
				return fmt.Errorf("Load(%s) = %w, want the file in front", name, err)
			}
			return nil
		}})
	}
	return all
}

// usage is what this process holds.
type usage struct {
	heap        uint64
	goroutines  int
	descriptors int    // on Linux
	reserved    uint64 // bytes of address space, on Linux
}

func measureUsage() usage {
	for range 3 {
		debug.FreeOSMemory()
	}
	var stats goruntime.MemStats
	goruntime.ReadMemStats(&stats)
	u := usage{heap: stats.HeapAlloc, goroutines: goruntime.NumGoroutine()}
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		u.descriptors = len(entries)
	}
	if sizes, err := os.ReadFile("/proc/self/statm"); err == nil {
		pages, _, _ := strings.Cut(string(sizes), " ")
		n, _ := strconv.ParseUint(pages, 10, 64) // 0 compares like on other systems
		u.reserved = n * uint64(os.Getpagesize())
	}
	return u
}

// exceeds says what there is more of than before, beyond what may vary.
func (u usage) exceeds(before usage) string {
	switch {
	case u.heap > before.heap+(16<<20):
		return fmt.Sprintf("the heap has %d KiB, before %d KiB", u.heap>>10, before.heap>>10)
	case u.goroutines > before.goroutines+8:
		return fmt.Sprintf("%d goroutines, before %d", u.goroutines, before.goroutines)
	case u.descriptors > before.descriptors+32:
		return fmt.Sprintf("%d descriptors, before %d", u.descriptors, before.descriptors)
	case u.reserved > before.reserved+(1<<30):
		return fmt.Sprintf("%d MiB of address space, before %d MiB", u.reserved>>20, before.reserved>>20)
	}
	return ""
}

// TestTenThousandHostileCalls is not parallel: it measures the whole process.
func TestTenThousandHostileCalls(t *testing.T) {
	const calls, workers, slowEvery = 10_000, 8, 20
	all := attacks(t)
	var quick, slow []attack
	for _, a := range all {
		// By all workers at once, which is the state to come back to: the heap of Go
		// keeps the address space of its peak.
		var group sync.WaitGroup
		for range workers {
			group.Go(func() {
				if err := a.run(t.Context()); err != nil {
					t.Errorf("%s: %v", a.name, err)
				}
			})
		}
		group.Wait()
		if a.slow {
			slow = append(slow, a)
		} else {
			quick = append(quick, a)
		}
	}
	good := []spi.JobType{newJob(t, prebuilt), newJob(t, prebuilt, pooledIsolation), goodKind(t)}
	before := measureUsage()
	took := time.Now()
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1))
			for i := range calls / workers {
				from := quick
				if i%slowEvery == 0 {
					from = slow
				}
				a := from[random.IntN(len(from))]
				if err := a.run(t.Context()); err != nil {
					t.Errorf("%s: %v", a.name, err)
				}
				if i%4 == 0 {
					want := fmt.Sprintf("%d-%d", w, i)
					if got := execute(t.Context(), t, good[i/4%len(good)], "say:"+want); got.message != want || got.err != nil {
						t.Errorf("a good call after %s = %q, %v, want %q", a.name, got.message, got.err, want)
					}
				}
			}
		})
	}
	group.Wait()
	t.Logf("%d kinds of attack, %d calls in %v", len(all), calls, time.Since(took).Round(time.Millisecond))
	var more string
	if waitFor(func() bool { more = measureUsage().exceeds(before); return more == "" }) {
		t.Errorf("after %d calls: %s", calls, more)
	}
}

// goodKind is a job type that a module describes.
func goodKind(t *testing.T) spi.JobType {
	t.Helper()
	j, err := plugins(t, prebuiltKinds)["PLAIN"].JobType(t.Context(), props.Values{})
	if err != nil {
		t.Fatal(err)
	}
	return j
}
