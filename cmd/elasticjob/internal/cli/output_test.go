package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func TestPrintable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want, wantLine string }{
		{"plain", "plain", "plain"},
		{"two\nlines\tand a tab", "two\nlines\tand a tab", `two\nlines\tand a tab`},
		{"\x1b[31mred\x07", `\u001b[31mred\u0007`, `\u001b[31mred\u0007`},
		{"北京 ☃", "北京 ☃", "北京 ☃"},
		{"\u202eright to left", `\u202eright to left`, `\u202eright to left`},
		{"bad \xff byte", "bad \uFFFD byte", "bad \uFFFD byte"},
	} {
		if got := printable(tt.text); got != tt.want {
			t.Errorf("printable(%q) = %q, want %q", tt.text, got, tt.want)
		}
		if got := oneLine(tt.text); got != tt.wantLine {
			t.Errorf("oneLine(%q) = %q, want %q", tt.text, got, tt.wantLine)
		}
	}
}

func TestRequested(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		want string
	}{
		{"", formatTable},
		{"lint -c f", formatTable},
		{"lint -o json", formatJSON},
		{"-ojson lint", formatJSON},
		{"-o=yaml lint", formatYAML},
		{"lint --output yaml", formatYAML},
		{"lint --output=json", formatJSON},
		{"lint -o json -o table", formatTable},
		{"lint -o xml", formatTable},
		{"lint --offline", formatTable},
		{"lint -o", formatTable},
		{"lint -- -o json", formatTable},
	} {
		if got := requested(strings.Fields(tt.args), "output", "o", formatTable, formatJSON, formatYAML); got != tt.want {
			t.Errorf("requested(%q) = %q, want %q", tt.args, got, tt.want)
		}
	}
}

func TestRequestedWithoutAShortForm(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"run --log-format json": logJSON, "run --log-format=json": logJSON, "run -l json": logText, "run - json": logText, "run -ljson": logText, "run --log-format": logText,
	} {
		if got := requested(strings.Fields(args), "log-format", "", logText, logJSON); got != want {
			t.Errorf("requested(%q) = %q, want %q", args, got, want)
		}
	}
}

// TestYAMLSaysWhatJSONSays reads documents back that YAML could take for
// something else.
func TestYAMLSaysWhatJSONSays(t *testing.T) {
	t.Parallel()
	value := map[string]any{
		"text":        []any{"yes", "007", "1e3", "null", "~", "", " space ", "a: b", "# no comment", "two\nlines", "\x1b[31m", "2025-01-01", "北京", "0x1F", "- a"},
		"number":      []any{uint64(1735754400000), uint64(0), true},
		"empty":       []any{[]any{}, map[string]any{}},
		"host@-@3: x": "key",
	}
	document, err := encode(formatYAML, value, true)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := yaml.Unmarshal(document, &got); err != nil {
		t.Fatalf("reading back: %v\n%s", err, document)
	}
	if diff := cmp.Diff(value, got); diff != "" {
		t.Errorf("document differs (-want +got):\n%s\n%s", diff, document)
	}
}

func TestLogRecords(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	logger, err := newLogger(&b, logJSON, "warn")
	if err != nil {
		t.Fatal(err)
	}
	logger.Info("left out")
	logger.Warn("kept", "from", time.Date(2026, 1, 2, 3, 4, 5, 6_789_000, time.FixedZone("", 3600)))
	var record struct{ Time, Level, Msg, From string }
	if err := json.Unmarshal(b.Bytes(), &record); err != nil {
		t.Fatalf("record %q: %v", b.String(), err)
	}
	if record.Msg != "kept" || record.Level != slog.LevelWarn.String() || record.From != "2026-01-02T02:04:05.006Z" {
		t.Errorf("record = %+v, want the warning with its instant in UTC and milliseconds", record)
	}
	if _, err := time.Parse(timeLayout, record.Time); err != nil || !strings.HasSuffix(record.Time, "Z") {
		t.Errorf("time of the record = %q, want UTC with milliseconds", record.Time)
	}
}

func TestHeldWriter(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	h := &heldWriter{to: &b}
	write := func(text string) {
		if n, err := io.WriteString(h, text); n != len(text) || err != nil {
			t.Errorf("Write(%d bytes) = %d, %v", len(text), n, err)
		}
	}
	write("one\n")
	write(strings.Repeat("x", maxHeld))
	if b.Len() > 0 {
		t.Errorf("before the release %q was written", b.String())
	}
	h.release()
	write("two\n")
	h.release()
	if got, want := b.String(), "one\ntwo\n"; got != want {
		t.Errorf("after the release = %d bytes %.20q, want %q", len(got), got, want)
	}
}

// failingWriter fails like a closed pipe.
type failingWriter struct{}

var errClosedPipe = errors.New("closed pipe")

func (failingWriter) Write([]byte) (int, error) { return 0, errClosedPipe }

func TestResultThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"version"}, {"version", "-o", "yaml"}, {"cron", "next", "--stdin"}} {
		var errs bytes.Buffer
		status := Main(t.Context(), args, Environment{
			In: strings.NewReader("{}\n"), Out: failingWriter{}, Err: &errs,
			LookupEnv: func(string) (string, bool) { return "", false },
		})
		if status != exitFailed || !strings.Contains(errs.String(), errClosedPipe.Error()) {
			t.Errorf("%v = %d, %q, want status 1 and why", args, status, errs.String())
		}
	}
}
