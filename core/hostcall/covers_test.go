package hostcall_test

import (
	"testing"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
)

func TestCovers(t *testing.T) {
	t.Parallel()
	grants := spi.Grants{
		HTTP:    []string{"api.example.com", "GET,HEAD https://*.example.org:8443", "10.0.0.0/8", "localhost:81", "wide.example:*", "not a grant"},
		Env:     []string{"REGION"},
		Dirs:    []spi.Dir{{Path: "/srv/data", Guest: "/data"}, {Path: "/srv/out", Guest: "/out", Writable: true}},
		Secrets: []string{"db-password"},
		Clock:   spi.ClockFrozen,
	}
	for _, test := range []struct {
		grants    spi.Grants
		op, value string
		want      bool
	}{
		{grants, "http.request", "", true},
		{spi.Grants{HTTP: []string{"not a grant"}}, "http.request", "", false},
		{grants, "http.request", "api.example.com", true},
		{grants, "http.request", "https://api.example.com/v1/orders?x=1", true},
		{grants, "http.request", "POST https://api.example.com/v1", true},
		{grants, "http.request", "https://api.example.com:8443", false},
		{grants, "http.request", "other.example.com", false},
		{grants, "http.request", "GET,HEAD a.example.org:8443", true},
		{grants, "http.request", "GET,POST a.example.org:8443", false},
		{grants, "http.request", "a.example.org:8443", true},
		{grants, "http.request", "http://a.example.org:8443", false},
		{grants, "http.request", "*.example.org:8443", true},
		{grants, "http.request", "*.a.example.org:8443", true},
		{grants, "http.request", "*.org:8443", false},
		{grants, "http.request", "example.org:8443", false},
		{grants, "http.request", "10.1.2.3", true},
		{grants, "http.request", "10.1.0.0/16", true},
		{grants, "http.request", "0.0.0.0/0", false},
		{grants, "http.request", "127.0.0.1", false},
		{grants, "http.request", "localhost:81", true},
		{grants, "http.request", "localhost", false},
		{grants, "http.request", "wide.example:1234", true},
		{grants, "http.request", "wide.example:*", true},
		{grants, "http.request", "api.example.com:*", false},
		{grants, "http.request", "*", false},
		{grants, "http.request", "?", false},
		{spi.Grants{HTTP: []string{"*"}}, "http.request", "*", true},
		{spi.Grants{HTTP: []string{"*"}}, "http.request", "8.8.8.8", true},
		{spi.Grants{HTTP: []string{"*"}}, "http.request", "10.0.0.1", false},
		{spi.Grants{HTTP: []string{"*"}}, "http.request", "localhost", false},
		{grants, "secret.get", "db-password", true},
		{grants, "secret.get", "other", false},
		{grants, "secret.get", "", true},
		{spi.Grants{}, "secret.get", "", false},
		{grants, "env", "REGION", true},
		{grants, "env", "HOME", false},
		{grants, "dir", "/data/in", true},
		{grants, "dir", "data", true},
		{grants, "dir", "/database", false},
		{grants, "dir", "/data/../etc", false},
		{grants, "dir", "rw /data", false},
		{grants, "dir", "rw /out/x", true},
		{grants, "dir", "", true},
		{spi.Grants{}, "dir", "", false},
		{grants, "clock", "real", false},
		{spi.Grants{}, "clock", "real", true},
		{grants, "random", "real", true},
		{spi.Grants{Random: spi.RandomSeeded}, "random", "real", false},
		{spi.Grants{}, "checkpoint.save", "", true},
		{spi.Grants{}, "progress.report", "", true},
		{spi.Grants{}, "should_stop", "", true},
		{grants, "gpu.use", "", false},
	} {
		if got := hostcall.Covers(test.grants, spi.Want{Op: test.op, Value: test.value}); got != test.want {
			t.Errorf("Covers(%+v, %s %q) = %v, want %v", test.grants, test.op, test.value, got, test.want)
		}
	}
}
