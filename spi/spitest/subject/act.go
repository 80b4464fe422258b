package subject

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/ops"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// PropDo says what a call does; the other properties are about that.
const (
	PropDo        = "do"
	PropText      = "text"      // of a result, a line or a panic
	PropTimes     = "times"     // how often the text is repeated, or the thing done
	PropLevel     = "level"     // of a line
	PropCode      = "code"      // of an error; without it, the error has none
	PropMessage   = "message"   // of an error, repeated PropTimes
	PropRetryable = "retryable" // of an error
	PropProperty  = "property"  // of an error
	PropStack     = "stack"     // of an error
	PropPrefix    = "prefix"    // of an error that wraps the other
	PropOp        = "op"        // a host operation
	PropRequest   = "request"   // of the host operation, repeated PropTimes
)

// What a call can do.
const (
	DoEcho           = "echo"            // say the whole request
	DoSay            = "say"             // say the text
	DoSayBytes       = "say bytes"       // say what is no text in UTF-8
	DoFail           = "fail"            // return the error of the properties
	DoFailBytes      = "fail bytes"      // return an error whose text is no text in UTF-8
	DoFailWithoutErr = "fail with nil"   // return an error that holds a nil pointer
	DoFailBroken     = "fail broken"     // return an error whose text panics
	DoFailEnded      = "fail ended"      // return the error of a context of its own that was cancelled
	DoFailLate       = "fail late"       // return the error of a context of its own that ran out of time
	DoPanic          = "panic"           // panic with the text
	DoPanicError     = "panic error"     // panic with the error of the properties
	DoPanicNil       = "panic nil"       // use a nil pointer
	DoPanicBroken    = "panic broken"    // panic with a value whose text panics
	DoGoexit         = "goexit"          // end the goroutine
	DoWait           = "wait"            // wait for the end of the context and return its cause
	DoFinish         = "finish"          // wait for the end of the context, save a checkpoint and succeed
	DoCompute        = "compute"         // ask the context until it has ended, without a pause, and return its cause
	DoAsk            = "ask"             // ask the host whether to stop until it says so
	DoDeadline       = "deadline"        // say whether the context has a deadline
	DoSleep          = "sleep"           // sleep a little, in goroutines
	DoLog            = "log"             // log the text at the level, PropTimes
	DoCall           = "call"            // call the host operation
	DoHTTP           = "http"            // call http.request
	DoSecret         = "secret"          // call secret.get
	DoCheckpoint     = "checkpoint"      // call checkpoint.save
	DoProgress       = "progress"        // call progress.report
	DoCallTogether   = "call together"   // call the host operation from several goroutines
	DoRefuse         = "refuse"          // refuse the properties, with the error of the properties
	DoRefuseByPanic  = "refuse by panic" // panic with the message in the constructor
	DoFailToClose    = "fail to close"   // say the text, and fail in Close
)

// Waiting is what a call logs before it waits.
const Waiting = "waiting"

// act does what the properties say and returns what it has found out.
func act(ctx context.Context, services spi.Services, values props.Values, echo func() string) (string, error) {
	text := strings.Repeat(values[PropText], times(values))
	switch values[PropDo] {
	case DoEcho, "":
		return echo(), nil
	case DoSay, DoFailToClose:
		return text, nil
	case DoSayBytes:
		return "a\xffb\xf0\x9f", nil
	case DoPanic:
		panic(text)
	case DoPanicError:
		panic(failure(values))
	case DoPanicNil:
		return nobody().Message, nil
	case DoPanicBroken:
		panic(brokenError{})
	case DoGoexit:
		runtime.Goexit()
		return "", nil
	case DoDeadline:
		_, has := ctx.Deadline()
		return strconv.FormatBool(has), nil
	case DoSleep:
		return sleep(), nil
	case DoLog:
		level, _ := strconv.Atoi(values[PropLevel])
		for range times(values) {
			services.Log(ctx, spi.LogRecord{Level: spi.Level(level), Stream: spi.StreamLog, Line: values[PropText]})
		}
		return "", nil
	case DoWait, DoFinish, DoCompute, DoAsk:
		return wait(ctx, services, values)
	case DoCall, DoHTTP, DoSecret, DoCheckpoint, DoProgress, DoCallTogether:
		return call(ctx, services, values)
	default:
		return "", fail(values)
	}
}

func nobody() *spi.Error { return nil }

// times is how often something is done, once unless the properties say more.
func times(values props.Values) int { return max(1, int(values.Int(PropTimes))) }

// failure is the error of the properties.
func failure(values props.Values) error {
	message := strings.Repeat(values[PropMessage], times(values))
	err := errors.New(message)
	if code, given := values[PropCode]; given {
		n, _ := strconv.ParseInt(code, 10, 32)
		err = &spi.Error{
			Code: spi.Code(n), Message: message, Stack: values[PropStack], Retryable: values.Bool(PropRetryable), Property: values[PropProperty],
		}
	}
	if prefix := values[PropPrefix]; prefix != "" {
		err = wrapped{prefix, err}
	}
	return err
}

// fail fails in the way that the properties say.
func fail(values props.Values) error {
	switch values[PropDo] {
	case DoFail:
		return failure(values)
	case DoFailBytes:
		return errors.New("a\xffb\xf0\x9f")
	case DoFailWithoutErr:
		var nothing *spi.Error
		return nothing
	case DoFailBroken:
		return brokenError{}
	case DoFailEnded:
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return ctx.Err()
	case DoFailLate:
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		<-ctx.Done()
		return ctx.Err()
	default:
		return errors.New("the subject cannot " + strconv.Quote(values[PropDo]))
	}
}

type wrapped struct {
	prefix string
	inner  error
}

func (w wrapped) Error() string { return w.prefix + ": " + w.inner.Error() }
func (w wrapped) Unwrap() error { return w.inner }

type brokenError struct{}

func (brokenError) Error() string { panic("this error has no text") }

func wait(ctx context.Context, services spi.Services, values props.Values) (string, error) {
	services.Log(ctx, spi.LogRecord{Level: spi.LevelInfo, Stream: spi.StreamLog, Line: Waiting})
	switch values[PropDo] {
	case DoWait:
		<-ctx.Done()
	case DoFinish:
		<-ctx.Done()
		if err := ops.SaveCheckpoint(ctx, services, []byte("last")); err != nil {
			return "", err
		}
		return "ended: " + context.Cause(ctx).Error(), nil
	case DoCompute:
		for ctx.Err() == nil {
			continue
		}
	case DoAsk:
		for {
			reason, stop, err := ops.ShouldStop(ctx, services)
			if err != nil || stop {
				return reason, err
			}
			time.Sleep(time.Millisecond)
		}
	}
	return "", context.Cause(ctx)
}

// sleep says which of three goroutines have slept and woken.
func sleep() string {
	woken := make(chan string)
	for i := range 3 {
		go func() {
			time.Sleep(time.Duration(i+1) * time.Millisecond)
			woken <- strconv.Itoa(i)
		}()
	}
	all := []string{<-woken, <-woken, <-woken}
	slices.Sort(all)
	return strings.Join(all, "")
}

// call runs host operations and says how they ended.
func call(ctx context.Context, services spi.Services, values props.Values) (string, error) {
	text, request := values[PropText], strings.Repeat(values[PropRequest], times(values))
	switch values[PropDo] {
	case DoHTTP:
		response, err := ops.HTTP(ctx, services, ops.HTTPRequest{
			Method: "POST", URL: "https://api.example.com/查?a=%20", Headers: map[string][]string{"Accept": {"a/b", "c"}, "X-Empty": {}},
			Body: binary(text), Timeout: 1500 * time.Millisecond,
		})
		return said(HTTPText(response), err), nil
	case DoSecret:
		value, err := ops.Secret(ctx, services, text)
		return said(strconv.Quote(value), err), nil
	case DoCheckpoint:
		return said("saved", ops.SaveCheckpoint(ctx, services, binary(request))), nil
	case DoProgress:
		return said("reported", ops.ReportProgress(ctx, services, ops.Progress{Done: 1 << 40, Total: values.Int("total"), Message: request})), nil
	case DoCallTogether:
		answers := make([]string, 8)
		var calls sync.WaitGroup
		for i := range answers {
			calls.Go(func() {
				response, err := services.Call(ctx, values[PropOp], strconv.AppendInt(nil, int64(i), 10))
				answers[i] = said(string(response), err)
			})
		}
		calls.Wait()
		return strings.Join(answers, ","), nil
	default:
		response, err := services.Call(ctx, values[PropOp], []byte(request))
		return said(SizeText(response), err), nil
	}
}

// binary makes bytes of a text that are no text, unless there are none.
func binary(text string) []byte {
	if text == "" {
		return nil
	}
	return append([]byte(text), 0xff)
}

func said(text string, err error) string {
	if err != nil {
		return ErrorText(spi.AsError(err))
	}
	return text
}

// parts splits a property that lists several things.
func parts(text string) []string {
	if text == "" {
		return nil
	}
	return slices.Collect(strings.SplitSeq(text, "|"))
}
