package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
)

// FuzzSyntax compares what is accepted with encoding/json, which is more
// lenient in three known ways: depth, UTF-8 and lone surrogates.
func FuzzSyntax(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` [1, -0.5e+7, "aé😀", true, false, null] `, `"\ud83d\ude00"`, `"\ud83d"`, `01`, `{"a":{"a":[{}]}}`, "\"\xff\"", "\uFEFF1", `1 2`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		value, bad := parse(data)
		if bad != nil {
			if json.Valid(data) && utf8.Valid(data) && !mayHoldSurrogate(data) && !mayBeDeep(data) {
				t.Errorf("parse(%q): expected %s, but the text is valid", data, bad.want)
			}
			return
		}
		if !json.Valid(data) {
			t.Errorf("parse(%q) accepts invalid text", data)
		}
		if !utf8.Valid(data) {
			t.Errorf("parse(%q) accepts text that is not UTF-8", data)
		}
		if value[0] != '"' {
			return
		}
		var want string
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("json.Unmarshal(%q): %v", data, err)
		}
		got := value.text()
		if got != want {
			t.Errorf("text of %q = %q, want %q", data, got, want)
		}
		if !value.is(got) {
			t.Errorf("%q is(%q) = false, want true", data, got)
		}
	})
}

func mayHoldSurrogate(data []byte) bool {
	return bytes.Contains(bytes.ToLower(data), []byte(`\ud`))
}

func mayBeDeep(data []byte) bool {
	return bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > maxDepth
}

// FuzzString checks that every text, valid or not, crosses as encoding/json
// would let it cross.
func FuzzString(f *testing.F) {
	for _, seed := range []string{"", "a\"\\\n\r\t\x00\x1f\x7f", "é😀\u2028", "\xff\xc0\xaf", "\xed\xa0\x80", "�"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		encoded := appendString(nil, text)
		var got string
		if err := json.Unmarshal(encoded, &got); err != nil {
			t.Fatalf("appendString(%q) = %s: %v", text, encoded, err)
		}
		if want := string([]rune(text)); got != want {
			t.Errorf("appendString(%q) is read as %q, want %q", text, got, want)
		}
	})
}

func FuzzBase64(f *testing.F) {
	for _, seed := range []string{"", "AA==", "AAE=", "AAEC", "AA=", "=AAA", "AB==", "A===", "AA==AA==", "AAEC\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := decodeBase64(text)
		want, err := base64.StdEncoding.DecodeString(text)
		if strings.ContainsAny(text, "\r\n") {
			if ok {
				t.Errorf("decodeBase64(%q) accepts line breaks", text)
			}
			return
		}
		if ok != (err == nil) {
			t.Fatalf("decodeBase64(%q) accepts = %t, encoding/base64 says %v", text, ok, err)
		}
		if ok && !bytes.Equal(got, want) {
			t.Errorf("decodeBase64(%q) = %x, want %x", text, got, want)
		}
		if encoded := string(appendBase64(nil, []byte(text))); encoded != base64.StdEncoding.EncodeToString([]byte(text)) {
			t.Errorf("appendBase64(%q) = %s, want %s", text, encoded, base64.StdEncoding.EncodeToString([]byte(text)))
		}
	})
}

func FuzzInstant(f *testing.F) {
	for _, seed := range []string{"2026-11-21T10:04:25.120Z", "0000-02-29T00:00:00.000Z", "1900-02-29T00:00:00.000Z", "2026-01-01T00:00:00,000Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseInstant(text)
		// Parse takes a comma for the point and hours of one digit.
		want, err := time.Parse(instantForm, text)
		if wellFormed := err == nil && want.Format(instantForm) == text; ok != wellFormed || ok && got != want {
			t.Errorf("parseInstant(%q) = %v, %t; package time says %v, error %v", text, got, ok, want, err)
		}
	})
}

func FuzzDecodeContext(f *testing.F) {
	f.Add(AppendContext(nil, fullContext()))
	f.Add(AppendContext(nil, emptyContext()))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := DecodeContext(data)
		checkDecoded(t, data, err, func() []byte { return AppendContext(nil, c) }, func(again []byte) (any, any, error) {
			d, err := DecodeContext(again)
			return c, d, err
		})
	})
}

func FuzzDecodeExecuteRequest(f *testing.F) {
	f.Add(AppendExecuteRequest(nil, "ORDERS", fullContext()))
	f.Add(AppendExecuteRequest(nil, "", emptyContext()))
	f.Fuzz(func(t *testing.T, data []byte) {
		type request struct {
			Plugin  string
			Context spi.ShardingContext
		}
		plugin, c, err := DecodeExecuteRequest(data)
		checkDecoded(t, data, err, func() []byte { return AppendExecuteRequest(nil, plugin, c) }, func(again []byte) (any, any, error) {
			plugin2, c2, err := DecodeExecuteRequest(again)
			return request{plugin, c}, request{plugin2, c2}, err
		})
	})
}

func FuzzDecodeDescribeResponse(f *testing.F) {
	f.Add(AppendDescribeResponse(nil, fullDescriptors()))
	f.Add([]byte(`{"plugins":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		plugins, err := DecodeDescribeResponse(data)
		checkDecoded(t, data, err, func() []byte { return AppendDescribeResponse(nil, plugins) }, func(again []byte) (any, any, error) {
			plugins2, err := DecodeDescribeResponse(again)
			return plugins, plugins2, err
		})
	})
}

func FuzzDecodeExecuteResponse(f *testing.F) {
	f.Add([]byte(`{"message":"a","more":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := DecodeExecuteResponse(data)
		if len(data) == 0 {
			return
		}
		checkDecoded(t, data, err, func() []byte { return AppendExecuteResponse(nil, r) }, func(again []byte) (any, any, error) {
			r2, err := DecodeExecuteResponse(again)
			return r, r2, err
		})
		if len(r.Message) > MaxText {
			t.Errorf("DecodeExecuteResponse returns a message of %d bytes, want at most %d", len(r.Message), MaxText)
		}
	})
}

func FuzzDecodeError(f *testing.F) {
	f.Add(AppendError(nil, &spi.Error{Code: 2, Message: "m", Stack: "s", Retryable: true, Property: "p"}))
	f.Add([]byte(`{"code":-1,"message":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := DecodeError(data)
		checkDecoded(t, data, err, func() []byte { return AppendError(nil, e) }, func(again []byte) (any, any, error) {
			e2, err := DecodeError(again)
			return e, e2, err
		})
		if err == nil && (len(e.Message) > MaxText || len(e.Stack) > MaxStack) {
			t.Errorf("DecodeError returns a message of %d and a stack of %d bytes", len(e.Message), len(e.Stack))
		}
	})
}

func FuzzDecodeShouldStopResponse(f *testing.F) {
	f.Add([]byte(`{"stop":true,"reason":"stopping"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		type response struct {
			Stop   bool
			Reason string
		}
		stop, reason, err := DecodeShouldStopResponse(data)
		checkDecoded(t, data, err, func() []byte { return AppendShouldStopResponse(nil, stop, reason) }, func(again []byte) (any, any, error) {
			stop2, reason2, err := DecodeShouldStopResponse(again)
			return response{stop, reason}, response{stop2, reason2}, err
		})
	})
}

// checkDecoded checks what all decoders promise: an error is PROTOCOL and
// bounded; what is accepted is a JSON object and survives another round trip.
func checkDecoded(t *testing.T, data []byte, err error, encode func() []byte, decodeAgain func([]byte) (before, after any, err error)) {
	t.Helper()
	if err != nil {
		if e := spi.AsError(err); e.Code != spi.CodeProtocol || e.Message == "" || len(e.Message) > MaxText {
			t.Errorf("decoding %q fails with %v and a message of %d bytes, want PROTOCOL and at most %d", data, e.Code, len(e.Message), MaxText)
		}
		return
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		t.Errorf("decoding %q succeeds, but it is no object: %v", data, err)
	}
	again := encode()
	before, after, err := decodeAgain(again)
	if err != nil {
		t.Fatalf("decoding what was encoded, %s: %v", again, err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("round trip of %q (-before +after):\n%s", data, diff)
	}
}
