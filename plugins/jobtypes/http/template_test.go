package httpjob

import (
	"encoding/json"
	"encoding/xml"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/elasticjob-go/elasticjob/spi"
)

func TestEveryVariableHasItsValue(t *testing.T) {
	t.Parallel()
	values := valuesOf(spi.ShardingContext{
		JobName: "orders", TaskID: "t1", ShardingTotalCount: 3, JobParameter: "jp", ShardingItem: 2, ShardingParameter: "sp", RunID: "r1",
		FireTime: time.Date(2026, 2, 3, 4, 5, 6, 7e6, time.UTC), ExecutionSource: spi.SourceMisfire, Attempt: 4, FencingToken: 5,
	})
	for name, want := range map[string]string{
		"jobName": "orders", "taskId": "t1", "shardingTotalCount": "3", "jobParameter": "jp", "shardingItem": "2", "shardingParameter": "sp", "runId": "r1",
		"fireTime": "2026-02-03T04:05:06.007Z", "executionSource": "MISFIRE", "attempt": "4", "fencingToken": "5",
	} {
		parsed, err := parseTemplate("<${" + name + "}>")
		if err != nil {
			t.Errorf("parseTemplate(${%s}) = %v, want nil", name, err)
			continue
		}
		if got := parsed.expand(values, asIs); got != "<"+want+">" {
			t.Errorf("${%s} = %s, want <%s>", name, got, want)
		}
	}
	if len(values) != len(variableNames) {
		t.Errorf("there are %d values, want one for each of %d names", len(values), len(variableNames))
	}
}

func TestParseTemplate(t *testing.T) {
	t.Parallel()
	values := valuesOf(spi.ShardingContext{ShardingItem: 7, ShardingParameter: "x"})
	for text, want := range map[string]string{
		"": "", "plain $5 {a} $": "plain $5 {a} $", "${shardingItem}": "7", "a${shardingItem}b${shardingParameter}": "a7bx",
		"$${shardingItem}": "${shardingItem}", "$$${a": "$${a", "}${shardingItem}}": "}7}",
	} {
		parsed, err := parseTemplate(text)
		if got := parsed.expand(values, asIs); err != nil || got != want {
			t.Errorf("parseTemplate(%q) gives %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"${": "has a ${ without a }", "a${shardingItem": "has a ${ without a }", "${shardingitem}": "; did you mean shardingItem?", "${}": "none of jobName,",
		"${ shardingItem }": "none of", "${hunter2}": "none of",
	} {
		if _, err := parseTemplate(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("parseTemplate(%q) = %v, want %q in it", text, err, want)
		}
	}
}

func TestEscapesOfBodies(t *testing.T) {
	t.Parallel()
	const value = `a "b" & <c> = é/\`
	for contentType, want := range map[string]string{
		"application/x-www-form-urlencoded":      `a%20%22b%22%20%26%20%3Cc%3E%20%3D%20%C3%A9%2F%5C`,
		"application/json":                       `a \"b\" & <c> = é/\\`,
		"Application/Problem+JSON;charset=utf-8": `a \"b\" & <c> = é/\\`,
		"text/xml; charset=utf-8":                `a &#34;b&#34; &amp; &lt;c&gt; = é/\`,
		"text/plain":                             value,
		"; broken":                               value,
	} {
		if got := escapeFor(contentType)(value); got != want {
			t.Errorf("a value in %s = %s, want %s", contentType, got, want)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add("http://h/${shardingItem}?p=${shardingParameter}", "<北京> & 'x'")
	f.Add("$${a} ${jobParameter", "\r\nX: 1")
	f.Add("{\"a\": \"${jobParameter}\"}", "\"\\\x00\U0001F600")
	f.Fuzz(func(t *testing.T, text, value string) {
		parsed, err := parseTemplate(text)
		if err != nil {
			return
		}
		values := make([]string, len(variableNames))
		for i := range values {
			values[i] = value
		}
		got := parsed.expand(values, asIs)
		if parsed.isConstant() && len(got) > len(text) || !parsed.isConstant() && !strings.Contains(got, value) {
			t.Errorf("the template %q with %q gives %q", text, value, got)
		}
	})
}

// FuzzEscape reads back what was escaped.
func FuzzEscape(f *testing.F) {
	f.Add("<北京> & 'x' = \"y\" \\ /?#%+")
	f.Add("\r\n\x00\x7f\u2028\U0001F600\xff")
	f.Fuzz(func(t *testing.T, value string) {
		if back, err := url.QueryUnescape(escapeURL(value)); err != nil || back != value {
			t.Errorf("escapeURL(%q) = %q, which is read as %q, %v", value, escapeURL(value), back, err)
		}
		valid := strings.ToValidUTF8(value, "\uFFFD")
		if !utf8.ValidString(value) {
			return
		}
		var back string
		if err := json.Unmarshal([]byte(`"`+escapeJSON(value)+`"`), &back); err != nil || back != valid {
			t.Errorf("escapeJSON(%q) = %q, which is read as %q, %v", value, escapeJSON(value), back, err)
		}
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		ascii := escapeASCII(text)
		if err := json.Unmarshal([]byte(ascii), &back); err != nil || back != value || !isFieldValue(ascii) || strings.ContainsFunc(ascii, func(r rune) bool { return r > '~' }) {
			t.Errorf("escapeASCII(%s) = %s, which is read as %q, %v", text, ascii, back, err)
		}
		var element struct {
			Text string `xml:",chardata"`
		}
		if err := xml.Unmarshal([]byte("<a>"+escapeXML(value)+"</a>"), &element); err != nil {
			t.Errorf("escapeXML(%q) = %q, which is no XML: %v", value, escapeXML(value), err)
		}
	})
}
