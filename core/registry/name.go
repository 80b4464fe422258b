package registry

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of what is stored.
const (
	maxName       = 100
	maxInstance   = 200
	maxRequest    = 200
	maxDefinition = 64 << 10
	maxInfo       = 2 << 20
)

const runIDLayout = "20060102T150405.000Z"

// FormatRunID is the run id of the firing at a nominal instant, which all nodes
// name alike: its UTC time to the millisecond, "20060102T150405.000Z".
func FormatRunID(instant time.Time) string { return instant.UTC().Format(runIDLayout) }

// ParseRunID is the instant of a run id that FormatRunID wrote. The run id of a
// manual firing is its trigger's and is no instant.
func ParseRunID(id string) (time.Time, error) {
	t, err := time.Parse(runIDLayout, id)
	if err != nil {
		return time.Time{}, fmt.Errorf("run id %q is not of the form %s", clip(id), runIDLayout)
	}
	return t, nil
}

// ServerName is what desired state calls an instance: the part before the first
// "@-@" of an id such as ip@-@pid, which outlives the process; else the id.
func ServerName(instance string) string {
	name, _, _ := strings.Cut(instance, "@-@")
	return name
}

// checkName refuses what is no job name: [A-Za-z0-9._-]{1,100}.
func checkName(job string) error {
	ok := job != "" && len(job) <= maxName
	for i := 0; ok && i < len(job); i++ {
		c := job[i]
		ok = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
	}
	if !ok {
		return fmt.Errorf("job name %q is not of the form [A-Za-z0-9._-]{1,%d}", clip(job), maxName)
	}
	return nil
}

// checkToken refuses what would break the separators of stored values.
func checkToken(what, text string, limit int, separators string) error {
	switch {
	case text == "":
		return fmt.Errorf("%s is empty", what)
	case len(text) > limit:
		return fmt.Errorf("%s of %d bytes is longer than %d", what, len(text), limit)
	case !utf8.ValidString(text):
		return fmt.Errorf("%s %q is not UTF-8", what, text)
	}
	for _, r := range text {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(separators, r) {
			return fmt.Errorf("%s %q holds %q", what, text, r)
		}
	}
	return nil
}

func checkInstance(id string) error {
	if err := checkToken("instance id", id, maxInstance, "|;,"); err != nil {
		return err
	}
	if ServerName(id) == "" {
		return fmt.Errorf("instance id %q names no server", id)
	}
	return nil
}

func checkRequest(id string) error { return checkToken("request id", id, maxRequest, "|;,@") }

// checkNumbered checks the id of a request that is no normal firing: letters and a
// number, by which late copies are told.
func checkNumbered(id string) error {
	number := strings.TrimLeft(id, "abcdefghijklmnopqrstuvwxyz")
	if n := parseNumber(number); n < 0 || number == id {
		return fmt.Errorf("request id %q is not a letter and a number", clip(id))
	}
	return nil
}

// checkNamespace also refuses braces, which would end the hash tag.
func checkNamespace(name string) error { return checkToken("namespace", name, maxInstance, "{}") }

// clip keeps foreign text in errors short.
func clip(text string) string {
	const limit = 80
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}
