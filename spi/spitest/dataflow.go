package spitest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/spitest/subject"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// Dataflow calls the two steps of the job type that is a dataflow.
func Dataflow(t *testing.T, h Host) {
	t.Helper()
	p := h.plugin(t, spi.KindJobType, subject.TypeDataflow)
	step := func(ctx context.Context, values props.Values, call func(spi.Dataflow) error) *spi.Error {
		return use(ctx, h, p.JobType, values, func(job spi.JobType) error {
			flow, ok := job.(spi.Dataflow)
			if !ok {
				return fmt.Errorf("%T is no dataflow", job)
			}
			return call(flow)
		})
	}
	fetch := func(ctx context.Context, cursor string, c spi.ShardingContext, services spi.Services) (response spi.FetchDataResponse, failed *spi.Error) {
		failed = step(ctx, c.Props, func(flow spi.Dataflow) (err error) {
			response, err = flow.FetchData(ctx, spi.FetchDataRequest{Context: c, Cursor: cursor, Services: services})
			if err == nil {
				err = checkBatch(response.Data)
			}
			return err
		})
		return response, failed
	}
	process := func(ctx context.Context, data [][]byte, c spi.ShardingContext, services spi.Services) *spi.Error {
		return step(ctx, c.Props, func(flow spi.Dataflow) error {
			_, err := flow.ProcessData(ctx, spi.ProcessDataRequest{Context: c, Data: data, Services: services})
			return err
		})
	}
	sample := func(values props.Values) spi.ShardingContext {
		c := sampleContext()
		c.Props = values
		return c
	}

	t.Run("fetch", func(t *testing.T) {
		performAll(t, h, some(), func(ctx context.Context, values props.Values, services spi.Services) *spi.Error {
			_, failed := fetch(ctx, "", sample(values), services)
			return failed
		})
	})
	t.Run("process", func(t *testing.T) {
		performAll(t, h, some(), func(ctx context.Context, values props.Values, services spi.Services) *spi.Error {
			return process(ctx, [][]byte{[]byte("1")}, sample(values), services)
		})
	})
	t.Run("request", func(t *testing.T) {
		t.Parallel()
		for _, cursor := range []string{"", "page \"7\" 頁\n"} {
			recorder := &Recorder{}
			c := sample(do(subject.DoEcho))
			if _, failed := fetch(t.Context(), cursor, c, recorder); failed != nil {
				t.Errorf("FetchData(%q) fails with %s, want success", cursor, subject.ErrorText(failed))
			}
			if diff := cmp.Diff([]string{fmt.Sprintf("cursor=%q %s", cursor, subject.ContextText(c))}, recorder.Lines()); diff != "" {
				t.Errorf("FetchData(%q), request (-want +got):\n%s", cursor, diff)
			}
		}
		recorder := &Recorder{}
		c := sample(do(subject.DoEcho))
		data := [][]byte{[]byte("1"), []byte(`{"a":[1.50,"名\u0041 😀"]}`), []byte("null"), []byte(`"` + strings.Repeat("x", 9_000) + `"`)}
		if failed := process(t.Context(), data, c, recorder); failed != nil {
			t.Errorf("ProcessData() fails with %s, want success", subject.ErrorText(failed))
		}
		if diff := cmp.Diff([]string{subject.DataText(data) + " " + subject.ContextText(c)}, recorder.Lines()); diff != "" {
			t.Errorf("ProcessData(), request (-want +got):\n%s", diff)
		}
	})

	for _, b := range batches() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			if _, differs := differenceOf(h.Kind, b.name); differs {
				return
			}
			c := sample(do(subject.DoSay, subject.PropData, b.data, subject.PropCursor, b.cursor, subject.PropTimes, b.times))
			got, failed := fetch(t.Context(), "", c, &Recorder{})
			if failed != nil {
				t.Fatalf("FetchData() fails with %s, want success", subject.ErrorText(failed))
			}
			// As texts, of which comparing a large one takes no time.
			var data []string
			for _, datum := range got.Data {
				data = append(data, string(datum))
			}
			if diff := cmp.Diff(b.want, data); diff != "" || got.Cursor != b.cursor {
				t.Errorf("FetchData() has the cursor %q, want %q, and data (-want +got):\n%s", got.Cursor, b.cursor, diff)
			}
		})
	}
	for _, r := range refusedBatches() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			if _, differs := differenceOf(h.Kind, r.name); differs {
				return
			}
			_, failed := fetch(t.Context(), "", sample(do(subject.DoSay, subject.PropData, r.data, subject.PropTimes, r.times)), &Recorder{})
			if failed == nil || failed.Code != r.code {
				t.Errorf("FetchData() fails with %s, want code %s", subject.ErrorText(failed), r.code)
			}
		})
	}
	t.Run("too large request", func(t *testing.T) {
		t.Parallel()
		if _, differs := differenceOf(h.Kind, "too large request"); differs {
			return
		}
		datum := []byte(`"` + strings.Repeat("x", wire.MaxMessage) + `"`)
		if failed := process(t.Context(), [][]byte{datum}, sample(do(subject.DoSay)), &Recorder{}); failed == nil || failed.Code != spi.CodeTooLarge {
			t.Errorf("ProcessData() fails with %s, want code %s", subject.ErrorText(failed), spi.CodeTooLarge)
		}
	})
}

// batch is what a fetch returns, and what comes of it.
type batch struct {
	name, data, cursor, times string
	want                      []string
}

func batches() []batch {
	return []batch{
		{name: "no data"},
		{name: "no data but a cursor", cursor: "7"},
		{name: "one datum", data: "1", want: []string{"1"}},
		{
			name: "all kinds of data", data: `null|true|-0.10e+5|9007199254740993|"a"|[]|{}|{"a":[1, 2],"a":2}`, cursor: "頁\"7\"",
			want: []string{"null", "true", "-0.10e+5", "9007199254740993", `"a"`, "[]", "{}", `{"a":[1, 2],"a":2}`},
		},
		{name: "data with characters escaped and not", data: `"\u540d\ud83d\ude00\/"|"名😀/"`, want: []string{`"\u540d\ud83d\ude00\/"`, `"名😀/"`}},
		{name: "space around data", data: " 1 |\n[ 2 ]\t", want: []string{"1", "[ 2 ]"}},
		{name: "large datum", data: "1", times: "1000000", want: []string{strings.Repeat("1", 1_000_000)}},
	}
}

// refusedBatch is what a fetch returns although it may not.
type refusedBatch struct {
	name, data, times string
	code              spi.Code
}

func refusedBatches() []refusedBatch {
	return []refusedBatch{
		{"data that are no JSON", "1|x", "1", spi.CodeProtocol},
		{"two values as a datum", "1|2 3", "1", spi.CodeProtocol},
		{"empty datum", "1||2", "1", spi.CodeProtocol},
		{"deep data", strings.Repeat("[", 100) + strings.Repeat("]", 100), "1", spi.CodeProtocol},
		{"too much data", "1", "17000000", spi.CodeTooLarge},
	}
}

// checkBatch holds the bound of a batch, as the engine does.
func checkBatch(data [][]byte) error {
	size := 0
	for _, datum := range data {
		size += len(datum)
	}
	if size > wire.MaxMessage {
		return spi.NewError(spi.CodeTooLarge, "the response has more than 16 MiB")
	}
	return nil
}
