package cron

import "time"

// systemZone knows UTC only: Windows has names of its own for zones, and which
// IANA name is meant depends on the territory too.
func systemZone() (string, bool) {
	for _, month := range []time.Month{time.January, time.July} {
		name, offset := time.Date(2024, month, 1, 0, 0, 0, 0, time.Local).Zone()
		if name != "UTC" || offset != 0 {
			return "", false
		}
	}
	return "UTC", true
}

func zoneOfLink(string) (string, bool) { return "", false }
