package wire

import (
	"slices"

	"github.com/elasticjob-go/elasticjob/spi"
)

// AppendFetchDataRequest adds the request of elasticjob_fetch_data for the job
// type of that name. The cursor is absent when empty.
func AppendFetchDataRequest(b []byte, plugin string, r spi.FetchDataRequest) []byte {
	b = appendPluginRequest(b, TypeFetchData, plugin)
	b = AppendContext(appendName(b, "context"), r.Context)
	b = appendGiven(b, "cursor", r.Cursor)
	return append(b, '}')
}

// DecodeFetchDataRequest reads the request of elasticjob_fetch_data.
func DecodeFetchDataRequest(data []byte) (plugin string, r spi.FetchDataRequest, err error) {
	err = decode(data, "fetch_data request", requestFields(TypeFetchData,
		must("plugin", text(&plugin)),
		must("context", object(contextFields(&r.Context)...)),
		may("cursor", text(&r.Cursor)),
	)...)
	if err != nil {
		return "", spi.FetchDataRequest{}, err
	}
	return plugin, r, nil
}

// AppendFetchDataResponse adds the response of elasticjob_fetch_data. The data
// must be JSON values: see [Valid].
func AppendFetchDataResponse(b []byte, r spi.FetchDataResponse) []byte {
	b = appendData(append(b, '{'), r.Data)
	b = appendGiven(b, "cursor", r.Cursor)
	return append(b, '}')
}

// DecodeFetchDataResponse reads the response of elasticjob_fetch_data, whose
// data may be null. The values are as written, without the space around them.
func DecodeFetchDataResponse(data []byte) (spi.FetchDataResponse, error) {
	var r spi.FetchDataResponse
	err := decode(data, "fetch_data response",
		must("data", func(value raw) *mismatch {
			if value[0] == 'n' {
				return nil
			}
			return values(&r.Data)(value)
		}),
		may("cursor", text(&r.Cursor)),
	)
	if err != nil {
		return spi.FetchDataResponse{}, err
	}
	return r, nil
}

// AppendProcessDataRequest adds the request of elasticjob_process_data for the
// job type of that name. The data must be JSON values.
func AppendProcessDataRequest(b []byte, plugin string, r spi.ProcessDataRequest) []byte {
	b = appendPluginRequest(b, TypeProcessData, plugin)
	b = AppendContext(appendName(b, "context"), r.Context)
	b = appendData(b, r.Data)
	return append(b, '}')
}

// DecodeProcessDataRequest reads the request of elasticjob_process_data.
func DecodeProcessDataRequest(data []byte) (plugin string, r spi.ProcessDataRequest, err error) {
	err = decode(data, "process_data request", requestFields(TypeProcessData,
		must("plugin", text(&plugin)),
		must("context", object(contextFields(&r.Context)...)),
		must("data", values(&r.Data)),
	)...)
	if err != nil {
		return "", spi.ProcessDataRequest{}, err
	}
	return plugin, r, nil
}

// AppendProcessDataResponse adds the response of elasticjob_process_data.
func AppendProcessDataResponse(b []byte, _ spi.ProcessDataResponse) []byte { return AppendNothing(b) }

// DecodeProcessDataResponse reads the response of elasticjob_process_data.
// Empty data counts as {}.
func DecodeProcessDataResponse(data []byte) (spi.ProcessDataResponse, error) {
	return spi.ProcessDataResponse{}, decodeNothing(data, "process_data response")
}

// Valid reports whether data is one JSON value that may be part of a message:
// in UTF-8, at most [MaxMessage] long and not nested too deep.
func Valid(data []byte) bool {
	// A message adds two levels to the values in its lists.
	s := scanner{data: data}
	if len(data) > MaxMessage {
		return false
	}
	s.space()
	if s.value(2) != "" {
		return false
	}
	s.space()
	return s.pos == len(data)
}

func appendData(b []byte, data [][]byte) []byte {
	return appendList(appendName(b, "data"), data, func(b, value []byte) []byte { return append(b, value...) })
}

// values reads an array of any values. They share one copy of it, so that many
// small ones cost little.
func values(into *[][]byte) func(raw) *mismatch {
	return func(value raw) *mismatch {
		own := slices.Clone(value)
		var all [][]byte
		bad := list(MaxData, func(element raw) *mismatch {
			all = append(all, slices.Clip([]byte(element)))
			return nil
		})(own)
		*into = all
		return bad
	}
}

// appendPluginRequest adds the members that every request to a plugin begins
// with and leaves the object open.
func appendPluginRequest(b []byte, requestType, plugin string) []byte {
	return appendText(appendRequest(b, requestType), "plugin", plugin)
}

// decodeNothing checks a response without members of its own.
func decodeNothing(data []byte, what string) error {
	if len(data) == 0 {
		return nil
	}
	return decode(data, what)
}
