package webhook

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/spi"
)

// FuzzTemplate puts what a job says into a template of JSON. Whatever that is, it
// stays one text.
func FuzzTemplate(f *testing.F) {
	f.Add("no such table", "a")
	f.Add("\"}\n\\", "${jobName}")
	f.Add("\xff\x00", "")
	parsed, err := parseTemplate(`{"job":"${jobName}","message":"${message}","$${x}":[${count}]}`, escapeJSON)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, message, job string) {
		req := spi.HandleErrorRequest{Context: spi.ShardingContext{JobName: job}, Error: &spi.Error{Message: message, Stack: job}}
		var body map[string]any
		if err := json.Unmarshal(parsed.expand(req), &body); err != nil || len(body) != 3 {
			t.Errorf("expand(%q, %q) = %s, want JSON with three members: %v", message, job, parsed.expand(req), err)
		}
		if err := json.Unmarshal(facts(req, "msg_1"), &body); err != nil {
			t.Errorf("facts(%q, %q) = %s: %v", message, job, facts(req, "msg_1"), err)
		}
	})
}

// FuzzEscapeXML reads back what was put into an element and an attribute.
func FuzzEscapeXML(f *testing.F) {
	f.Add("<b>&\"'\x1b[31m\x00\u2028\uFFFE\U0001F600\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "\uFFFD")
		var element struct {
			Attribute string `xml:"b,attr"`
			Text      string `xml:",chardata"`
		}
		escaped := escapeXML(text)
		if err := xml.Unmarshal([]byte(`<a b="`+escaped+`">`+escaped+`</a>`), &element); err != nil || element.Attribute != element.Text {
			t.Errorf("escapeXML(%q) = %q, which is no XML: %v", text, escaped, err)
		}
	})
}
