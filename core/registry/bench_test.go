package registry

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// onEach runs a benchmark on every kind of server, and on Redis also as it is
// used: asking which server it is.
func onEach(b *testing.B, bench func(b *testing.B, f *bench)) {
	b.Helper()
	b.Run("embedded", func(b *testing.B) { bench(b, setup(b, onEmbedded)) })
	b.Run("redis without INFO", func(b *testing.B) { bench(b, setup(b, onRedis)) })
	b.Run("redis", func(b *testing.B) {
		f := setup(b, onRedis, lasting)
		f.register("first")
		f.pass(sessionTimeout + 2*defaultGrace)
		bench(b, f)
	})
}

func BenchmarkRenew(b *testing.B) {
	onEach(b, func(b *testing.B, f *bench) {
		l := f.lead("a")
		b.ReportAllocs()
		for b.Loop() {
			_ = must(f, func(ctx context.Context) (Renewal, error) { return f.Renew(ctx, l.Lease, true) })
		}
	})
}

// BenchmarkBeginComplete is begin and complete of jobs of four items, so many in a
// call.
func BenchmarkBeginComplete(b *testing.B) {
	onEach(b, func(b *testing.B, f *bench) {
		l := f.lead("a")
		for _, jobs := range []int{1, 10, batchJobs} {
			b.Run(fmt.Sprintf("%d jobs a call", jobs), func(b *testing.B) {
				requests := make([]BeginRequest, jobs)
				for i := range requests {
					name := fmt.Sprintf("j%d-%d", jobs, i)
					g := f.put(definition(name, 4)).Generation
					if g == 0 {
						g = f.assign(l, name, map[string]string{"a": "0-3"}).Generation
					}
					requests[i] = BeginRequest{Lease: l.Lease, Job: name, Generation: g, Kind: KindNormal}
				}
				ends := make([]CompleteRequest, jobs)
				instant := f.now
				before, _ := f.spent()
				b.ReportAllocs()
				for b.Loop() {
					instant = instant.Add(time.Second)
					for i := range requests {
						requests[i].Instant = instant
					}
					replies := must(f, func(ctx context.Context) ([]BeginReply, error) { return f.BeginAll(ctx, requests) })
					for i, r := range replies {
						ends[i] = CompleteRequest{
							Lease: l.Lease, Job: requests[i].Job, Fence: r.Fence, Items: r.Items, Outcome: OutcomeSuccess,
						}
					}
					_ = must(f, func(ctx context.Context) ([]CompleteReply, error) { return f.CompleteAll(ctx, ends) })
				}
				b.ReportMetric(float64(jobs*b.N)/b.Elapsed().Seconds(), "firings/s")
				if after, _ := f.spent(); after > before {
					b.ReportMetric(float64((after-before).Nanoseconds())/1000/float64(jobs*b.N), "redis-µs/firing")
				}
			})
		}
	})
}

// BenchmarkStart is what the first node of 10,000 jobs does, step by step.
func BenchmarkStart(b *testing.B) {
	const jobs = 10_000
	defs := make([]JobDefinition, jobs)
	names := make([]string, jobs)
	for i := range defs {
		defs[i] = definition(fmt.Sprintf("job-%05d", i), 4)
		names[i] = defs[i].Name
	}
	for _, on := range servers() {
		b.Run(string(on), func(b *testing.B) {
			var put, commit, read, reconcile time.Duration
			for b.Loop() {
				f := setup(b, on)
				l := f.lead("a")
				mark := time.Now()
				results := must(f, func(ctx context.Context) ([]PutResult, error) { return f.PutJobs(ctx, defs) })
				put += time.Since(mark)
				plans := make([]Plan, jobs)
				for i, r := range results {
					plans[i] = Plan{Job: r.Name, ExpectVersion: r.Version, Items: 4, Owners: map[string]Items{"a": AllItems(4)}}
				}
				mark = time.Now()
				_ = must(f, func(ctx context.Context) ([]CommitResult, error) { return f.CommitAssignments(ctx, l, plans) })
				commit += time.Since(mark)
				mark = time.Now()
				_ = must(f, func(ctx context.Context) ([]Assignment, error) { return f.Assignments(ctx, "a", names) })
				read += time.Since(mark)
				mark = time.Now()
				_ = must(f, func(ctx context.Context) ([]Repair, error) { return f.Reconcile(ctx, l, names) })
				reconcile += time.Since(mark)
			}
			for name, d := range map[string]time.Duration{
				"put-ms": put, "commit-ms": commit, "assignments-ms": read, "reconcile-ms": reconcile,
			} {
				b.ReportMetric(float64(d.Milliseconds())/float64(b.N), name)
			}
		})
	}
}

// BenchmarkIdleSessions is what a hundred sessions that do nothing but renew cost
// Redis. One iteration takes ten seconds of real time.
func BenchmarkIdleSessions(b *testing.B) {
	const sessions, idle = 100, 10 * time.Second
	s := redistest.Start(b)
	center, err := Open(b.Context(), Config{Client: s.Client(), Namespace: "test", SessionTimeout: 15 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	f := &bench{Partition: center.Partitions()[0], t: b, client: s.Client()}
	leases := make([]Lease, sessions)
	for i := range leases {
		leases[i] = f.register(fmt.Sprintf("10.0.0.%d@-@1", i))
	}
	var spent, scripts time.Duration
	for b.Loop() {
		cpu, script := f.spent()
		each := time.NewTicker(center.RenewInterval() / sessions)
		for i := range int(idle * sessions / center.RenewInterval()) {
			<-each.C
			_ = must(f, func(ctx context.Context) (Renewal, error) { return f.Renew(ctx, leases[i%sessions], true) })
		}
		each.Stop()
		cpuAfter, scriptAfter := f.spent()
		spent += cpuAfter - cpu
		scripts += scriptAfter - script
	}
	b.ReportMetric(float64(spent.Microseconds())/1000/float64(b.N), "redis-cpu-ms/10s")
	b.ReportMetric(float64(scripts.Microseconds())/1000/float64(b.N), "scripts-ms/10s")
}

// spent is the processor time of the server, and that of it in scripts.
func (b *bench) spent() (cpu, scripts time.Duration) {
	b.t.Helper()
	text := must(b, func(ctx context.Context) (string, error) { return b.client.Info(ctx, "cpu", "commandstats").Result() })
	for line := range strings.SplitSeq(text, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "used_cpu_user", "used_cpu_sys":
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.t.Fatal(err)
			}
			cpu += time.Duration(seconds * float64(time.Second))
		case "cmdstat_evalsha", "cmdstat_eval":
			_, us, _ := strings.Cut(value, "usec=")
			us, _, _ = strings.Cut(us, ",")
			n, err := strconv.ParseInt(us, 10, 64)
			if err != nil {
				b.t.Fatal(err)
			}
			scripts += time.Duration(n) * time.Microsecond
		}
	}
	return cpu, scripts
}

// BenchmarkGather is a firing of one node with listeners that are called once.
func BenchmarkGather(b *testing.B) {
	onEach(b, func(b *testing.B, f *bench) {
		l := f.lead("a")
		for _, n := range []int{4, 10_000} {
			b.Run(fmt.Sprintf("%d items", n), func(b *testing.B) {
				all := AllItems(n)
				f.put(JobDefinition{Name: "j", Config: []byte("{}"), Items: n, Monitored: true, Misfire: true, Overwrite: true})
				g := f.assign(l, "j", map[string]string{"a": all.String()}).Generation
				instant := f.now
				for b.Loop() {
					instant = instant.Add(time.Second)
					run := f.gather(l.Lease, g, instant)
					f.meet(l.Lease, run, MomentBefore, ActDone)
					if got := f.end(l.Lease, run, all.String(), OutcomeSuccess).Turn; got != TurnCall {
						b.Fatalf("the end = %s, want %s", got, TurnCall)
					}
					f.meet(l.Lease, run, MomentAfter, ActDone)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "firings/s")
			})
		}
	})
}
