package cron

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

const gmt = "GMT"

// Zone returns the time zone of that name: a name of the IANA database such as
// Asia/Shanghai or UTC, or a distance from Greenwich as GMT+h, GMT-hh or
// GMT+hh:mm. IANA names are looked up each time, in the database of the system
// or the one linked into the program; see [Zones] for many of them. Names that
// mean something else on each machine (the empty one, Local) are errors.
func Zone(name string) (*time.Location, error) {
	if rest, ok := strings.CutPrefix(name, gmt); ok && rest != "" && rest != "0" {
		return gmtZone(name, rest)
	}
	switch {
	case name == "":
		return nil, fmt.Errorf("the time zone is empty; %s", zoneHint)
	case name == "Local" || name == "localtime" || name == "posixrules":
		return nil, fmt.Errorf("time zone %q means another zone on each machine; %s", name, zoneHint)
	case strings.HasPrefix(name, "posix/") || strings.HasPrefix(name, "right/"):
		return nil, fmt.Errorf("time zone %q is not a name of the IANA database; %s", name, zoneHint)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q is not known; %s", name, zoneHint)
	}
	return loc, nil
}

const zoneHint = "write an IANA name such as Asia/Shanghai (upper and lower case count), or GMT+8 or GMT-03:30"

// gmtZone reads the part of a name after GMT.
func gmtZone(name, rest string) (*time.Location, error) {
	bad := fmt.Errorf("time zone %q is not of the form GMT+h, GMT+hh or GMT+hh:mm (hours to 23, minutes to 59)", name)
	sign := rest[0]
	if sign != '+' && sign != '-' {
		return nil, bad
	}
	hourText, minuteText, hasMinutes := strings.Cut(rest[1:], ":")
	if len(hourText) > 2 || hasMinutes && len(minuteText) != 2 {
		return nil, bad
	}
	hour, err := strconv.ParseUint(hourText, 10, 8)
	if err != nil || hour > 23 {
		return nil, bad
	}
	var minute uint64
	if hasMinutes {
		if minute, err = strconv.ParseUint(minuteText, 10, 8); err != nil || minute > 59 {
			return nil, bad
		}
	}
	offset := int(hour)*secondsPerHour + int(minute)*secondsPerMinute
	if sign == '-' {
		offset = -offset
	}
	return time.FixedZone(fmt.Sprintf("%s%c%02d:%02d", gmt, sign, hour, minute), offset), nil
}

// Zones looks time zones up and keeps them, so that many schedules share one
// [time.Location]: each takes some kilobytes. The zero value is ready for use.
// Zones is safe for concurrent use and must not be copied.
type Zones struct {
	mu sync.Mutex

	byName map[string]*time.Location
}

// Zone is like the function [Zone], but returns the same location each time.
func (z *Zones) Zone(name string) (*time.Location, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if loc, ok := z.byName[name]; ok {
		return loc, nil
	}
	loc, err := Zone(name)
	if err != nil {
		return nil, err
	}
	if z.byName == nil {
		z.byName = make(map[string]*time.Location)
	}
	z.byName[name] = loc
	return loc, nil
}
