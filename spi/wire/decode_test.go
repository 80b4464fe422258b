package wire

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
)

func TestDecodeIsLenientWhereTheContractIs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, response, want string
	}{
		{"empty output", ``, ""},
		{"empty object", `{}`, ""},
		{"space", " {\t\"message\"\r:\n\"a\" } \n", "a"},
		{"unknown member", `{"more":[{"x":1.5e-7},null,true],"message":"a"}`, "a"},
		{"duplicate, last wins", `{"message":"a","message":"b"}`, "b"},
		{"duplicate of another type before", `{"message":7,"message":"b"}`, "b"},
		{"escaped name", `{"\u006dessage":"a"}`, "a"},
		{"all escapes", `{"message":"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00"}`, "\"\\/\b\f\n\r\té😀"},
		{"control character as escape", `{"message":"\u0000\u001f"}`, "\x00\x1f"},
		{"delete and line separator unescaped", "{\"message\":\"\x7f\u2028\"}", "\x7f\u2028"},
		{"deepest", `{"x":` + strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1) + `,"message":"a"}`, "a"},
		{"long message is cut", `{"message":"` + strings.Repeat("é", MaxText) + `"}`, strings.Repeat("é", MaxText/2-2) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := DecodeExecuteResponse([]byte(tt.response))
			if err != nil {
				t.Fatalf("DecodeExecuteResponse(%s): %v", tt.response, err)
			}
			if got.Message != tt.want {
				t.Errorf("DecodeExecuteResponse(%s) = %q, want %q", tt.response, got.Message, tt.want)
			}
		})
	}
}

func TestDecodeRefusesWrongSyntax(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, message, want string
	}{
		{"space only", " ", "a JSON value at byte 1"},
		{"byte order mark", "\uFEFF{}", "a JSON value at byte 0"},
		{"two values", `{} {}`, "the end of the message at byte 3"},
		{"text behind", `{}x`, "the end of the message at byte 2"},
		{"not JSON", `hello`, "a JSON value at byte 0"},
		{"open object", `{`, "a member name at byte 1"},
		{"open array", `{"a":[1`, "',' or ']' at byte 7"},
		{"trailing comma", `{"a":1,}`, "a member name at byte 7"},
		{"trailing comma in array", `{"a":[1,]}`, "a JSON value at byte 8"},
		{"no colon", `{"a" 1}`, "':' at byte 5"},
		{"no comma", `{"a":1 "b":2}`, "',' or '}' at byte 7"},
		{"single quotes", `{'a':1}`, "a member name at byte 1"},
		{"open string", `{"a":"b`, "'\"' at byte 7"},
		{"raw newline", "{\"a\":\"\n\"}", "an escaped control character at byte 6"},
		{"not UTF-8", "{\"a\":\"\xff\"}", "valid UTF-8 at byte 6"},
		{"overlong UTF-8", "{\"a\":\"\xc0\xaf\"}", "valid UTF-8 at byte 6"},
		{"surrogate in UTF-8", "{\"a\":\"\xed\xa0\x80\"}", "valid UTF-8 at byte 6"},
		{"unknown escape", `{"a":"\x"}`, "an escape sequence at byte 6"},
		{"cut escape", `{"a":"\`, "an escape sequence at byte 6"},
		{"short unicode escape", `{"a":"\u12"}`, "a Unicode escape of a whole character at byte 6"},
		{"high surrogate alone", `{"a":"\ud83d"}`, "a Unicode escape of a whole character at byte 6"},
		{"low surrogate alone", `{"a":"\ude00"}`, "a Unicode escape of a whole character at byte 6"},
		{"two high surrogates", `{"a":"\ud83d\ud83d"}`, "a Unicode escape of a whole character at byte 6"},
		{"leading zero", `{"a":01}`, "',' or '}' at byte 6"},
		{"plus", `{"a":+1}`, "a JSON value at byte 5"},
		{"bare minus", `{"a":-}`, "a digit at byte 6"},
		{"no fraction", `{"a":1.}`, "a digit at byte 7"},
		{"no exponent", `{"a":1e}`, "a digit at byte 7"},
		{"NaN", `{"a":NaN}`, "a JSON value at byte 5"},
		{"cut word", `{"a":tru}`, "a JSON value at byte 5"},
		{"comment", `{/**/}`, "a member name at byte 1"},
		{"too deep", `{"a":` + strings.Repeat("[", maxDepth), "at most 64 levels at byte 68"},
		{"too deep in objects", strings.Repeat(`{"a":`, maxDepth+1), "at most 64 levels at byte 320"},
		{"too long", `{"a":"` + strings.Repeat("x", MaxMessage) + `"}`, "at most 16777216 bytes, not 16777224"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := DecodeExecuteResponse([]byte(tt.message))
			wantProtocol(t, err, "execute response: expected "+tt.want)
		})
	}
}

func TestDecodeNamesTheMember(t *testing.T) {
	t.Parallel()
	context := func(data []byte) error { _, err := DecodeContext(data); return err }
	execute := func(data []byte) error { _, _, err := DecodeExecuteRequest(data); return err }
	response := func(data []byte) error { _, err := DecodeExecuteResponse(data); return err }
	describe := func(data []byte) error { _, err := DecodeDescribeResponse(data); return err }
	object := func(data []byte) error { _, err := DecodeError(data); return err }
	stop := func(data []byte) error { _, _, err := DecodeShouldStopResponse(data); return err }
	full := string(AppendContext(nil, fullContext()))
	with := func(old, replacement string) string {
		if !strings.Contains(full, old) {
			t.Fatalf("the full context %s does not hold %s", full, old)
		}
		return strings.Replace(full, old, replacement, 1)
	}
	plugin := func(property string) string {
		return `{"plugins":[{"kind":"jobType","type":"A","version":"","description":"","props":[` + property + `],"capabilities":[]}]}`
	}
	tests := []struct {
		name    string
		decode  func([]byte) error
		message string
		want    string
	}{
		{"message is no object", response, `[]`, "execute response: expected an object, not an array"},
		{"message is null", response, `null`, "execute response: expected an object, not null"},
		{"wrong type", response, `{"message":5}`, "execute response: message: expected a string, not a number"},
		{"null for text", response, `{"message":null}`, "execute response: message: expected a string, not null"},
		{"empty error object", object, ``, "error object: expected a JSON value at byte 0"},
		{"no message", object, `{"code":1}`, "error object: message: expected this mandatory member"},
		{"code in quotes", object, `{"code":"1","message":""}`, "error object: code: expected an integer, not a string"},
		{"code with fraction", object, `{"code":1.0,"message":""}`, "error object: code: expected an integer from -2147483648 to 2147483647, not 1.0"},
		{"code too large", object, `{"code":2147483648,"message":""}`, "error object: code: expected an integer from -2147483648 to 2147483647, not 2147483648"},
		{"hint of another type", object, `{"message":"","retryable":0}`, "error object: retryable: expected true or false, not a number"},
		{"stop missing", stop, `{}`, "should_stop response: stop: expected this mandatory member"},
		{"missing member", context, with(`"props":`, `"prop":`), "context: props: expected this mandatory member"},
		{"property of another type", context, with(`"500"`, `500`), `context: props["batch.size"]: expected a string, not a number`},
		{"props no object", context, with(`"props":{`, `"props":[],"x":{`), `context: props: expected an object, not an array`},
		{"negative item", context, with(`"shardingItem":2`, `"shardingItem":-2`), "context: shardingItem: expected an integer from 0 to 9007199254740991, not -2"},
		{"item above 2^53", context, with(`"shardingItem":2`, `"shardingItem":9007199254740992`), "context: shardingItem: expected an integer from 0 to 9007199254740991, not 9007199254740992"},
		{"instant without milliseconds", context, with(`25.120Z`, `25Z`), `context: fireTime: expected an instant such as 2006-01-02T15:04:05.000Z, not "2026-11-21T10:04:25Z"`},
		{"instant with a comma", context, with(`25.120Z`, `25,120Z`), `context: fireTime: expected an instant such as 2006-01-02T15:04:05.000Z, not "2026-11-21T10:04:25,120Z"`},
		{"instant in a zone", context, with(`25.120Z`, `25.120+01:00`), `context: fireTime: expected an instant such as 2006-01-02T15:04:05.000Z, not "2026-11-21T10:04:25.120+01:00"`},
		{"token as number", context, with(`"9007199254740993"`, `9007199254740993`), "context: fencingToken: expected a string, not a number"},
		{"token with sign", context, with(`"9007199254740993"`, `"+1"`), `context: fencingToken: expected a 64 bit integer as a decimal string, not "+1"`},
		{"token too large", context, with(`"9007199254740993"`, `"9223372036854775808"`), `context: fencingToken: expected a 64 bit integer as a decimal string, not "9223372036854775808"`},
		{"checkpoint not base64", context, with(`"AAEC/w=="`, `"AAEC/w"`), "context: checkpoint: expected base64 with padding"},
		{"checkpoint too long", context, with(`"AAEC/w=="`, `"`+base64.StdEncoding.EncodeToString(make([]byte, MaxCheckpoint+1))+`"`), "context: checkpoint: expected at most 65536 bytes"},
		{"other request", execute, `{"abi":1,"type":"shard"}`, `execute request: type: expected "execute", not "shard"`},
		{"other version", execute, `{"abi":2,"type":"execute"}`, "execute request: abi: expected an integer from 1 to 1, not 2"},
		{"inside the context", execute, `{"abi":1,"type":"execute","plugin":"A","context":{}}`, "execute request: context.jobName: expected this mandatory member"},
		{"plugins no array", describe, `{"plugins":{}}`, "describe response: plugins: expected an array, not an object"},
		{"plugin no object", describe, `{"plugins":["ORDERS"]}`, "describe response: plugins[0]: expected an object, not a string"},
		{"property without description", describe, plugin(`{"name":"a","type":"int"}`), "describe response: plugins[0].props[0].description: expected this mandatory member"},
		{"default no string", describe, plugin(`{"name":"a","type":"int","description":"b","default":100}`), "describe response: plugins[0].props[0].default: expected a string, not a number"},
		{"enum of numbers", describe, plugin(`{"name":"a","type":"int","description":"b","enum":["1",2]}`), "describe response: plugins[0].props[0].enum[1]: expected a string, not a number"},
		{"too many plugins", describe, `{"plugins":[` + strings.Repeat(`{"kind":"","type":"","version":"","description":"","props":[],"capabilities":[]},`, MaxPlugins) + `7]}`, "describe response: plugins: expected at most 256 elements"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantProtocol(t, tt.decode([]byte(tt.message)), tt.want)
		})
	}
}

func wantProtocol(t *testing.T, err error, message string) {
	t.Helper()
	var e *spi.Error
	if !errors.As(err, &e) {
		t.Fatalf("error = %v, want an *spi.Error: %s", err, message)
	}
	if e.Code != spi.CodeProtocol || e.Message != message {
		t.Errorf("error = %v: %s\nwant PROTOCOL: %s", e.Code, e.Message, message)
	}
}

func TestDecodeErrorDefaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		message string
		want    spi.Error
	}{
		{`{"message":"m"}`, spi.Error{Code: spi.CodeFailed, Message: "m"}},
		{`{"code":13,"message":"m"}`, spi.Error{Code: spi.CodeUnavailable, Message: "m", Retryable: true}},
		{`{"code":13,"message":"m","retryable":false}`, spi.Error{Code: spi.CodeUnavailable, Message: "m"}},
		{`{"code":1,"message":"m","retryable":true}`, spi.Error{Code: spi.CodeFailed, Message: "m", Retryable: true}},
		{`{"code":2,"message":"m","property":"p"}`, spi.Error{Code: spi.CodeInvalidProperties, Message: "m", Property: "p"}},
	}
	for _, tt := range tests {
		got, err := DecodeError([]byte(tt.message))
		if err != nil {
			t.Errorf("DecodeError(%s): %v", tt.message, err)
			continue
		}
		if diff := cmp.Diff(&tt.want, got); diff != "" {
			t.Errorf("DecodeError(%s) (-want +got):\n%s", tt.message, diff)
		}
	}
}
