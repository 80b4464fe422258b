package dial

import (
	"fmt"
	"strconv"
	"strings"
)

// info is what a server says of itself, as field -> value.
type info map[string]string

// parseInfo reads the reply to INFO: lines of field:value, with headings that
// start with # and empty lines between them. Other lines are passed over, and of
// a field that is named twice the first value counts.
func parseInfo(text string) info {
	fields := make(info)
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if _, known := fields[name]; !known {
			fields[name] = value
		}
	}
	return fields
}

// version is the number of a release, without what it says after the minor.
type version struct{ major, minor int }

// parseVersion reads the first two numbers of "7.0.15".
func parseVersion(text string) (version, error) {
	major, rest, _ := strings.Cut(text, ".")
	minor, _, _ := strings.Cut(rest, ".")
	var v version
	var err error
	if v.major, err = number(major); err == nil {
		v.minor, err = number(minor)
	}
	if err != nil {
		return version{}, fmt.Errorf("%q is no version", text)
	}
	return v, nil
}

// number reads a number without sign of at most four digits.
func number(text string) (int, error) {
	if len(text) > 4 || strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-") {
		return 0, strconv.ErrRange
	}
	return strconv.Atoi(text)
}

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// before says that v is an earlier release than other.
func (v version) before(other version) bool {
	return v.major < other.major || v.major == other.major && v.minor < other.minor
}
