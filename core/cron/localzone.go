package cron

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// LocalZone returns the name of the zone of this machine, in a form that
// [Zone] takes on any other: what the environment variable TZ names, else what
// the system is set to (on Unix the place that /etc/localtime links to). If
// neither gives a name, the error asks for timeZone. The argument looks an
// environment variable up, as os.LookupEnv does.
func LocalZone(lookup func(string) (string, bool)) (string, error) {
	return localZone(lookup, systemZone)
}

func localZone(lookup func(string) (string, bool), system func() (string, bool)) (string, error) {
	if value, ok := lookup("TZ"); ok {
		name := zoneOfTZ(value)
		if _, err := Zone(name); err != nil {
			return "", fmt.Errorf("taking the time zone of this machine from TZ=%q, set timeZone instead: %w", value, err)
		}
		return name, nil
	}
	name, ok := system()
	if !ok {
		return "", errors.New("this machine does not name its time zone; set timeZone, or the environment variable TZ")
	}
	if _, err := Zone(name); err != nil {
		return "", fmt.Errorf("taking the time zone of this machine, set timeZone instead: %w", err)
	}
	return name, nil
}

// zoneOfTZ returns the name in a value of TZ: empty is UTC, a colon may stand in
// front, a path is one into the zone database or a link to it.
func zoneOfTZ(value string) string {
	value = strings.TrimPrefix(value, ":")
	if value == "" {
		return "UTC"
	}
	if filepath.IsAbs(value) {
		if name, ok := zoneOfPath(value); ok {
			return name
		}
		if name, ok := zoneOfLink(value); ok {
			return name
		}
	}
	return value
}

// zoneOfPath returns the name of the zone whose data file is at path.
func zoneOfPath(path string) (string, bool) {
	_, name, ok := strings.Cut(filepath.ToSlash(path), "/zoneinfo/")
	return name, ok && name != ""
}
