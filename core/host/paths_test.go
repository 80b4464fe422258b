package host_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/host"
	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// TestPathsOfBuiltInsStartFromTheFile makes jobs of a file in another directory
// than that of the process.
func TestPathsOfBuiltInsStartFromTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "node.yaml")
	const text = `
elasticjob:
  jobs:
    paths:
      elasticJobType: PATHS
      every: 1h
      shardingTotalCount: 1
      props: {given: scripts/run.sh, absolute: /scripts/run.sh}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, problems := config.Load(file, func(string) (string, bool) { return "", false })
	if len(problems) > 0 {
		t.Fatalf("Load() = %v, want no problems", problems)
	}
	absolute, err := filepath.Abs("/scripts/run.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name                            string
		terms                           func(props.Values) hostcall.Terms
		given, absolute, byDefault, not string
	}{
		{"built in", catalog.Trusted, filepath.Join(dir, "scripts", "run.sh"), absolute, dir, ""},
		{"elsewhere", func(props.Values) hostcall.Terms { return hostcall.Terms{} }, "scripts/run.sh", "/scripts/run.sh", ".", ""},
	} {
		var got props.Values
		plugin := spi.Plugin{
			Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "PATHS", Props: props.Schema{
				{Name: "given", Type: props.Path, Description: "a relative path"},
				{Name: "absolute", Type: props.Path, Description: "an absolute path"},
				{Name: "default", Type: props.Path, Default: ".", Description: "a path that is not given"},
				{Name: "not", Type: props.Path, Description: "a path that is not there"},
			}},
			JobType: func(_ context.Context, values props.Values) (spi.JobType, error) {
				got = values
				return spi.JobTypeFunc(nil), nil
			},
		}
		plugins := catalog.New()
		if err := plugins.Add(catalog.Source{Provenance: spi.Provenance{Host: "built-in"}}, builtin.All()...); err != nil {
			t.Fatal(err)
		}
		if err := plugins.Add(catalog.Source{Provenance: spi.Provenance{Host: test.name}, Terms: test.terms}, plugin); err != nil {
			t.Fatal(err)
		}
		h, problems := host.New(t.Context(), host.Config{Node: c, Catalog: plugins, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
		if len(problems) > 0 {
			t.Fatalf("New() = %v, want no problems", problems)
		}
		h.Close(t.Context())
		for name, want := range map[string]string{"given": test.given, "absolute": test.absolute, "default": test.byDefault, "not": test.not} {
			if got[name] != want {
				t.Errorf("path %q of a plugin %s = %q, want %q", name, test.name, got[name], want)
			}
		}
	}
}
