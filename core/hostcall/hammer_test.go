package hostcall_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// TestManyAtOnce uses one host for more plugins than it keeps connections of,
// some of whose calls end early, and closes it in between.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	server, _ := counting(t)
	host := hostcall.New(hostcall.Config{Secret: func(string) (string, bool, error) { return "value", true, nil }})
	t.Cleanup(host.Close)
	terms := hostcall.Terms{Grants: spi.Grants{HTTP: []string{place(t, server)}, Secrets: []string{"name"}}}
	shared := host.Door("SHARED", terms)
	var work sync.WaitGroup
	for worker := range 16 {
		work.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			for i := range 30 {
				door := shared
				if i%2 == 0 {
					door = host.Door("P"+strconv.Itoa(random.IntN(200)), terms)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(200))*time.Millisecond)
				got, err := ask(ctx, door, wire.HTTPRequest{URL: server.URL})
				e := spi.AsError(err)
				if err == nil && string(got.Body) != "ok" || err != nil && e.Code != spi.CodeTimeout && e.Code != spi.CodeCancelled {
					t.Errorf("http.request = %q, %v, want ok, %s or %s", got.Body, err, spi.CodeTimeout, spi.CodeCancelled)
				}
				cancel()
				if _, err := door.Call(t.Context(), spi.OpSecretGet, wire.AppendSecretGetRequest(nil, "name")); err != nil {
					t.Errorf("secret.get = %v", err)
				}
				if worker == 0 && i == 25 {
					host.Close()
				}
			}
		})
	}
	work.Wait()
}
