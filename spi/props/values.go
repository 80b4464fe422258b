package props

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Values are properties that a schema has checked. The typed readers return
// the zero value for a property that is missing or of another type, which a
// checked schema excludes.
type Values map[string]string

// String returns the text of the property.
func (v Values) String(name string) string { return v[name] }

// Int returns the property as a whole number.
func (v Values) Int(name string) int64 {
	n, err := strconv.ParseInt(v[name], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Float returns the property as a number.
func (v Values) Float(name string) float64 {
	n, err := strconv.ParseFloat(v[name], 64)
	if err != nil {
		return 0
	}
	return n
}

// Bool reports whether the property is true.
func (v Values) Bool(name string) bool { return v[name] == "true" }

// Duration returns the property as a duration.
func (v Values) Duration(name string) time.Duration {
	d, err := time.ParseDuration(v[name])
	if err != nil {
		return 0
	}
	return d
}

// Size returns the property in bytes.
func (v Values) Size(name string) int64 {
	n, err := ParseSize(v[name])
	if err != nil {
		return 0
	}
	return n
}

// List returns the items of the property, trimmed; nil when it is empty.
func (v Values) List(name string) []string { return splitList(v[name]) }

// ParseSize reads a size in bytes: a whole number, alone or followed by B,
// KiB, MiB, GiB (powers of 1024) or KB, MB, GB (powers of 1000).
func ParseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "BKMGi")
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if err != nil || n < 0 || strings.HasPrefix(text, "+") {
		return 0, errors.New("is not a size such as 64MiB")
	}
	var factor int64
	switch text[len(digits):] {
	case "", "B":
		factor = 1
	case "KiB":
		factor = 1 << 10
	case "MiB":
		factor = 1 << 20
	case "GiB":
		factor = 1 << 30
	case "KB":
		factor = 1e3
	case "MB":
		factor = 1e6
	case "GB":
		factor = 1e9
	default:
		return 0, errors.New("is not a size such as 64MiB")
	}
	if n > math.MaxInt64/factor {
		return 0, errors.New("is too large")
	}
	return n * factor, nil
}

func splitList(value string) []string {
	if strings.TrimSpace(value) == "" {
		return nil
	}
	items := strings.Split(value, ",")
	for i, item := range items {
		items[i] = strings.TrimSpace(item)
	}
	return items
}
