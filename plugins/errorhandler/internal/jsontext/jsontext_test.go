package jsontext

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestMembers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want map[string]string
	}{
		{`{"errcode":0,"errmsg":"ok"}`, map[string]string{"errcode": "0", "errmsg": "ok"}},
		{" {\t\"errcode\" : \"0\" ,\r\n\"x\":[ 1 , {\"errmsg\":\"inner\"}, []] } ", map[string]string{"errcode": "0", "x": `[ 1 , {"errmsg":"inner"}, []]`}},
		{`{"errcode":93000,"errmsg":"\u673a\u5668\u4eba \ud83e\udd16\/\"\\\b\f\n\r\t"}`, map[string]string{"errcode": "93000", "errmsg": "机器人 🤖/\"\\\b\f\n\r\t"}},
		{`{"a":"\ud83e x\udd16"}`, map[string]string{"a": "\uFFFD x\uFFFD"}},
		{`{"a":-1.5e+3,"a":true,"b":null}`, map[string]string{"a": "true", "b": "null"}},
		{`{}`, map[string]string{}},
		{``, nil},
		{`[]`, nil},
		{`"errcode"`, nil},
		{`{"errcode":0`, nil},
		{`{"errcode":0,}`, nil},
		{`{"errcode" 0}`, nil},
		{`{"errcode":}`, nil},
		{`{"errcode":0} x`, nil},
		{`{"errmsg":"\x"}`, nil},
		{`{"errmsg":"\u12"}`, nil},
		{`{"errmsg":"\`, nil},
		{`{"errmsg":"`, nil},
		{`<html></html>`, nil},
		{`{"a":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, nil},
	}
	for _, test := range tests {
		got, ok := Members([]byte(test.text))
		if ok != (test.want != nil) {
			t.Errorf("Members(%q) = %v, %v, want %v", test.text, got, ok, test.want)
			continue
		}
		if ok && !cmp.Equal(test.want, got) {
			t.Errorf("Members(%q) = %q, want %q", test.text, got, test.want)
		}
	}
}

// FuzzMembers compares with encoding/json.
func FuzzMembers(f *testing.F) {
	f.Add([]byte(`{"errcode":0,"errmsg":"ok"}`))
	f.Add([]byte(`{"errcode":"\u0030","x":[{"y":{}}]}`))
	f.Add([]byte("{\"errmsg\":\"\xff\\ud800\\u0041\"}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := Members(data)
		var want map[string]json.RawMessage
		if json.Unmarshal(data, &want) != nil || want == nil || strings.Count(string(data), "[")+strings.Count(string(data), "{") >= maxDepth {
			return
		}
		if !ok || len(got) != len(want) {
			t.Fatalf("Members(%q) = %q, %v, want %d members", data, got, ok, len(want))
		}
		for name, value := range want {
			written := string(value)
			var text string
			if json.Unmarshal(value, &text) == nil && written != "null" {
				written = text
			}
			if got[name] != written {
				t.Errorf("Members(%q)[%q] = %q, want %q", data, name, got[name], written)
			}
		}
	})
}

func FuzzAppendString(f *testing.F) {
	f.Add("caused by \"x\"\n\tat main\x00 订单")
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		var got string
		if err := json.Unmarshal(AppendString(nil, text), &got); err != nil || got != text {
			t.Errorf("AppendString(%q) is read as %q, %v", text, got, err)
		}
	})
}
