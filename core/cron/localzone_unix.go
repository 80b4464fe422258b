//go:build !windows

package cron

import "os"

func systemZone() (string, bool) { return zoneOfLink("/etc/localtime") }

// zoneOfLink returns the name of the zone whose data file the link leads to. Only
// the link itself is read: to follow it further could turn the name into an
// older one.
func zoneOfLink(path string) (string, bool) {
	target, err := os.Readlink(path)
	if err != nil {
		return "", false
	}
	return zoneOfPath(target)
}
