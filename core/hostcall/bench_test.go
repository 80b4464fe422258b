package hostcall_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// BenchmarkRequest sends a small request and reads a small response, through
// the door of a plugin and by net/http alone.
func BenchmarkRequest(b *testing.B) {
	server, _ := counting(b)
	body := []byte(`{"text":"item 3 of orders failed"}`)
	b.Run("door", func(b *testing.B) {
		door := open(b, hostcall.Config{}, "api.example.com", "127.0.0.0/8:*")
		message := wire.AppendHTTPRequest(nil, wire.HTTPRequest{
			Method: "POST", URL: server.URL + "/send?key=1", Headers: map[string][]string{"Content-Type": {"application/json"}}, Body: body,
		})
		b.ReportAllocs()
		for b.Loop() {
			if _, err := door.Call(b.Context(), spi.OpHTTPRequest, message); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("net/http", func(b *testing.B) {
		client := server.Client()
		b.ReportAllocs()
		for b.Loop() {
			request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+"/send?key=1", bytes.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			response, err := client.Do(request)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadAll(response.Body); err != nil {
				b.Fatal(err)
			}
			response.Body.Close()
		}
	})
}

func BenchmarkDenied(b *testing.B) {
	door := open(b, hostcall.Config{}, "api.example.com", "10.0.0.0/8")
	message := wire.AppendHTTPRequest(nil, wire.HTTPRequest{URL: "https://other.example.com/v1"})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := door.Call(b.Context(), spi.OpHTTPRequest, message); err == nil {
			b.Fatal("a request that is not granted was sent")
		}
	}
}
