// Package ops calls the operations of a host by typed functions. Each writes
// the request, calls [spi.Services] and reads the response, so that a plugin
// that is built in and one that is not ask in the same way.
//
// Errors are those of the call, an [*spi.Error]: CodeDenied for what the
// operator has not granted, CodeUnsupported for what this call does not offer,
// or for a nil Services. All functions are safe for concurrent use.
//
// The package is part of guests, as package wire is, and imports as little.
package ops

import (
	"context"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// HTTPRequest is a request for [HTTP].
type HTTPRequest = wire.HTTPRequest

// HTTPResponse is a response of [HTTP].
type HTTPResponse = wire.HTTPResponse

// Progress is how much of an item is done.
type Progress = wire.Progress

// HTTP sends a request, within the hosts and methods that are granted, and
// returns its response, of any status. It follows redirects to what is granted
// too, unless the request says otherwise. Request and response cross as messages of at most 16 MiB, which hold
// bodies of 12 MiB.
func HTTP(ctx context.Context, s spi.Services, request HTTPRequest) (HTTPResponse, error) {
	response, err := call(ctx, s, spi.OpHTTPRequest, wire.AppendHTTPRequest(nil, request))
	if err != nil {
		return HTTPResponse{}, err
	}
	return wire.DecodeHTTPResponse(response)
}

// Secret returns the secret of that name, if it is granted.
func Secret(ctx context.Context, s spi.Services, name string) (string, error) {
	response, err := call(ctx, s, spi.OpSecretGet, wire.AppendSecretGetRequest(nil, name))
	if err != nil {
		return "", err
	}
	return wire.DecodeSecretGetResponse(response)
}

// SaveCheckpoint keeps data, at most 64 KiB, as the checkpoint of the item: a
// later attempt at the same run, a retry or a failover on another node, finds it in
// its context. A success forgets it. It may be called as often as is handy; with
// failover each call is a round trip to the registry. It fails with CodeLeaseLost
// when this node does not own the item any more, with CodeTooLarge above the bound,
// and with CodeUnavailable when the registry has not kept it.
func SaveCheckpoint(ctx context.Context, s spi.Services, data []byte) error {
	if err := wire.CheckCheckpoint(data); err != nil {
		return err
	}
	_, err := call(ctx, s, spi.OpCheckpointSave, wire.AppendCheckpointSaveRequest(nil, data))
	return err
}

// ReportProgress tells operators how far the item is.
func ReportProgress(ctx context.Context, s spi.Services, p Progress) error {
	_, err := call(ctx, s, spi.OpProgressReport, wire.AppendProgressReportRequest(nil, p))
	return err
}

// ShouldStop asks whether the call is to end, and why: "stopping", "timeout",
// "lease-lost", "disabled", "reshard", or what a later host may say. The context
// of a call in a built-in plugin or in a program ends with the first three; the
// last two end no call there, and only asking tells of them.
func ShouldStop(ctx context.Context, s spi.Services) (reason string, stop bool, err error) {
	response, err := call(ctx, s, spi.OpShouldStop, []byte("{}"))
	if err != nil {
		return "", false, err
	}
	stop, reason, err = wire.DecodeShouldStopResponse(response)
	return reason, stop, err
}

// ContextJSON returns the sharding context as JSON, in the form in which commands
// and modules get it. Characters that are not ASCII stand for themselves, and so
// do those that have a meaning in HTML.
func ContextJSON(c spi.ShardingContext) []byte { return wire.AppendContext(nil, c) }

func call(ctx context.Context, s spi.Services, op string, request []byte) ([]byte, error) {
	if s == nil {
		return nil, spi.NewError(spi.CodeUnsupported, "there is no host for "+op)
	}
	if len(request) > wire.MaxMessage {
		return nil, spi.NewError(spi.CodeTooLarge, "the request of "+op+" has more than 16 MiB")
	}
	return s.Call(ctx, op, request)
}
