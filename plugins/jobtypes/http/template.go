package httpjob

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"mime"
	"strconv"
	"strings"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// instantForm is how the context writes instants.
const instantForm = "2006-01-02T15:04:05.000Z"

// variableNames are what a template can name, after members of the context.
var variableNames = [...]string{
	"jobName", "taskId", "shardingTotalCount", "jobParameter", "shardingItem", "shardingParameter",
	"runId", "fireTime", "executionSource", "attempt", "fencingToken",
}

// variable is a place in variableNames.
type variable int

// valuesOf returns the values of the variables.
func valuesOf(c spi.ShardingContext) []string {
	return []string{
		c.JobName, c.TaskID, strconv.Itoa(c.ShardingTotalCount), c.JobParameter, strconv.Itoa(c.ShardingItem), c.ShardingParameter,
		c.RunID, c.FireTime.UTC().Format(instantForm), string(c.ExecutionSource), strconv.Itoa(c.Attempt), strconv.FormatInt(c.FencingToken, 10),
	}
}

// part is text, and a variable after it unless it is the last.
type part struct {
	text  string
	named bool
	name  variable
}

// template is text with variables.
type template []part

// parseTemplate reads text in which ${name} is a variable and $${ is ${.
func parseTemplate(text string) (template, error) {
	var t template
	var literal strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		if !found {
			literal.WriteString(text)
			break
		}
		if head, escaped := strings.CutSuffix(before, "$"); escaped {
			literal.WriteString(head + "${")
			text = rest
			continue
		}
		literal.WriteString(before)
		name, rest, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, errors.New("has a ${ without a }")
		}
		v, err := findVariable(name)
		if err != nil {
			return nil, err
		}
		t = append(t, part{text: literal.String(), named: true, name: v})
		literal.Reset()
		text = rest
	}
	if literal.Len() > 0 {
		t = append(t, part{text: literal.String()})
	}
	return t, nil
}

func findVariable(name string) (variable, error) {
	for i, known := range variableNames {
		if name == known {
			return variable(i), nil
		}
	}
	message := "has a ${…} that is none of " + strings.Join(variableNames[:], ", ")
	if near, ok := props.Suggest(name, variableNames[:]); ok {
		message += "; did you mean " + near + "?"
	}
	// The name itself is not shown: it may be part of a secret.
	return 0, errors.New(message)
}

// isConstant says whether the template names no variable.
func (t template) isConstant() bool {
	return len(t) == 0 || len(t) == 1 && !t[0].named
}

// expand writes the template with values, each of which escape has made fit.
func (t template) expand(values []string, escape escape) string {
	var b strings.Builder
	for _, p := range t {
		b.WriteString(p.text)
		if p.named {
			b.WriteString(escape(values[p.name]))
		}
	}
	return b.String()
}

// escape makes a value fit where it is to stand.
type escape func(string) string

// escapeFor returns how values are written into a body of the type.
func escapeFor(contentType string) escape {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind = strings.ToLower(strings.TrimSpace(strings.Split(contentType, ";")[0]))
	}
	switch {
	case kind == "application/x-www-form-urlencoded":
		return escapeURL
	case kind == "application/json", strings.HasSuffix(kind, "+json"):
		return escapeJSON
	case kind == "application/xml", kind == "text/xml", kind == "text/html", strings.HasSuffix(kind, "+xml"):
		return escapeXML
	default:
		return asIs
	}
}

func asIs(text string) string { return text }

// escapeURL writes all characters but the unreserved ones of RFC 3986, section
// 2.3, as octets: the value can neither end a segment or a parameter nor be
// mistaken for a space.
func escapeURL(text string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(text) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&0xF]})
		}
	}
	return b.String()
}

// escapeJSON writes what stands between the quotes of a JSON string.
func escapeJSON(text string) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(text) != nil {
		return "" // which a string never is
	}
	return strings.TrimSuffix(b.String()[1:], "\"\n")
}

// escapeXML writes what can stand in text and in attributes.
func escapeXML(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a builder does not fail
	return b.String()
}

// escapeASCII writes the characters of a JSON text that are not ASCII, or that no
// header field may have, as their units of UTF-16.
func escapeASCII(text []byte) string {
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case r < 0x7f:
			b.WriteRune(r)
		case r <= 0xFFFF:
			appendUnit(&b, r)
		default:
			const half = 10
			r -= 0x10000
			appendUnit(&b, 0xD800+r>>half)
			appendUnit(&b, 0xDC00+r&(1<<half-1))
		}
	}
	return b.String()
}

func appendUnit(b *strings.Builder, unit rune) {
	digits := strconv.FormatInt(int64(unit), 16)
	b.WriteString(`\u` + "0000"[len(digits):] + digits)
}
