package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// run runs a command in this process.
func run(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = Main(t.Context(), args, Environment{
		In: strings.NewReader(stdin), Out: &out, Err: &errs,
		LookupEnv: func(string) (string, bool) { return "", false },
	})
	return status, out.String(), errs.String()
}

// TestCronVectors feeds the test vectors, which have the form of requests and
// more members, to cron next --stdin.
func TestCronVectors(t *testing.T) {
	t.Parallel()
	vectors, err := os.ReadFile("testdata/cron.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := run(t, string(vectors), "cron", "next", "--stdin")
	if status != exitOK || stderr != "" {
		t.Fatalf("cron next --stdin = %d, stderr %q, want 0 and nothing", status, stderr)
	}
	answers := bufio.NewScanner(strings.NewReader(stdout))
	answers.Buffer(nil, 1<<20)
	binding := 0
	for line := range bytes.Lines(vectors) {
		var vector struct {
			ID, Expr, TZ string
			Must         bool
			Expect       struct {
				Status string
				Times  []int64
			}
		}
		if err := json.Unmarshal(line, &vector); err != nil {
			t.Fatal(err)
		}
		if !answers.Scan() {
			t.Fatalf("no answer to vector %s", vector.ID)
		}
		if !vector.Must {
			continue
		}
		binding++
		var answer struct {
			Times []int64
			Error string
		}
		if err := json.Unmarshal(answers.Bytes(), &answer); err != nil {
			t.Fatalf("answer to vector %s: %v", vector.ID, err)
		}
		if vector.Expect.Status == "parse_error" {
			if answer.Error == "" {
				t.Errorf("cron next %q = %v, want an error (vector %s)", vector.Expr, answer.Times, vector.ID)
			}
			continue
		}
		want := append([]int64{}, vector.Expect.Times...)
		if diff := cmp.Diff(want, answer.Times); diff != "" {
			t.Errorf("cron next %q in %s differs (vector %s, error %q; -want +got):\n%s", vector.Expr, vector.TZ, vector.ID, answer.Error, diff)
		}
	}
	if answers.Scan() {
		t.Errorf("there are more answers than vectors: %s", answers.Text())
	}
	if binding < 900 {
		t.Errorf("%d vectors bind, want at least 900", binding)
	}
}

func TestCronLongLines(t *testing.T) {
	t.Parallel()
	good := `{"expr":"0 0 2 * * ?","start":1,"n":1}`
	fill := func(n int) string { return good + strings.Repeat(" ", n-len(good)) }
	stdin := fill(maxCronLine) + "\n" + fill(maxCronLine) + "\r\n" + fill(maxCronLine+1) + "\n" + fill(5*maxCronLine) + "\n" + good
	status, stdout, _ := run(t, stdin, "cron", "next", "--stdin")
	times, tooLong := `{"times":[7200000]}`, `{"error":"the line is longer than 64 KiB"}`
	want := strings.Join([]string{times, times, tooLong, tooLong, times}, "\n") + "\n"
	if status != exitOK || stdout != want {
		t.Errorf("cron next --stdin = %d, %q, want 0 and %q", status, stdout, want)
	}
}

// TestCronAnswersAtOnce holds the next line back until the answer to the one
// before has come.
func TestCronAnswersAtOnce(t *testing.T) {
	t.Parallel()
	in, input, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	output, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- answerCronLines(t.Context(), in, out)
		_ = out.Close()
	}()
	answers := bufio.NewReader(output)
	for range 3 {
		if _, err := input.WriteString(`{"expr":"0 0 2 * * ?","start":1,"n":1}` + "\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := answers.ReadString('\n'); err != nil || got != `{"times":[7200000]}`+"\n" {
			t.Fatalf("answer = %q, %v", got, err)
		}
	}
	if err := input.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("answerCronLines() = %v, want nil at the end of stdin", err)
	}
}

func TestCaret(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		text   string
		column int
		want   string
	}{
		{"first", "x 0", 1, "^"},
		{"past the end", "0 0", 4, "   ^"},
		{"after a character of several bytes", "é x", 3, "  ^"},
		{"after a short escape", "\t x", 3, `   ^`},
		{"after an escape", "\x01 x", 3, `       ^`},
		{"far past the end", "0", 99, " ^"},
		{"no column", "0", 0, "^"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := caret(tt.text, tt.column); got != tt.want {
				t.Errorf("caret(%q, %d) = %q, want %q", tt.text, tt.column, got, tt.want)
			}
		})
	}
}

// FuzzAnswerCronLine checks that every line has one answer, a JSON object on
// one line with either times or an error.
func FuzzAnswerCronLine(f *testing.F) {
	f.Add([]byte(`{"expr":"0 0 2 * * ?","tz":"Asia/Shanghai","start":1735689600000,"n":3}`))
	f.Add([]byte(`{"expr":"\u0000 ☃","start":-9223372036854775808,"n":2}`))
	f.Add([]byte(`{"expr":"0 0 2 * * ?","start":9223372036854775807,"tz":"GMT-23:59"}`))
	f.Add([]byte("{\"expr\":\"\xff\",\"start\":1}"))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, line []byte) {
		answer := answerCronLine(line)
		if bytes.Count(answer, []byte("\n")) != 1 || answer[len(answer)-1] != '\n' {
			t.Fatalf("answerCronLine(%q) = %q, want one line", line, answer)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(answer, &members); err != nil {
			t.Fatalf("answerCronLine(%q) = %q: %v", line, answer, err)
		}
		_, times := members["times"]
		_, failed := members["error"]
		if len(members) != 1 || times == failed {
			t.Errorf("answerCronLine(%q) = %q, want times or an error", line, answer)
		}
	})
}
