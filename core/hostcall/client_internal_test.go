package hostcall

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/elasticjob-go/elasticjob/spi"
)

func TestRequestsWaitForASlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := New(Config{})
		releases := make([]func(), maxRequests)
		for i := range releases {
			var err error
			if _, releases[i], err = h.acquire(t.Context(), "A", false, reach{}); err != nil {
				t.Fatal(err)
			}
		}
		_, release, err := h.acquire(t.Context(), "B", false, reach{})
		if err != nil {
			t.Fatalf("acquire for another plugin = %v", err)
		}
		release()
		ctx, cancel := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if _, _, err := h.acquire(ctx, "A", false, reach{}); !errors.Is(err, context.Canceled) {
				t.Errorf("acquire without a slot = %v, want %v", err, context.Canceled)
			}
		})
		synctest.Wait()
		cancel()
		waiting.Wait()
		waiting.Go(func() {
			_, release, err := h.acquire(t.Context(), "A", false, reach{})
			if err != nil {
				t.Errorf("acquire when a slot becomes free = %v", err)
				return
			}
			release()
		})
		synctest.Wait()
		for _, release := range releases {
			release()
		}
		waiting.Wait()
		for key, c := range h.clients {
			if c.users != 0 || len(c.slots) != 0 {
				t.Errorf("client %+v has %d users and %d slots taken, want none", key, c.users, len(c.slots))
			}
		}
	})
}

func TestClientsAreBounded(t *testing.T) {
	t.Parallel()
	h := New(Config{})
	used, release, err := h.acquire(t.Context(), "used", false, reach{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxClients {
		c, release, err := h.acquire(t.Context(), strconv.Itoa(i), false, reach{})
		if err != nil {
			t.Fatal(err)
		}
		release()
		if h.clients[clientKey{plugin: strconv.Itoa(i)}] != c {
			t.Fatalf("client %d is not kept", i)
		}
		if len(h.clients) > maxClients {
			t.Fatalf("there are %d clients, want at most %d", len(h.clients), maxClients)
		}
	}
	if h.clients[clientKey{plugin: "used"}] != used {
		t.Error("a client in use was dropped")
	}
	release()
	h.Close()
	if _, _, err := h.acquire(t.Context(), "used", false, reach{}); !errors.Is(err, context.Canceled) {
		t.Errorf("acquire after Close = %v, want an error of %s", err, spi.CodeCancelled)
	}
}
