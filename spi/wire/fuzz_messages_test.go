package wire

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/spi"
)

// fuzzRequest fuzzes the decoder of a request, from the messages of those names.
func fuzzRequest[T any](f *testing.F, appendTo func([]byte, string, T) []byte, decode func([]byte) (string, T, error), seeds ...string) {
	f.Helper()
	fuzzMessage(f, func(b []byte, r request[T]) []byte { return appendTo(b, r.Plugin, r.Request) },
		func(data []byte) (request[T], error) {
			plugin, r, err := decode(data)
			return request[T]{plugin, r}, err
		}, seeds...)
}

// fuzzMessage fuzzes a decoder from the messages of those names. What decodes
// is encoded once, so that empty lists and absent ones are told apart no more,
// and must then survive the round trip.
func fuzzMessage[T any](f *testing.F, appendTo func([]byte, T) []byte, decode func([]byte) (T, error), seeds ...string) {
	f.Helper()
	messages := allMessages()
	for _, seed := range seeds {
		f.Add(messages[seed].text)
	}
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := decode(data)
		if len(data) == 0 && err == nil {
			return
		}
		if err == nil {
			again, err := decode(appendTo(nil, first))
			if err != nil {
				t.Fatalf("decoding what was encoded from %q: %v", data, err)
			}
			before, after := appendTo(nil, first), appendTo(nil, again)
			if diff := cmp.Diff(string(before), string(after)); diff != "" {
				t.Errorf("second encoding of %q (-first +second):\n%s", data, diff)
			}
			first = again
		}
		checkDecoded(t, data, err, func() []byte { return appendTo(nil, first) }, func(again []byte) (any, any, error) {
			second, err := decode(again)
			return first, second, err
		})
	})
}

func FuzzDecodeFetchDataRequest(f *testing.F) {
	fuzzRequest(f, AppendFetchDataRequest, DecodeFetchDataRequest, "fetch_data_request", "fetch_data_request_first")
}

func FuzzDecodeFetchDataResponse(f *testing.F) {
	fuzzMessage(f, AppendFetchDataResponse, DecodeFetchDataResponse, "fetch_data_response", "fetch_data_response_end")
}

func FuzzDecodeProcessDataRequest(f *testing.F) {
	fuzzRequest(f, AppendProcessDataRequest, DecodeProcessDataRequest, "process_data_request")
}

func FuzzDecodeProcessDataResponse(f *testing.F) {
	fuzzMessage(f, AppendProcessDataResponse, DecodeProcessDataResponse)
}

func FuzzDecodeShardRequest(f *testing.F) {
	fuzzRequest(f, AppendShardRequest, DecodeShardRequest, "shard_request")
}

func FuzzDecodeShardResponse(f *testing.F) {
	fuzzMessage(f, AppendShardResponse, DecodeShardResponse, "shard_response")
}

func FuzzDecodeHandleErrorRequest(f *testing.F) {
	fuzzRequest(f, AppendHandleErrorRequest, DecodeHandleErrorRequest, "handle_error_request")
}

func FuzzDecodeHandleErrorResponse(f *testing.F) {
	fuzzMessage(f, AppendHandleErrorResponse, DecodeHandleErrorResponse, "handle_error_response")
}

func FuzzDecodeJobListenerRequest(f *testing.F) {
	fuzzRequest(f, func(b []byte, plugin string, r spi.JobListenerRequest) []byte {
		return AppendJobListenerRequest(b, TypeAfterJob, plugin, r)
	}, func(data []byte) (string, spi.JobListenerRequest, error) {
		return DecodeJobListenerRequest(TypeAfterJob, data)
	}, "before_job_request", "after_job_request")
}

func FuzzDecodeJobListenerResponse(f *testing.F) {
	fuzzMessage(f, AppendJobListenerResponse, DecodeJobListenerResponse)
}

func FuzzDecodeTraceRequest(f *testing.F) {
	fuzzRequest(f, AppendTraceRequest, DecodeTraceRequest, "trace_request")
}

func FuzzDecodeTraceResponse(f *testing.F) {
	fuzzMessage(f, AppendTraceResponse, DecodeTraceResponse)
}

func FuzzDecodeHTTPRequest(f *testing.F) {
	fuzzMessage(f, AppendHTTPRequest, DecodeHTTPRequest, "http_request", "http_request_least")
}

func FuzzDecodeHTTPResponse(f *testing.F) {
	fuzzMessage(f, AppendHTTPResponse, DecodeHTTPResponse, "http_response", "http_response_least")
}

func FuzzDecodeSecretGetRequest(f *testing.F) {
	fuzzMessage(f, AppendSecretGetRequest, DecodeSecretGetRequest, "secret_get_request")
}

func FuzzDecodeSecretGetResponse(f *testing.F) {
	fuzzMessage(f, AppendSecretGetResponse, DecodeSecretGetResponse, "secret_get_response")
}

func FuzzDecodeCheckpointSaveRequest(f *testing.F) {
	fuzzMessage(f, AppendCheckpointSaveRequest, func(data []byte) ([]byte, error) {
		checkpoint, err := DecodeCheckpointSaveRequest(data)
		if e := spi.AsError(err); e != nil && e.Code == spi.CodeTooLarge {
			// The one decoder with a second code, whose bound a test holds.
			err = spi.NewError(spi.CodeProtocol, e.Message)
		}
		return checkpoint, err
	}, "checkpoint_save_request")
}

func FuzzDecodeProgressReportRequest(f *testing.F) {
	fuzzMessage(f, AppendProgressReportRequest, DecodeProgressReportRequest, "progress_report_request")
}

// FuzzValid checks that what is valid can stand in a list of a message.
func FuzzValid(f *testing.F) {
	for _, seed := range []string{`{"a":[1]}`, " 7\n", "", "1,2", `"`, "[[[["} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		response, err := DecodeFetchDataResponse(AppendFetchDataResponse(nil, spi.FetchDataResponse{Data: [][]byte{value}}))
		if Valid(value) && (err != nil || len(response.Data) != 1) {
			t.Errorf("data of the valid value %q = %q, error %v", value, response.Data, err)
		}
	})
}
