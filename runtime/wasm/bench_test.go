package wasm

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

func BenchmarkCall(b *testing.B) {
	for _, c := range []struct{ name, path string }{{"C", prebuilt}, {"Go", goReactor(b)}} {
		for _, isolation := range []spi.Isolation{spi.IsolationFresh, spi.IsolationPooled} {
			b.Run(c.name+"/"+string(isolation), func(b *testing.B) {
				bundle, err := shared.host.Load(b.Context(), spi.LoadRequest{Path: c.path, Isolation: isolation})
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = bundle.Close(context.Background()) }()
				var j spi.JobType
				if len(bundle.Plugins) > 0 {
					j, err = bundle.Plugins[0].JobType(b.Context(), props.Values{})
					if err != nil {
						b.Fatal(err)
					}
				} else {
					j = newJob(b, c.path, func(r *spi.LoadRequest) { r.Isolation = isolation })
				}
				measure(b, func() {
					if got := execute(b.Context(), b, j, "count"); got.err != nil {
						b.Fatal(got.err)
					}
				})
			})
		}
	}
	b.Run("Go command", func(b *testing.B) {
		j := newJob(b, goCommand(b))
		measure(b, func() {
			if got := execute(b.Context(), b, j, ""); got.err != nil {
				b.Fatal(got.err)
			}
		})
	})
}

// measure reports the median and the 99th percentile besides the mean.
func measure(b *testing.B, f func()) {
	b.Helper()
	f()
	var all []time.Duration
	for b.Loop() {
		start := time.Now()
		f()
		all = append(all, time.Since(start))
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
}

func BenchmarkLoad(b *testing.B) {
	for _, c := range []struct{ name, path string }{{"C", prebuilt}, {"Go command", goCommand(b)}} {
		load := func(b *testing.B, dir string) {
			h, err := New(b.Context(), Config{CacheDir: dir})
			if err != nil {
				b.Fatal(err)
			}
			bundle, err := h.Load(b.Context(), spi.LoadRequest{Path: c.path})
			if err != nil {
				b.Fatal(err)
			}
			if err := bundle.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
			if err := h.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(c.name+"/cold", func(b *testing.B) {
			for b.Loop() {
				load(b, filepath.Join(b.TempDir(), "cache"))
			}
		})
		b.Run(c.name+"/cached", func(b *testing.B) {
			dir := b.TempDir()
			measure(b, func() { load(b, dir) })
		})
	}
}

// BenchmarkKill reports how late a runaway returns after its context ended.
func BenchmarkKill(b *testing.B) {
	for _, parameter := range []string{"loop", "fib", "tower", "sleep"} {
		b.Run(parameter, func(b *testing.B) {
			j := newJob(b, prebuilt)
			var late []time.Duration
			for b.Loop() {
				ctx, cancel := context.WithTimeout(b.Context(), 20*time.Millisecond)
				deadline, _ := ctx.Deadline()
				if got := execute(ctx, b, j, parameter); got.code() != spi.CodeTimeout {
					b.Fatal(got.err)
				}
				late = append(late, time.Since(deadline))
				cancel()
			}
			slices.Sort(late)
			b.ReportMetric(float64(late[len(late)/2].Microseconds()), "p50-late-µs")
			b.ReportMetric(float64(late[len(late)-1].Microseconds()), "max-late-µs")
		})
	}
}
