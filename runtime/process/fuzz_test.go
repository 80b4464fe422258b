package process

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// FuzzHandshake reads the first line of a program.
func FuzzHandshake(f *testing.F) {
	good := "1|1|unix|/tmp/x|grpc|" + base64.RawStdEncoding.EncodeToString([]byte("certificate"))
	for _, line := range []string{good, "", "|", "1|1|unix|/tmp/x|grpc", "1|2|unix|/tmp/x|grpc|AA", "2|1|unix|/tmp/x|grpc|AA", "1|1|udp|x|grpc|AA", "1|1|tcp|x|netrpc|AA", good + "|true", "\xff"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		err := checkHandshake(line)
		if err == nil && !strings.HasPrefix(line, "1|1|unix|") && !strings.HasPrefix(line, "1|1|tcp|") {
			t.Errorf("checkHandshake(%q) = nil", line)
		}
		if err != nil && (len(err.Error()) > 1024 || !utf8.ValidString(err.Error())) {
			t.Errorf("checkHandshake(%q) = %q", line, err)
		}
	})
}

// FuzzLogLine reads a line of standard error.
func FuzzLogLine(f *testing.F) {
	for _, line := range []string{`{"@level":"info","@message":"x","a":{"b":[1]}}`, `{"@level":1}`, `{}`, `{`, "", "x", `{"@level":"off","@message":"x"}`} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, ok := parseLogLine(line)
		if ok && !json.Valid(line) {
			t.Errorf("parseLogLine(%q) = %+v, of what is not JSON", line, r)
		}
		if ok && (r.Stream != spi.StreamLog || r.Level != r.Level.Round()) {
			t.Errorf("parseLogLine(%q) = %+v", line, r)
		}
	})
}

// FuzzDescribeResponse reads what a program says about itself.
func FuzzDescribeResponse(f *testing.F) {
	for _, response := range []*pluginpb.DescribeResponse{
		{},
		{Plugins: []*pluginpb.Descriptor{{Kind: "jobType", Type: "A", Capabilities: []string{"execute"}, Wants: []*pluginpb.Want{{Op: "x"}}}}},
		{Plugins: []*pluginpb.Descriptor{{Kind: "errorHandler", Type: "A"}, {Kind: "errorHandler", Type: "A"}}},
		{Plugins: []*pluginpb.Descriptor{{Kind: "jobType", Type: "A", Props: []*pluginpb.Field{{Name: "a.*", Type: "size", Description: "x", Default: "1MiB", Enum: []string{"1MiB"}}}}}},
		{Plugins: []*pluginpb.Descriptor{{Kind: "jobType", Type: "A", Capabilities: []string{"dataflow"}}, nil}},
	} {
		data, err := proto.Marshal(response)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var response pluginpb.DescribeResponse
		if proto.Unmarshal(data, &response) != nil {
			return
		}
		plugins, err := checkPlugins(response.GetPlugins())
		if (err == nil) == (len(plugins) == 0) {
			t.Errorf("checkPlugins(%v) = %v, %v", &response, plugins, err)
		}
		for _, d := range plugins {
			if err := pluginOf(&program{}, d).Check(); err != nil {
				t.Errorf("checkPlugins lets through %+v: %v", d, err)
			}
		}
		if err != nil && (codeOf(err) == 0 || len(err.Error()) > wire.MaxText) {
			t.Errorf("checkPlugins = %v, want an *spi.Error with a bound", err)
		}
	})
}

// FuzzResponse reads the error and the assignment of a call.
func FuzzResponse(f *testing.F) {
	yes := true
	for _, response := range []*pluginpb.ShardResponse{
		{},
		{Assignment: map[string]*pluginpb.Items{"a": {Items: []int64{0, -1, 1 << 62}}, "b": nil}},
		{Error: &pluginpb.Error{Code: 12, Message: "x", Retryable: &yes}},
		{Error: &pluginpb.Error{Message: strings.Repeat("x", 5000), Stack: "s", Property: "p"}},
	} {
		data, err := proto.Marshal(response)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var response pluginpb.ShardResponse
		if proto.Unmarshal(data, &response) != nil {
			return
		}
		if got := fromItems(response.GetAssignment()); len(got) != len(response.GetAssignment()) {
			t.Errorf("fromItems(%v) = %v", &response, got)
		}
		if response.GetError() == nil {
			return
		}
		got := fromError(response.GetError())
		if got.Code.FromGuest() != got.Code && got.Code != spi.CodeProtocol || len(got.Message) > wire.MaxText || len(got.Stack) > wire.MaxStack {
			t.Errorf("fromError(%v) = %+v", &response, got)
		}
	})
}

// FuzzData reads a batch of a dataflow.
func FuzzData(f *testing.F) {
	for _, response := range []*pluginpb.FetchDataResponse{
		{},
		{Data: [][]byte{[]byte(`{"a":[1,null,"x"]}`), []byte("1")}, Cursor: "c"},
		{Data: [][]byte{nil}},
		{Data: [][]byte{[]byte("{"), []byte("1 2"), []byte("\xff")}},
		{Error: &pluginpb.Error{Code: 1}},
	} {
		data, err := proto.Marshal(response)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var response pluginpb.FetchDataResponse
		if proto.Unmarshal(data, &response) != nil {
			return
		}
		batch, err := checkData(response.GetData())
		if err != nil {
			if codeOf(err) != spi.CodeProtocol {
				t.Errorf("checkData(%q) = %v, want %v", response.GetData(), err, spi.CodeProtocol)
			}
			return
		}
		for _, datum := range batch {
			if !json.Valid(datum) {
				t.Errorf("checkData lets through %q", datum)
			}
		}
	})
}

// FuzzHostRequests reads what a program asks of its host.
func FuzzHostRequests(f *testing.F) {
	for _, request := range []*pluginpb.CallRequest{
		{},
		{Call: "1", Op: "http.request", Request: []byte(`{"url":"x"}`)},
		{Call: "2", Op: strings.Repeat("x", 300)},
	} {
		data, err := proto.Marshal(request)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, request := range []*pluginpb.LogRequest{
		{Call: "1", Records: []*pluginpb.LogRecord{{Level: 3, Line: "x\ny"}, nil, {Level: -100, Line: strings.Repeat("y", wire.MaxLogLine+1)}}},
	} {
		data, err := proto.Marshal(request)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var ops []string
		r := &recorder{call: func(_ context.Context, op string, request []byte) ([]byte, error) {
			ops = append(ops, op)
			return request, nil
		}}
		all := newCalls()
		running := all.begin(t.Context(), r)
		h := &services{calls: all}
		var call pluginpb.CallRequest
		if proto.Unmarshal(data, &call) == nil {
			response, err := h.Call(t.Context(), &call)
			if err != nil || (response.GetError() == nil) != (call.GetCall() == running.id) {
				t.Errorf("Call(%v) = %v, %v", &call, response, err)
			}
		}
		var log pluginpb.LogRequest
		if proto.Unmarshal(data, &log) == nil {
			if _, err := h.Log(t.Context(), &log); (err == nil) != (log.GetCall() == running.id) {
				t.Errorf("Log(%v) = %v", &log, err)
			}
		}
		all.finish(running)
		for _, op := range ops {
			if len(op) > 256 {
				t.Errorf("an operation has %d bytes", len(op))
			}
		}
		for _, record := range r.records {
			if len(record.Line) > wire.MaxLogLine || !utf8.ValidString(record.Line) || record.Level != record.Level.Round() {
				t.Errorf("the host logs %+v", record)
			}
		}
	})
}
