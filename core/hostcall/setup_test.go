package hostcall_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// open returns the door of a plugin with grants for HTTP, to a host of its own.
func open(t testing.TB, config hostcall.Config, grants ...string) *hostcall.Door {
	t.Helper()
	for _, g := range grants {
		if err := hostcall.CheckHTTPGrant(g); err != nil {
			t.Fatal(err)
		}
	}
	host := hostcall.New(config)
	t.Cleanup(host.Close)
	return host.Door("ORDERS", hostcall.Terms{Grants: spi.Grants{HTTP: grants}})
}

// ask sends a request through a door.
func ask(ctx context.Context, door *hostcall.Door, r wire.HTTPRequest) (wire.HTTPResponse, error) {
	message, err := door.Call(ctx, spi.OpHTTPRequest, wire.AppendHTTPRequest(nil, r))
	if err != nil {
		return wire.HTTPResponse{}, err
	}
	return wire.DecodeHTTPResponse(message)
}

func get(t *testing.T, door *hostcall.Door, address string) (wire.HTTPResponse, error) {
	t.Helper()
	return ask(t.Context(), door, wire.HTTPRequest{URL: address})
}

// wantError checks the code of an error and what its message says.
func wantError(t *testing.T, what string, err error, code spi.Code, text string) {
	t.Helper()
	e, ok := errors.AsType[*spi.Error](err)
	if !ok || e.Code != code || !strings.Contains(e.Message, text) {
		t.Errorf("%s = error %#v, want %s with %q in it", what, err, code, text)
	}
}

// place returns the host and port of a server.
func place(t testing.TB, server *httptest.Server) string {
	t.Helper()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// counting returns a server that counts its requests and answers "ok".
func counting(t testing.TB) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n.Add(1)
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(server.Close)
	return server, &n
}

func listen(t *testing.T, network, address string) (net.Listener, error) {
	t.Helper()
	var config net.ListenConfig
	return config.Listen(t.Context(), network, address)
}

// raw starts a server of bare connections, each served by serve, and returns
// its host and port. The connection is closed when serve returns, and at the
// end of the test.
func raw(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := listen(t, "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu      sync.Mutex
		open    []net.Conn
		serving sync.WaitGroup
	)
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			serving.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for _, conn := range open {
			conn.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return listener.Addr().String()
}

// readHead reads a request without a body.
func readHead(conn net.Conn) string {
	var head []byte
	for b := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, b...) {
		if _, err := conn.Read(b); err != nil {
			return string(head)
		}
	}
	return string(head)
}

// names returns a resolver that asks answer about every name.
func names(t *testing.T, answer func(name string) []netip.Addr) *net.Resolver {
	t.Helper()
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		serving.Go(func() {
			defer ours.Close()
			for {
				length := make([]byte, 2)
				if _, err := io.ReadFull(ours, length); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(length))
				if _, err := io.ReadFull(ours, query); err != nil {
					return
				}
				reply := dnsReply(query, answer)
				if _, err := ours.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
					return
				}
			}
		})
		return theirs, nil
	}}
}

// dnsReply answers a query of RFC 1035 with one question.
func dnsReply(query []byte, answer func(name string) []netip.Addr) []byte {
	const header, typeA, typeAAAA = 12, 1, 28
	var labels []string
	at := header
	for n := int(query[at]); n > 0; n = int(query[at]) {
		labels = append(labels, string(query[at+1:at+1+n]))
		at += 1 + n
	}
	question := query[header : at+5]
	kind := binary.BigEndian.Uint16(query[at+1:])
	var records []byte
	count := 0
	for _, address := range answer(strings.Join(labels, ".")) {
		if address.Is4() != (kind == typeA) || kind != typeA && kind != typeAAAA {
			continue
		}
		count++
		records = append(records, 0xC0, header) // the name of the question
		records = binary.BigEndian.AppendUint16(records, kind)
		records = append(records, 0, 1, 0, 0, 0, 0) // class IN, not to be kept
		records = binary.BigEndian.AppendUint16(records, uint16(len(address.AsSlice())))
		records = append(records, address.AsSlice()...)
	}
	reply := append([]byte{}, query[:2]...)
	reply = append(reply, 0x81, 0x80, 0, 1, 0, byte(count), 0, 0, 0, 0)
	return append(append(reply, question...), records...)
}
