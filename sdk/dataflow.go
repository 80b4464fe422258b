package sdk

import (
	"context"
	"strconv"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// Codec turns data of a dataflow into JSON values and back: between fetching
// and processing they leave the plugin. Outside of modules json.Marshal and
// json.Unmarshal do; in a module they double its size, which may be worth it.
type Codec[T any] struct {
	Marshal   func(value T) ([]byte, error)
	Unmarshal func(data []byte) (T, error)
}

// RawCodec is the codec of data that are JSON values already.
func RawCodec() Codec[[]byte] {
	same := func(value []byte) ([]byte, error) { return value, nil }
	return Codec[[]byte]{Marshal: same, Unmarshal: same}
}

// TextCodec is the codec of texts, which cross as JSON strings.
func TextCodec() Codec[string] {
	return Codec[string]{
		Marshal:   func(value string) ([]byte, error) { return wire.AppendText(nil, value), nil },
		Unmarshal: wire.DecodeText,
	}
}

// Dataflow returns the job type of that name which works in two steps: fetch
// returns the next batch of data of an item, and process works on it. The node
// calls them in turn: once, or until fetch returns no data when the job sets
// the property streaming.process. Data cross as JSON values by way of codec.
//
// Fetch gets the cursor that it returned before, "" at first. The calls for an
// item share nothing else, as each may reach another instance of the plugin.
//
// The description and fields are as for [JobType].
func Dataflow[T any](name, description string, codec Codec[T],
	fetch func(ctx context.Context, job *Job, cursor string) (data []T, next string, err error),
	process func(ctx context.Context, job *Job, data []T) error,
	fields ...props.Field,
) spi.Plugin {
	return spi.Plugin{
		Descriptor: spi.Descriptor{
			Kind:         spi.KindJobType,
			Type:         name,
			Description:  description,
			Props:        fields,
			Capabilities: []string{spi.CapabilityDataflow},
		},
		JobType: always[spi.JobType](&dataflow[T]{name, codec, fetch, process}),
	}
}

// dataflow is a job type made of two functions.
type dataflow[T any] struct {
	name    string
	codec   Codec[T]
	fetch   func(ctx context.Context, job *Job, cursor string) ([]T, string, error)
	process func(ctx context.Context, job *Job, data []T) error
}

var (
	_ spi.JobType  = (*dataflow[int])(nil)
	_ spi.Dataflow = (*dataflow[int])(nil)
)

// Execute fails: the node asks a dataflow for its two steps.
func (d *dataflow[T]) Execute(context.Context, spi.ExecuteRequest) (spi.ExecuteResponse, error) {
	return spi.ExecuteResponse{}, spi.NewError(spi.CodeUnsupported, "the job type "+d.name+" is a dataflow")
}

// FetchData fetches the next batch and encodes it.
func (d *dataflow[T]) FetchData(ctx context.Context, req spi.FetchDataRequest) (spi.FetchDataResponse, error) {
	data, next, err := d.fetch(ctx, newJob(ctx, req.Context, req.Services), req.Cursor)
	if err != nil {
		return spi.FetchDataResponse{}, err
	}
	response := spi.FetchDataResponse{Data: make([][]byte, len(data)), Cursor: next}
	for i, value := range data {
		encoded, err := d.codec.Marshal(value)
		if err != nil {
			return spi.FetchDataResponse{}, wrap("encoding datum "+strconv.Itoa(i), err)
		}
		if !wire.Valid(encoded) {
			return spi.FetchDataResponse{}, spi.NewError(spi.CodeFailed, "datum "+strconv.Itoa(i)+" of the batch is no JSON value")
		}
		response.Data[i] = encoded
	}
	return response, nil
}

// ProcessData decodes one batch and processes it.
func (d *dataflow[T]) ProcessData(ctx context.Context, req spi.ProcessDataRequest) (spi.ProcessDataResponse, error) {
	data := make([]T, len(req.Data))
	for i, encoded := range req.Data {
		value, err := d.codec.Unmarshal(encoded)
		if err != nil {
			return spi.ProcessDataResponse{}, wrap("decoding datum "+strconv.Itoa(i), err)
		}
		data[i] = value
	}
	return spi.ProcessDataResponse{}, d.process(ctx, newJob(ctx, req.Context, req.Services), data)
}

// wrap keeps the code of err and says what was being done.
func wrap(doing string, err error) error {
	e := *spi.AsError(err)
	e.Message = doing + ": " + e.Error()
	return &e
}
