package webhook

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/jsontext"
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/report"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// mostText bounds the variable text, in bytes.
const mostText = 64 << 10

// instantForm is that of the ABI.
const instantForm = "2006-01-02T15:04:05.000Z"

// variable is what a template can name, and what that stands for.
type variable struct {
	name  string
	value func(req spi.HandleErrorRequest) string
}

// variables are all that there are.
func variables() []variable {
	return []variable{
		{"jobName", func(r spi.HandleErrorRequest) string { return r.Context.JobName }},
		{"taskId", func(r spi.HandleErrorRequest) string { return r.Context.TaskID }},
		{"runId", func(r spi.HandleErrorRequest) string { return r.Context.RunID }},
		{"fireTime", func(r spi.HandleErrorRequest) string { return instant(r.Context.FireTime) }},
		{"executionSource", func(r spi.HandleErrorRequest) string { return string(r.Context.ExecutionSource) }},
		{"attempt", func(r spi.HandleErrorRequest) string { return strconv.Itoa(r.Context.Attempt) }},
		{"shardingItem", func(r spi.HandleErrorRequest) string { return strconv.Itoa(r.Context.ShardingItem) }},
		{"shardingParameter", func(r spi.HandleErrorRequest) string { return r.Context.ShardingParameter }},
		{"shardingTotalCount", func(r spi.HandleErrorRequest) string { return strconv.Itoa(r.Context.ShardingTotalCount) }},
		{"jobParameter", func(r spi.HandleErrorRequest) string { return r.Context.JobParameter }},
		{"code", func(r spi.HandleErrorRequest) string { return strconv.Itoa(int(r.Error.Code)) }},
		{"message", func(r spi.HandleErrorRequest) string { return r.Error.Error() }},
		{"stack", func(r spi.HandleErrorRequest) string { return r.Error.Stack }},
		{"count", func(r spi.HandleErrorRequest) string { return strconv.Itoa(max(1, r.Count)) }},
		{"first", func(r spi.HandleErrorRequest) string { return instant(r.First) }},
		{"last", func(r spi.HandleErrorRequest) string { return instant(r.Last) }},
		{"items", func(r spi.HandleErrorRequest) string { return report.Items(r.Items) }},
		{"text", func(r spi.HandleErrorRequest) string { return report.Text(r, mostText) }},
	}
}

// instant is empty for one that is not known.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(instantForm)
}

// part is text, and a value after it unless value is nil.
type part struct {
	text  string
	value func(req spi.HandleErrorRequest) string
}

// template is a body with variables.
type template []part

// parseTemplate reads text in which ${name} is a variable and $${ is ${. Values
// are escaped.
func parseTemplate(text string, escape func(string) string) (template, error) {
	var t template
	var literal strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		if !found {
			literal.WriteString(text)
			return append(t, part{text: literal.String()}), nil
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
		value, err := find(name)
		if err != nil {
			return nil, err
		}
		t = append(t, part{literal.String(), func(req spi.HandleErrorRequest) string {
			return escape(strings.ToValidUTF8(value(req), "\uFFFD"))
		}})
		literal.Reset()
		text = rest
	}
}

func find(name string) (func(spi.HandleErrorRequest) string, error) {
	var names []string
	for _, v := range variables() {
		if v.name == name {
			return v.value, nil
		}
		names = append(names, v.name)
	}
	// The name itself is not shown: it may be part of a secret.
	message := "has a ${…} that is none of " + strings.Join(names, ", ")
	if near, ok := props.Suggest(name, names); ok {
		message += "; did you mean " + near + "?"
	}
	return nil, errors.New(message)
}

func (t template) expand(req spi.HandleErrorRequest) []byte {
	var b []byte
	for _, p := range t {
		b = append(b, p.text...)
		if p.value != nil {
			b = append(b, p.value(req)...)
		}
	}
	return b
}

// escapeJSON makes text fit between the quotes of a JSON string.
func escapeJSON(text string) string {
	quoted := jsontext.AppendString(nil, text)
	return string(quoted[1 : len(quoted)-1])
}

// escapeXML makes text fit into elements and attributes. Characters that no XML
// may have (XML 1.0, section 2.2), such as those that color a terminal, are
// replaced.
func escapeXML(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&#34;")
		case r == '\'':
			b.WriteString("&#39;")
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0xFFFE, r == 0xFFFF:
			b.WriteRune('\uFFFD')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// facts is the body without a template: a JSON object that says all of the
// failure but the job's properties, of which some are secret.
func facts(req spi.HandleErrorRequest, id string) []byte {
	b := jsontext.AppendString([]byte(`{"id":`), id)
	for _, v := range variables() {
		value := strings.ToValidUTF8(v.value(req), "\uFFFD")
		switch v.name {
		case "attempt", "shardingItem", "shardingTotalCount", "code", "count":
			b = append(appendName(b, v.name), value...)
		case "items":
			b = append(appendName(b, v.name), '[')
			for i, item := range req.Items {
				if i > 0 {
					b = append(b, ',')
				}
				b = strconv.AppendInt(b, int64(item), 10)
			}
			b = append(b, ']')
		default:
			b = jsontext.AppendString(appendName(b, v.name), value)
		}
	}
	return append(b, '}')
}

func appendName(b []byte, name string) []byte {
	return append(jsontext.AppendString(append(b, ','), name), ':')
}
