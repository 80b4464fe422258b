package props_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi/props"
)

func field(name string, kind props.Type, change func(*props.Field)) props.Field {
	f := props.Field{Name: name, Type: kind, Description: "a test"}
	if change != nil {
		change(&f)
	}
	return f
}

func TestResolveChecksByRule(t *testing.T) {
	t.Parallel()
	schema := props.Schema{
		field("text", props.String, func(f *props.Field) { f.Min, f.Max, f.Pattern = "2", "5", "[a-z]+" }),
		field("count", props.Int, func(f *props.Field) { f.Min, f.Max = "1", "1000" }),
		field("share", props.Float, func(f *props.Field) { f.Max = "1" }),
		field("on", props.Bool, nil),
		field("wait", props.Duration, func(f *props.Field) { f.Min, f.Max = "1s", "1h" }),
		field("room", props.Size, func(f *props.Field) { f.Max = "64MiB" }),
		field("hosts", props.List, func(f *props.Field) { f.Max = "2" }),
		field("file", props.Path, nil),
		field("link", props.URL, nil),
		field("mode", props.String, func(f *props.Field) { f.Enum = []string{"fast", "slow"} }),
		field("header.*", props.String, func(f *props.Field) { f.Max = "3" }),
	}
	if err := schema.Check(); err != nil {
		t.Fatalf("Check() = %v, want nil", err)
	}
	tests := []struct{ name, value, rule string }{
		{"text", "abc", ""},
		{"text", "a", "min"},
		{"text", "abcdef", "max"},
		{"text", "abC", "pattern"},
		{"text", "xabc1", "pattern"},
		{"count", "1000", ""},
		{"count", "1001", "max"},
		{"count", "0", "min"},
		{"count", "1.5", "type"},
		{"count", "", "type"},
		{"count", "99999999999999999999", "type"},
		{"share", "0.5", ""},
		{"share", "1.1", "max"},
		{"share", "NaN", "type"},
		{"share", "much", "type"},
		{"on", "true", ""},
		{"on", "yes", "type"},
		{"on", "tRUE", "type"},
		{"on", "T", "type"},
		{"on", " true", "type"},
		{"wait", "1m30s", ""},
		{"wait", "500ms", "min"},
		{"wait", "2h", "max"},
		{"wait", "10", "type"},
		{"room", "64MiB", ""},
		{"room", "65MiB", "max"},
		{"room", "many", "type"},
		{"room", "-1", "type"},
		{"hosts", "a, b", ""},
		{"hosts", "a,b,c", "max"},
		{"hosts", "", ""},
		{"file", "../x", ""},
		{"link", "https://example.com/x", ""},
		{"link", "example.com", "type"},
		{"link", "://", "type"},
		{"mode", "fast", ""},
		{"mode", "FAST", "enum"},
		{"header.x", "abc", ""},
		{"header.x", "abcd", "max"},
		{"headerx", "a", "unknown-property"},
		{"nothing", "a", "unknown-property"},
	}
	for _, tt := range tests {
		values, problems := schema.Resolve(map[string]string{tt.name: tt.value})
		got := ""
		if len(problems) == 1 {
			got = problems[0].Rule
		}
		if got != tt.rule || len(problems) > 1 {
			t.Errorf("Resolve(%s=%q) = %v, want rule %q", tt.name, tt.value, problems, tt.rule)
		}
		if values[tt.name] != tt.value {
			t.Errorf("Resolve(%s=%q) keeps %q", tt.name, tt.value, values[tt.name])
		}
	}
}

func TestABoolIsSpeltAsInYAML(t *testing.T) {
	t.Parallel()
	schema := props.Schema{
		field("on", props.Bool, func(f *props.Field) { f.Enum = []string{"true", "false"} }),
		field("text", props.String, nil),
		field("*", props.String, nil),
	}
	for given, want := range map[string]string{"true": "true", "True": "true", "TRUE": "true", "false": "false", "False": "false", "FALSE": "false"} {
		values, problems := schema.Resolve(map[string]string{"on": given, "text": given, "other": given})
		if diff := cmp.Diff(props.Values{"on": want, "text": given, "other": given}, values); diff != "" || len(problems) > 0 {
			t.Errorf("Resolve(on=%s) = %v, values (-want +got):\n%s", given, problems, diff)
		}
		if got := values.Bool("on"); got != (want == "true") {
			t.Errorf("Resolve(on=%s).Bool = %t, want %s", given, got, want)
		}
	}
}

func TestResolveFillsInDefaultsAndAsksForWhatIsRequired(t *testing.T) {
	t.Parallel()
	schema := props.Schema{
		field("a", props.Int, func(f *props.Field) { f.Default = "7" }),
		field("b", props.String, func(f *props.Field) { f.Required = true }),
		field("c.*", props.String, nil),
	}
	values, problems := schema.Resolve(nil)
	if len(problems) != 1 || problems[0].Property != "b" || problems[0].Rule != "required" {
		t.Errorf("Resolve(nothing) = %v, want b required", problems)
	}
	if diff := cmp.Diff(props.Values{"a": "7"}, values); diff != "" {
		t.Errorf("values differ (-want +got):\n%s", diff)
	}
	if values, problems := schema.Resolve(map[string]string{"a": "9", "b": "x"}); len(problems) != 0 || values.Int("a") != 9 {
		t.Errorf("Resolve(a=9, b=x) = %v, %v, want 9 kept", values, problems)
	}
}

func TestASecretIsNotShown(t *testing.T) {
	t.Parallel()
	schema := props.Schema{field("token", props.Int, func(f *props.Field) { f.Secret = true; f.Max = "5" })}
	for _, value := range []string{"hunter2", "1234"} {
		_, problems := schema.Resolve(map[string]string{"token": value})
		if len(problems) != 1 || strings.Contains(problems[0].Message, value) {
			t.Errorf("Resolve(secret %q) = %v, want a problem without the value", value, problems)
		}
	}
}

func TestMisspeltNamesAreFoundBesideFreeOnes(t *testing.T) {
	t.Parallel()
	schema := props.Schema{
		field("simple.function", props.String, nil), field("*", props.String, nil),
		field("dingtalk.webhook", props.String, nil), field("dingtalk.connectTimeout", props.String, nil), field("mail.x.*", props.Int, nil),
		field("window", props.String, nil),
	}
	for name, want := range map[string]string{
		"dingtalk.webhok":        "dingtalk.webhook",
		"dingtalk.WebHook":       "dingtalk.webhook",
		"dingtalk.conectTimeout": "dingtalk.connectTimeout",
		"dingtalk.connectTimeut": "dingtalk.connectTimeout",
		"simple.functon":         "simple.function",
		"dingtalk.webhook":       "",
		"dingtalk.weight":        "", // no misspelling, although most of it is alike
		"dingtalk.group":         "",
		"dingtak.webhook":        "", // whose it is nobody knows
		"orders.webhok":          "",
		"dingtalkwebhook":        "",
		"dingtalk":               "",
		"windo":                  "",
		"mail.x":                 "",
		"mail.x.7":               "type",
		"*":                      "",
		".":                      "",
		"":                       "",
	} {
		_, problems := schema.Resolve(map[string]string{name: "text"})
		got := ""
		if len(problems) == 1 {
			got = problems[0].Rule
			if after, ok := strings.CutPrefix(problems[0].Message, "is not a property of these plugins; did you mean "); ok && got == "unknown-property" {
				got = strings.Trim(after, `"?`)
			}
		}
		if got != want || len(problems) > 1 {
			t.Errorf("Resolve(%s) = %v, want %q", name, problems, want)
		}
	}
}

func TestLongestPrefixCounts(t *testing.T) {
	t.Parallel()
	schema := props.Schema{field("*", props.String, nil), field("a.*", props.Int, nil), field("a.b.*", props.Bool, nil), field("a.b.c", props.Float, nil)}
	for name, want := range map[string]props.Type{"x": props.String, "a.x": props.Int, "a.b.x": props.Bool, "a.b.c": props.Float} {
		if f, ok := schema.Find(name); !ok || f.Type != want {
			t.Errorf("Find(%s) = %v, %v, want type %s", name, f, ok, want)
		}
	}
}

func TestCheckExamplesRefusesWhatTheirFieldDoes(t *testing.T) {
	t.Parallel()
	schema := props.Schema{
		field("good", props.Int, func(f *props.Field) { f.Min, f.Example, f.Required = "1", "7", true }),
		field("none", props.Int, nil),
		field("few", props.Int, func(f *props.Field) { f.Min, f.Example = "1", "0" }),
		field("mode", props.String, func(f *props.Field) { f.Max, f.Enum = "4", []string{"slow", "faster"} }),
		field("header.*", props.Duration, func(f *props.Field) { f.Example = "soon" }),
	}
	var got []string
	for _, p := range schema.CheckExamples() {
		got = append(got, p.Property+" "+p.Rule+" "+p.Message)
	}
	want := []string{
		`few min refuses its own example or value "0": it is "0", must be at least 1`,
		`mode max refuses its own example or value "faster": it is "faster", must be of length at most 4`,
		`header.* type refuses its own example or value "soon": it is no duration: "soon" is not a duration such as 500ms or 1m30s`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("CheckExamples() (-want +got):\n%s", diff)
	}
}

func TestCheckRefusesBadSchemas(t *testing.T) {
	t.Parallel()
	tests := []struct {
		want   string
		schema props.Schema
	}{
		{"name is empty", props.Schema{field("", props.Int, nil)}},
		{"description is missing", props.Schema{{Name: "a", Type: props.Int}}},
		{"unknown type", props.Schema{field("a", "number", nil)}},
		{"listed twice", props.Schema{field("a", props.Int, nil), field("a", props.Int, nil)}},
		{"not a regular expression", props.Schema{field("a", props.String, func(f *props.Field) { f.Pattern = "(" })}},
		{"bound", props.Schema{field("a", props.Int, func(f *props.Field) { f.Min = "low" })}},
		{"bound", props.Schema{field("a", props.String, func(f *props.Field) { f.Max = "-1" })}},
		{"default", props.Schema{field("a", props.Int, func(f *props.Field) { f.Default = "x" })}},
		{"no default", props.Schema{field("a", props.Int, func(f *props.Field) { f.Default = "1"; f.Required = true })}},
		{"longer than", props.Schema{field(strings.Repeat("a", 5000), props.Int, nil)}},
		{"more than 256 properties", make(props.Schema, 257)},
	}
	for _, tt := range tests {
		if err := tt.schema.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Check(%.60v) = %v, want an error with %q", tt.schema, err, tt.want)
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	v := props.Values{"i": "-3", "f": "0.5", "b": "true", "d": "1m", "s": "2KiB", "l": " a , b", "t": "x"}
	if v.Int("i") != -3 || v.Float("f") != 0.5 || !v.Bool("b") || v.Duration("d") != time.Minute || v.Size("s") != 2048 || v.String("t") != "x" {
		t.Errorf("typed readers of %v are wrong", v)
	}
	if diff := cmp.Diff([]string{"a", "b"}, v.List("l")); diff != "" {
		t.Errorf("List() differs (-want +got):\n%s", diff)
	}
	if v.Int("none") != 0 || v.Float("t") != 0 || v.Bool("none") || v.Duration("t") != 0 || v.Size("t") != 0 || v.List("none") != nil {
		t.Error("a property that is missing or of another type is not the zero value")
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0": 0, "5": 5, "5B": 5, "1KiB": 1024, "3MiB": 3 << 20, "1GiB": 1 << 30, "2KB": 2000, "2MB": 2e6, "2GB": 2e9} {
		if got, err := props.ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "B", "KiB", "1K", "1kib", "-1", "+1", "1.5MiB", "1iBK", "99999999999GiB", "9223372036854775808", "0x10"} {
		if got, err := props.ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", text, got)
		}
	}
}

func TestJSONSchema(t *testing.T) {
	t.Parallel()
	data, err := props.Schema{
		field("a", props.Int, func(f *props.Field) { f.Default, f.Min, f.Example = "7", "1", "3" }),
		field("b", props.String, func(f *props.Field) { f.Required, f.Secret, f.Pattern = true, true, "x+" }),
		field("h.*", props.String, nil),
	}.JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
		"required": []any{"b"},
		"properties": map[string]any{
			"a": map[string]any{"type": "string", "format": "int", "description": "a test", "default": "7", "x-minimum": "1", "examples": []any{"3"}},
			"b": map[string]any{"type": "string", "description": "a test", "writeOnly": true, "pattern": "^(?:x+)$"},
		},
		"patternProperties": map[string]any{`^h\.`: map[string]any{"type": "string", "description": "a test"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("JSONSchema() differs (-want +got):\n%s", diff)
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("int", "5", "1", "9", "")
	f.Add("size", "64MiB", "", "1GiB", "")
	f.Add("string", "abc", "1", "", "[a-z]+")
	f.Add("url", "http://x/", "", "", "")
	f.Fuzz(func(t *testing.T, kind, value, low, high, pattern string) {
		schema := props.Schema{{Name: "p", Type: props.Type(kind), Description: "d", Min: low, Max: high, Pattern: pattern}}
		if schema.Check() != nil {
			return
		}
		_, problems := schema.Resolve(map[string]string{"p": value})
		for _, p := range problems {
			if p.Property != "p" || p.Rule == "" || p.Message == "" {
				t.Errorf("problem %+v is not complete", p)
			}
		}
	})
}

func TestASecretHasNoDefault(t *testing.T) {
	t.Parallel()
	schema := props.Schema{field("token", props.String, func(f *props.Field) { f.Secret, f.Default = true, "hunter2" })}
	err := schema.Check()
	if err == nil || !strings.Contains(err.Error(), "a secret property has no default") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Check() = %v, want that a secret has no default, and not the default", err)
	}
}

func TestARequiredPropertyIsNotEmpty(t *testing.T) {
	t.Parallel()
	schema := props.Schema{
		field("module", props.Path, func(f *props.Field) { f.Required = true }),
		field("note", props.String, nil),
	}
	_, problems := schema.Resolve(map[string]string{"module": "", "note": ""})
	want := []props.Problem{{Property: "module", Rule: "required", Message: "is empty and required: a test"}}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Errorf("Resolve() differs (-want +got):\n%s", diff)
	}
}

func TestAnUnknownPropertyComesWithASuggestion(t *testing.T) {
	t.Parallel()
	schema := props.Schema{field("batch.size", props.Int, nil), field("header.*", props.String, nil)}
	for name, want := range map[string]string{
		"batch.sise": `is not a property of these plugins; did you mean "batch.size"?`,
		"batchSize":  `is not a property of these plugins; did you mean "batch.size"?`,
		"nothing":    `is not a property of these plugins`,
	} {
		_, problems := schema.Resolve(map[string]string{name: "1"})
		if len(problems) != 1 || problems[0].Message != want {
			t.Errorf("Resolve(%s) = %v, want %q", name, problems, want)
		}
	}
}
