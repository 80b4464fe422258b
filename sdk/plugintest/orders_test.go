package plugintest_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/elasticjob-go/elasticjob/sdk/plugintest"
	"github.com/elasticjob-go/elasticjob/spi"
)

func TestOrders(t *testing.T) {
	t.Parallel()
	plugintest.Each(t, "testdata/orders", func(t *testing.T, h *plugintest.Host) {
		job := h.JobType(t, "ORDERS", map[string]string{"batch.size": "2"})
		item := plugintest.Context()
		item.ShardingParameter = "Beijing"

		t.Run("counts", func(t *testing.T) {
			services := h.Services(t)
			services.Secrets = map[string]string{"api-token": "s3cret"}
			services.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") == "Bearer s3cret" && r.URL.Query().Get("most") == "2" {
					_, _ = io.WriteString(w, "7 orders of "+r.URL.Query().Get("region"))
				}
			})
			response, err := job.Execute(t.Context(), spi.ExecuteRequest{Context: item, Services: services})
			if want := "7 orders of Beijing"; err != nil || response.Message != want || string(services.Checkpoint()) != want {
				t.Errorf("Execute() = %q, error %v, checkpoint %q, want %q", response.Message, err, services.Checkpoint(), want)
			}
		})
		t.Run("fails with its own code", func(t *testing.T) {
			services := h.Services(t)
			services.Secrets = map[string]string{"api-token": "s3cret"}
			services.HTTP = http.NotFoundHandler()
			_, err := job.Execute(t.Context(), spi.ExecuteRequest{Context: item, Services: services})
			if e := spi.AsError(err); e == nil || e.Code != 1001 || !e.Retryable {
				t.Errorf("Execute() fails with %v, want the code 1001", err)
			}
		})
		t.Run("needs its grants", func(t *testing.T) {
			_, err := job.Execute(t.Context(), spi.ExecuteRequest{Context: item, Services: h.Services(t)})
			if e := spi.AsError(err); e == nil || e.Code != spi.CodeDenied {
				t.Errorf("Execute() fails with %v, want code %s", err, spi.CodeDenied)
			}
		})
	})
}
