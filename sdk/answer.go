package sdk

import (
	"context"
	"errors"
	"runtime"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// answer is the output of an export and what it returns.
type answer struct {
	output []byte
	result int32
}

func failed(err error) answer {
	e := spi.AsError(err)
	if e.Code.FromGuest() != e.Code {
		// Only the host may say such codes; it knows its own deadline and
		// cancellation, and would take these for a broken module.
		own := *e
		own.Code = spi.CodeFailed
		e = &own
	}
	return answer{wire.AppendError(nil, e), wire.ResultError}
}

// describe answers elasticjob_describe. What it says is checked by the host.
func (l *list) describe() answer {
	plugins := l.all()
	if len(plugins) == 0 {
		return failed(errors.New("nothing is registered: call sdk.Register in a package variable"))
	}
	descriptors := make([]spi.Descriptor, len(plugins))
	for i, p := range plugins {
		descriptors[i] = p.Descriptor
	}
	return answer{wire.AppendDescribeResponse(nil, descriptors), wire.ResultOK}
}

// execute answers elasticjob_execute.
func (l *list) execute(request []byte, services spi.Services) answer {
	name, c, err := wire.DecodeExecuteRequest(request)
	if err != nil {
		return failed(err)
	}
	construct := l.jobType(name)
	if construct == nil {
		return failed(spi.NewError(spi.CodeNotFound, "this module has no job type "+wire.Cut(name, 100)))
	}
	ctx, end := newCallContext(c.Deadline, services)
	defer end()
	response, err := run(ctx, construct, spi.ExecuteRequest{Context: c, Services: services})
	if err != nil {
		return failed(err)
	}
	return answer{wire.AppendExecuteResponse(nil, response), wire.ResultOK}
}

func (l *list) jobType(name string) spi.Constructor[spi.JobType] {
	for _, p := range l.all() {
		if p.Descriptor.Kind == spi.KindJobType && p.Descriptor.Type == name {
			return p.JobType
		}
	}
	return nil
}

// run makes the job type for this one call, as no host promises state between
// calls.
func run(ctx context.Context, construct spi.Constructor[spi.JobType], req spi.ExecuteRequest) (response spi.ExecuteResponse, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = panicError(value)
		}
	}()
	job, err := construct(ctx, req.Context.Props)
	if err != nil {
		return spi.ExecuteResponse{}, err
	}
	if closer, ok := job.(spi.Closer); ok {
		defer func() { err = errors.Join(err, closer.Close(ctx)) }()
	}
	return job.Execute(ctx, req)
}

// panicError is called while the panic unwinds, so that the stack still shows
// where it began.
func panicError(value any) error {
	stack := make([]byte, 16<<10)
	stack = stack[:runtime.Stack(stack, false)]
	return &spi.Error{Code: spi.CodeFailed, Message: "panic: " + show(value), Stack: string(stack)}
}

// unsupported answers the exports of kinds that modules do not offer yet.
func unsupported(export string) answer {
	return failed(spi.NewError(spi.CodeUnsupported, "this module does not offer "+export))
}
