package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/spi"
)

func TestReadSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tests := []struct {
		name, content string
		want, wantErr string
	}{
		{"line", secret + "\n", secret, ""},
		{"line of Windows", secret + "\r\n", secret, ""},
		{"several lines", " a\n\nb\n\n", " a\n\nb\n", ""},
		{"empty", "\n", "", "the file is empty"},
		{"large", strings.Repeat("x", 64<<10+1), "", "more than 64 KiB"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(dir, test.name)
			if err := os.WriteFile(file, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := config.Secret{File: file}.Read()
			if got != test.want || (err == nil) != (test.wantErr == "") || err != nil && !strings.Contains(err.Error(), test.wantErr) {
				t.Errorf("Read() = %q, %v, want %q and an error with %q", got, err, test.want, test.wantErr)
			}
		})
	}
	if got, err := (config.Secret{Value: secret}).Read(); got != secret || err != nil {
		t.Errorf("Read() without a file = %q, %v, want the value", got, err)
	}
}

func TestCheckFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "elasticjob.yaml")
	const text = `elasticjob:
  plugins:
    - wasm: a.wasm
      grants:
        dirs: [{path: data}, {path: none}, {path: elasticjob.yaml}]
        secrets: [sound, missing]
  secrets:
    sound: {file: elasticjob.yaml}
    missing: {file: keys/none}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, problems := config.Load(file, environment)
	if len(problems) > 0 {
		t.Fatalf("Load() = %v, want no problem: files are looked at by CheckFiles", problems)
	}
	at := func(line, column int, message string) config.Problem {
		return config.Problem{File: file, Line: line, Column: column, Rule: "file", Message: message}
	}
	want := config.Problems{
		at(5, 37, `plugins[0].grants.dirs[1].path "none": there is no such directory`),
		at(5, 51, `plugins[0].grants.dirs[2].path "elasticjob.yaml": it is no directory`),
		at(9, 21, `secrets.missing.file "keys/none": there is no such file`),
	}
	if diff := cmp.Diff(want, cfg.CheckFiles()); diff != "" {
		t.Errorf("CheckFiles() differs (-want +got):\n%s", diff)
	}
}

func TestValidatePluginsWithoutFile(t *testing.T) {
	t.Parallel()
	cfg := config.Defaults()
	cfg.Plugins = []config.Plugin{
		{Host: "jvm", File: "/a", Isolation: config.IsolationFresh},
		{Host: config.HostProcess, File: "/b", Isolation: config.IsolationFresh, Grants: spi.Grants{Secrets: []string{"s"}}},
		{Host: config.HostProcess, File: "/c"},
		{File: "/d", Isolation: config.IsolationFresh, Grants: spi.Grants{
			Env: make([]string, 257), Dirs: []spi.Dir{{}, {Path: "d", Guest: "/d"}, {Path: absolute(t, "d"), Guest: "/d/.."}},
		}},
	}
	cfg.Secrets = map[string]config.Secret{"t": {}}
	want := strings.Join([]string{
		`conflict: plugins[1].isolation is for modules: one process serves all calls`,
		`required: plugins[3].grants.dirs[0].path is required: the path of a directory`,
		`required: secrets.t is required: {file: PATH}, {env: NAME} or a placeholder such as ${DB_PASSWORD}`,
		`size: plugins[3].grants.env has more than 256 elements`,
		`type: plugins[0].host must be wasm or process, not "jvm"`,
		`type: plugins[3].grants.dirs[1].path must be an absolute path, not "d"`,
		`type: plugins[3].grants.dirs[2].as must be an absolute path with slashes such as /data, not "/d/.."`,
		`unknown-name: plugins[1].grants.secrets[0] names the secret "s", which elasticjob.secrets does not have`,
	}, "\n")
	if diff := cmp.Diff(want, cfg.Validate().Error()); diff != "" {
		t.Errorf("Validate() differs (-want +got):\n%s", diff)
	}
}
