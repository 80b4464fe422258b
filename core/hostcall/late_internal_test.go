package hostcall

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// late responds when the time of the request is over, as a server may that sees
// its client give up.
type late struct{}

func (late) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func TestALateResponseIsNone(t *testing.T) {
	t.Parallel()
	for _, request := range []wire.HTTPRequest{{ReadTimeout: time.Second, ConnectTimeout: time.Second}, {Timeout: time.Second}} {
		request.URL = "http://127.0.0.1/"
		synctest.Test(t, func(t *testing.T) {
			h := New(Config{})
			defer h.Close()
			c, release, err := h.acquire(t.Context(), "A", true, reach{})
			if err != nil {
				t.Fatal(err)
			}
			release()
			c.transport.RegisterProtocol("http", late{})
			_, err = h.Door("A", Terms{Trusted: true}).Call(t.Context(), spi.OpHTTPRequest, wire.AppendHTTPRequest(nil, request))
			if err == nil || spi.AsError(err).Code != spi.CodeTimeout {
				t.Errorf("http.request of %+v with a response after its time = error %v, want %s", request, err, spi.CodeTimeout)
			}
		})
	}
}
