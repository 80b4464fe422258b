package cron_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/cron"
)

func TestEvery(t *testing.T) {
	t.Parallel()
	at := func(millis int64) time.Time { return time.UnixMilli(millis).UTC() }
	tests := []struct {
		every time.Duration
		after time.Time
		want  time.Time
	}{
		{30 * time.Second, at(0), at(30_000)},
		{30 * time.Second, at(29_999), at(30_000)},
		{30 * time.Second, at(29_999).Add(999_999), at(30_000)},
		{30 * time.Second, at(30_000), at(60_000)},
		{7 * time.Second, at(1_735_689_600_000), at(1_735_689_606_000)},
		{time.Millisecond, at(5).Add(1), at(6)},
		{time.Second, at(-1), at(0)},
		{time.Second, at(-1000), at(0)},
		{time.Second, at(-1500), at(-1000)},
		{time.Second, at(-1000).Add(-1), at(-1000)},
		{24 * time.Hour, at(1).In(time.FixedZone("east", 3600)), at(86_400_000)},
	}
	for _, test := range tests {
		schedule, err := cron.Every(test.every)
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(test.want, schedule.Next(test.after)); diff != "" {
			t.Errorf("Every(%v).Next(%v) (-want +got):\n%s", test.every, test.after, diff)
		}
	}
}

func TestEveryRefuses(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, -time.Second, time.Microsecond, time.Millisecond + 1, 1} {
		if _, err := cron.Every(d); err == nil {
			t.Errorf("Every(%v) = no error, want one", d)
		}
	}
}

func TestAt(t *testing.T) {
	t.Parallel()
	instant := time.Date(2026, 5, 1, 12, 0, 0, int(1500*time.Microsecond), time.FixedZone("east", 3600))
	want := time.Date(2026, 5, 1, 12, 0, 0, int(time.Millisecond), instant.Location())
	once := cron.At(instant)
	if got := once.Next(want.Add(-1)); !got.Equal(want) || got.Location() != instant.Location() {
		t.Errorf("At(%v).Next(just before) = %v, want %v", instant, got, want)
	}
	for _, after := range []time.Time{want, instant, want.Add(time.Hour)} {
		if got := once.Next(after); !got.IsZero() {
			t.Errorf("At(%v).Next(%v) = %v, want the zero time", instant, after, got)
		}
	}
}

func TestZeroSchedulesAreNeverDue(t *testing.T) {
	t.Parallel()
	long := time.Unix(-1<<40, 0)
	for name, schedule := range map[string]interface{ Next(time.Time) time.Time }{
		"Interval{}": cron.Interval{}, "Once{}": cron.Once{}, "At(zero)": cron.At(time.Time{}),
	} {
		if got := schedule.Next(long); !got.IsZero() {
			t.Errorf("%s.Next(%v) = %v, want the zero time", name, long, got)
		}
	}
}
