package cron_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/cron"
)

func TestZone(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		string string
		offset int // in January
	}{
		{"UTC", "UTC", 0},
		{"GMT", "GMT", 0},
		{"GMT0", "GMT0", 0},
		{"Asia/Shanghai", "Asia/Shanghai", 8 * 3600},
		{"America/New_York", "America/New_York", -5 * 3600},
		{"Etc/GMT+8", "Etc/GMT+8", -8 * 3600},
		{"GMT+8", "GMT+08:00", 8 * 3600},
		{"GMT+08", "GMT+08:00", 8 * 3600},
		{"GMT+08:00", "GMT+08:00", 8 * 3600},
		{"GMT-3:30", "GMT-03:30", -(3*3600 + 1800)},
		{"GMT+0", "GMT+00:00", 0},
		{"GMT-23:59", "GMT-23:59", -(23*3600 + 59*60)},
	}
	for _, test := range tests {
		loc, err := cron.Zone(test.name)
		if err != nil {
			t.Errorf("Zone(%q) = %v, want no error", test.name, err)
			continue
		}
		if got := loc.String(); got != test.string {
			t.Errorf("Zone(%q).String() = %q, want %q", test.name, got, test.string)
		}
		if _, got := time.Date(2026, 1, 1, 0, 0, 0, 0, loc).Zone(); got != test.offset {
			t.Errorf("offset of Zone(%q) = %d, want %d", test.name, got, test.offset)
		}
	}
}

func TestZoneRefuses(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]string{
		"":                 "empty",
		"Local":            "another zone on each machine",
		"localtime":        "another zone on each machine",
		"posixrules":       "another zone on each machine",
		"posix/Asia/Tokyo": "not a name of the IANA database",
		"right/UTC":        "not a name of the IANA database",
		"Mars/Phobos":      "Asia/Shanghai",
		"../../etc/passwd": "not known",
		"/etc/localtime":   "not known",
		"CST-8":            "not known",
		"GMT8":             "GMT+hh:mm",
		"GMT+":             "GMT+hh:mm",
		"GMT+24":           "GMT+hh:mm",
		"GMT+008":          "GMT+hh:mm",
		"GMT+0800":         "GMT+hh:mm",
		"GMT+8:5":          "GMT+hh:mm",
		"GMT+8:60":         "GMT+hh:mm",
		"GMT+8:":           "GMT+hh:mm",
		"GMT+8:+5":         "GMT+hh:mm",
		"GMT++8":           "GMT+hh:mm",
		"GMT 8":            "GMT+hh:mm",
		"GMT+８":            "GMT+hh:mm",
		" UTC":             "not known",
	} {
		loc, err := cron.Zone(name)
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("Zone(%q) = %v, %v, want an error with %q", name, loc, err, part)
		}
	}
}

func TestZonesShareLocations(t *testing.T) {
	t.Parallel()
	var zones cron.Zones
	var wg sync.WaitGroup
	got := make([]*time.Location, 16)
	for i := range got {
		wg.Go(func() {
			name := []string{"Asia/Tokyo", "GMT+9"}[i%2]
			loc, err := zones.Zone(name)
			if err != nil {
				t.Error(err)
			}
			got[i] = loc
		})
	}
	wg.Wait()
	for i, loc := range got {
		if loc == nil || loc != got[i%2] {
			t.Errorf("Zones.Zone call %d = another location than call %d", i, i%2)
		}
	}
	if _, err := zones.Zone("Mars/Phobos"); err == nil {
		t.Error(`Zones.Zone("Mars/Phobos") = no error, want one`)
	}
}
