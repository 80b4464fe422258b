package wire

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

var update = flag.Bool("update", false, "rewrite the files of testdata/golden")

func fullContext() spi.ShardingContext {
	return spi.ShardingContext{
		JobName:            "ordersReconcile",
		TaskID:             "ordersReconcile@-@0,1,2@-@READY@-@10.0.0.7@-@17",
		ShardingTotalCount: 3,
		JobParameter:       "a \"quoted\"\nline\u2028",
		ShardingItem:       2,
		ShardingParameter:  "广州",
		RunID:              "1789000000000",
		FireTime:           time.Date(2026, 11, 21, 10, 4, 25, 120e6, time.UTC),
		ExecutionSource:    spi.SourceFailover,
		Attempt:            2,
		FencingToken:       9007199254740993,
		Deadline:           time.Date(2026, 11, 21, 10, 5, 0, 0, time.UTC),
		Checkpoint:         []byte{0, 1, 2, 0xFF},
		Props:              props.Values{"batch.size": "500", "api.url": "https://example.com/?a=1&b=<2>"},
	}
}

func emptyContext() spi.ShardingContext {
	return spi.ShardingContext{FireTime: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Props: props.Values{}}
}

func fullDescriptors() []spi.Descriptor {
	return []spi.Descriptor{
		{
			Kind: spi.KindJobType, Type: "ORDERS", Version: "1.2.0", Description: "reconciles orders",
			Props: props.Schema{
				{
					Name: "batch.size", Type: props.Int, Description: "orders per query", Default: "100",
					Enum: []string{"100", "500"}, Min: "1", Max: "1000", Pattern: "[0-9]+", Example: "500", Deprecated: "use page.size",
				},
				{Name: "token", Type: props.String, Description: "of the API", Required: true, Secret: true},
			},
			Capabilities: []string{spi.CapabilityExecute},
			Wants:        []spi.Want{{Op: spi.OpHTTPRequest, Value: "api.example.com", Why: "to read orders"}},
		},
		{Kind: spi.KindErrorHandler, Type: "PAGER"},
	}
}

func TestMessagesAreAsTheContractWritesThem(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file string
		got  []byte
	}{
		{"context_full", AppendContext(nil, fullContext())},
		{"context_empty", AppendContext(nil, emptyContext())},
		{"describe_request", AppendDescribeRequest(nil)},
		{"describe_response", AppendDescribeResponse(nil, fullDescriptors())},
		{"describe_response_empty", AppendDescribeResponse(nil, nil)},
		{"execute_request", AppendExecuteRequest(nil, "ORDERS", emptyContext())},
		{"execute_response", AppendExecuteResponse(nil, spi.ExecuteResponse{Message: "12 orders"})},
		{"execute_response_empty", AppendExecuteResponse(nil, spi.ExecuteResponse{})},
		{"error", AppendError(nil, spi.NewError(spi.CodeUnavailable, "no route"))},
		{"error_full", AppendError(nil, &spi.Error{Code: 2, Message: "too large", Stack: "a\n\tb", Property: "batch.size"})},
		{"should_stop_response", AppendShouldStopResponse(nil, true, "stopping")},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("testdata", "golden", tt.file+".json")
			if *update {
				if err := os.WriteFile(path, append(tt.got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSuffix(string(want), "\n"), string(tt.got)); diff != "" {
				t.Errorf("message differs from %s (-want +got):\n%s", path, diff)
			}
		})
	}
}

func TestAppendKeepsWhatTheBufferHolds(t *testing.T) {
	t.Parallel()
	got := string(AppendDescribeRequest([]byte("before")))
	if want := `before{"abi":1,"type":"describe"}`; got != want {
		t.Errorf("AppendDescribeRequest(before) = %s, want %s", got, want)
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]spi.ShardingContext{"full": fullContext(), "empty": emptyContext()} {
		got, err := DecodeContext(AppendContext(nil, want))
		if err != nil {
			t.Errorf("DecodeContext of the %s context: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("DecodeContext of the %s context (-want +got):\n%s", name, diff)
		}
		plugin, got, err := DecodeExecuteRequest(AppendExecuteRequest(nil, "ORDERS", want))
		if err != nil || plugin != "ORDERS" {
			t.Errorf("DecodeExecuteRequest of the %s context = %q, error %v, want ORDERS", name, plugin, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("DecodeExecuteRequest of the %s context (-want +got):\n%s", name, diff)
		}
	}
	plugins, err := DecodeDescribeResponse(AppendDescribeResponse(nil, fullDescriptors()))
	if err != nil {
		t.Errorf("DecodeDescribeResponse: %v", err)
	}
	if diff := cmp.Diff(fullDescriptors(), plugins); diff != "" {
		t.Errorf("DecodeDescribeResponse (-want +got):\n%s", diff)
	}
	response := spi.ExecuteResponse{Message: "done"}
	if got, err := DecodeExecuteResponse(AppendExecuteResponse(nil, response)); err != nil || got != response {
		t.Errorf("DecodeExecuteResponse = %v, error %v, want %v", got, err, response)
	}
	wantErr := &spi.Error{Code: 1001, Message: "mine", Stack: "here", Retryable: true, Property: "p"}
	gotErr, err := DecodeError(AppendError(nil, wantErr))
	if err != nil {
		t.Errorf("DecodeError: %v", err)
	}
	if diff := cmp.Diff(wantErr, gotErr); diff != "" {
		t.Errorf("DecodeError (-want +got):\n%s", diff)
	}
	stop, reason, err := DecodeShouldStopResponse(AppendShouldStopResponse(nil, true, "timeout"))
	if !stop || reason != "timeout" || err != nil {
		t.Errorf("DecodeShouldStopResponse = %t, %q, error %v, want true, timeout", stop, reason, err)
	}
}

func TestEmptyCheckpointIsNotAnAbsentOne(t *testing.T) {
	t.Parallel()
	want := emptyContext()
	want.Checkpoint = []byte{}
	got, err := DecodeContext(AppendContext(nil, want))
	if err != nil || got.Checkpoint == nil {
		t.Errorf("DecodeContext with an empty checkpoint = %v, error %v, want it not nil", got.Checkpoint, err)
	}
}

func TestFireTimeIsWrittenInUTC(t *testing.T) {
	t.Parallel()
	c := emptyContext()
	c.FireTime = time.Date(2026, 7, 1, 8, 0, 0, 999_999_999, time.FixedZone("", 8*3600))
	if got, want := string(AppendContext(nil, c)), `"fireTime":"2026-07-01T00:00:00.999Z"`; !strings.Contains(got, want) {
		t.Errorf("AppendContext = %s, want it to hold %s", got, want)
	}
}

func TestInstantsAreAsPackageTimeWritesThem(t *testing.T) {
	t.Parallel()
	instants := []time.Time{
		time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(0, 2, 29, 23, 59, 59, 999e6, time.UTC),
		{},
		time.Date(1969, 12, 31, 23, 59, 59, 999e6, time.UTC), time.UnixMilli(0).UTC(), time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC),
	}
	// 37 days and some hours reach every day of the month in every year.
	for at := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 9999; at = at.Add(37*24*time.Hour + 7*time.Hour + 7*time.Millisecond) {
		instants = append(instants, at)
	}
	for _, want := range instants {
		text := string(appendInstant(nil, want))
		if wantText := want.Format(instantForm); text != wantText {
			t.Fatalf("appendInstant(%v) = %s, want %s", want, text, wantText)
		}
		if got, ok := parseInstant(text); !ok || got != want {
			t.Fatalf("parseInstant(%s) = %v, %t, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", "2026-02-29T00:00:00.000Z", "2026-00-01T00:00:00.000Z", "2026-13-01T00:00:00.000Z", "2026-01-00T00:00:00.000Z",
		"2026-01-01T24:00:00.000Z", "2026-01-01T00:60:00.000Z", "2026-01-01T00:00:60.000Z", "2026-01-01 00:00:00.000Z",
		"2026-01-01T00:00:00.000z", "+026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.0000", "２０26-01-01T00:00:00Z",
	} {
		if got, ok := parseInstant(text); ok {
			t.Errorf("parseInstant(%q) = %v, want it refused", text, got)
		}
	}
	for text, at := range map[string]time.Time{
		"0000-01-01T00:00:00.000Z": time.Date(-1, 12, 31, 0, 0, 0, 0, time.UTC), "9999-12-31T23:59:59.999Z": time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got := string(appendInstant(nil, at)); got != text {
			t.Errorf("appendInstant(%v) = %s, want %s", at, got, text)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		most int
		want string
	}{
		{"", 4, ""},
		{"abcd", 4, "abcd"},
		{"abcde", 4, "a…"},
		{"aébc", 5, "aébc"},
		{"aébcd", 5, "a…"},
		{"abc", 2, "…"},
	}
	for _, tt := range tests {
		if got := Cut(tt.text, tt.most); got != tt.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", tt.text, tt.most, got, tt.want)
		}
	}
	if got := Cut(strings.Repeat("😀", 5000), MaxText); len(got) > MaxText || !utf8.ValidString(got) {
		t.Errorf("Cut of 20000 bytes = %d bytes, valid %t, want at most %d and valid", len(got), utf8.ValidString(got), MaxText)
	}
}

// A guest contains this package, so what it imports decides how large every
// module is.
func TestGuestsStaySmall(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", ".")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, "github.com/elasticjob-go/elasticjob/spi") {
		t.Fatalf("go list -deps = %v, want spi among them", deps)
	}
	for _, dep := range deps {
		root, _, _ := strings.Cut(dep, "/")
		if root == "fmt" || root == "encoding" || root == "reflect" || root == "log" || root == "regexp" || root == "net" {
			t.Errorf("a guest would contain %s", dep)
		}
	}
}
