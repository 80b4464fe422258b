package hostcall_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
)

// FuzzCall sends anything as a request, to a host that resolves no names and
// grants no address inside.
func FuzzCall(f *testing.F) {
	f.Add(spi.OpHTTPRequest, []byte(`{"method":"POST","url":"http://127.0.0.1:1/x","headers":{"A":["b"]},"body":"AAEC","timeoutMs":5}`))
	f.Add(spi.OpHTTPRequest, []byte(`{"url":"http://localhost/"}`))
	f.Add(spi.OpHTTPRequest, []byte(`{"url":"https://[::ffff:10.0.0.1]:81/"}`))
	f.Add(spi.OpHTTPRequest, []byte(`{"url":"http://a.example","headers":{"host":["b"]}}`))
	f.Add(spi.OpSecretGet, []byte(`{"name":"db-password"}`))
	f.Add("should_stop", []byte(`{}`))
	errOffline := errors.New("there is no name server")
	resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errOffline }}
	host := hostcall.New(hostcall.Config{Resolver: resolver, Secret: func(string) (string, bool, error) { return "hunter2", true, nil }})
	f.Cleanup(host.Close)
	// Of public hosts only names are granted, and none of them resolves.
	door := host.Door("ORDERS", hostcall.Terms{Grants: spi.Grants{HTTP: []string{"*.example:*", "localhost:1", "GET *.org"}, Secrets: []string{"granted"}}})
	f.Fuzz(func(t *testing.T, op string, request []byte) {
		if response, err := door.Call(t.Context(), op, request); err != nil {
			e, ok := errors.AsType[*spi.Error](err)
			codes := []spi.Code{
				spi.CodeFailed, spi.CodeDenied, spi.CodeTimeout, spi.CodeProtocol, spi.CodeUnsupported, spi.CodeUnavailable, spi.CodeTooLarge,
			}
			if !ok || !slices.Contains(codes, e.Code) {
				t.Errorf("Call(%q, %q) = error %v, want one of the documented codes", op, request, err)
			}
		} else if op != spi.OpSecretGet || string(response) != `{"value":"hunter2"}` {
			t.Errorf("Call(%q, %q) = %q, want an error", op, request, response)
		}
	})
}
