package registry

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func BenchmarkRenew(b *testing.B) {
	f := setup(b, onEmbedded)
	l := f.lead("a")
	b.ReportAllocs()
	for b.Loop() {
		_ = must(f, func(ctx context.Context) (Renewal, error) { return f.Renew(ctx, l.Lease, true) })
	}
}

// BenchmarkFiring is begin and complete of jobs of four items, so many in a call.
func BenchmarkFiring(b *testing.B) {
	for _, jobs := range []int{1, 10, batchJobs} {
		b.Run(fmt.Sprintf("%d jobs a call", jobs), func(b *testing.B) {
			f := setup(b, onEmbedded)
			l := f.lead("a")
			requests := make([]BeginRequest, jobs)
			for i := range requests {
				name := fmt.Sprintf("j%d", i)
				f.put(definition(name, 4))
				g := f.assign(l, name, map[string]string{"a": "0-3"}).Generation
				requests[i] = BeginRequest{Lease: l.Lease, Job: name, Generation: g, Kind: KindNormal}
			}
			ends := make([]CompleteRequest, jobs)
			instant := start()
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
		})
	}
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
	var put, commit, read time.Duration
	for b.Loop() {
		f := setup(b, onEmbedded)
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
	}
	for name, d := range map[string]time.Duration{"put-ms": put, "commit-ms": commit, "assignments-ms": read} {
		b.ReportMetric(float64(d.Milliseconds())/float64(b.N), name)
	}
}
