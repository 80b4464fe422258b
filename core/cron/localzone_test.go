package cron

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestLocalZone(t *testing.T) {
	t.Parallel()
	none := func() (string, bool) { return "", false }
	tokyo := func() (string, bool) { return "Asia/Tokyo", true }
	odd := func() (string, bool) { return "localtime", true }
	tests := []struct {
		name   string
		tz     string
		isSet  bool
		system func() (string, bool)
		want   string
		err    string
	}{
		{name: "TZ wins", tz: "Europe/Paris", isSet: true, system: tokyo, want: "Europe/Paris"},
		{name: "colon in front", tz: ":Europe/Paris", isSet: true, system: none, want: "Europe/Paris"},
		{name: "empty TZ is UTC", isSet: true, system: tokyo, want: "UTC"},
		{name: "POSIX rule in TZ", tz: "CST-8", isSet: true, system: tokyo, err: "set timeZone"},
		{name: "system", system: tokyo, want: "Asia/Tokyo"},
		{name: "system without a name", system: none, err: "set timeZone"},
		{name: "system with an odd name", system: odd, err: "set timeZone"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := localZone(func(key string) (string, bool) {
				return test.tz, test.isSet && key == "TZ"
			}, test.system)
			if got != test.want {
				t.Errorf("localZone() = %q, %v, want %q", got, err, test.want)
			}
			if (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("localZone() = error %v, want one with %q", err, test.err)
			}
		})
	}
}

func TestLocalZoneOfPaths(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // its paths are no names of zones
	}
	dir := t.TempDir()
	link := filepath.Join(dir, "localtime")
	if err := os.Symlink("../usr/share/zoneinfo/America/Argentina/Buenos_Aires", link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for tz, want := range map[string]string{
		"/usr/share/zoneinfo/Asia/Tokyo":     "Asia/Tokyo",
		":/var/db/timezone/zoneinfo/Etc/UTC": "Etc/UTC",
		":" + link:                           "America/Argentina/Buenos_Aires",
		file:                                 file,
		filepath.Join(dir, "missing"):        filepath.Join(dir, "missing"),
		"/usr/share/zoneinfo/":               "/usr/share/zoneinfo/",
	} {
		if got := zoneOfTZ(tz); got != want {
			t.Errorf("zoneOfTZ(%q) = %q, want %q", tz, got, want)
		}
	}
}
