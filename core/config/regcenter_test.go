package config_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/elasticjob-go/elasticjob/core/config"
)

func regCenter(change func(*config.RegCenter)) *config.RegCenter {
	c := config.DefaultRegCenter()
	c.Servers, c.Namespace = []string{"127.0.0.1:6379"}, "orders"
	change(&c)
	return &c
}

func TestRegCenterForms(t *testing.T) {
	t.Parallel()
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, file string // below elasticjob
		want       *config.RegCenter
	}{
		{"absent", "{}", nil},
		{"null", "{regCenter: }", nil},
		{"one server", `{regCenter: {serverLists: "127.0.0.1:6379", namespace: orders}}`, regCenter(func(*config.RegCenter) {})},
		{"kebab-case and dots", `{reg-center.server-lists: "127.0.0.1:6379", reg-center: {namespace: orders}}`, regCenter(func(*config.RegCenter) {})},
		{"IPv6 and a name", `{regCenter: {serverLists: "[::1]:6379 , redis_1.example.com:7000", namespace: orders}}`, regCenter(func(c *config.RegCenter) {
			c.Servers = []string{"[::1]:6379", "redis_1.example.com:7000"}
		})},
		{"a list", "{regCenter: {serverLists: [a:1, \" b:2 \", 'c:3'], masterName: main, namespace: orders, sentinelUsername: w, sentinelPassword: p}}", regCenter(func(c *config.RegCenter) {
			c.Servers, c.MasterName, c.SentinelUsername, c.SentinelPassword = []string{"a:1", "b:2", "c:3"}, "main", "w", "p"
		})},
		{"user and password", "{regCenter: {serverLists: \"127.0.0.1:6379\", namespace: orders, username: ops, password: \"${DB_PASSWORD}\", database: 3}}", regCenter(func(c *config.RegCenter) {
			c.Username, c.Password, c.Database = "ops", secret, 3
		})},
		{"password alone", "{regCenter: {serverLists: \"127.0.0.1:6379\", namespace: orders, password: \"$${x}\"}}", regCenter(func(c *config.RegCenter) {
			c.Password = "${x}"
		})},
		{"digest", "{regCenter: {serverLists: \"127.0.0.1:6379\", namespace: orders, digest: \"ops:a:b\"}}", regCenter(func(c *config.RegCenter) {
			c.Username, c.Password = "ops", "a:b"
		})},
		{"TLS", "{regCenter: {serverLists: \"127.0.0.1:6379\", namespace: orders, tls: true}}", regCenter(func(c *config.RegCenter) { c.TLS = &config.TLS{} })},
		{"empty TLS", "{regCenter: {serverLists: \"127.0.0.1:6379\", namespace: orders, tls: {}}}", regCenter(func(c *config.RegCenter) { c.TLS = &config.TLS{} })},
		{"no TLS", "{regCenter: {serverLists: \"127.0.0.1:6379\", namespace: orders, tls: \"${NONE:false}\"}}", regCenter(func(*config.RegCenter) {})},
		{"null TLS", "{regCenter: {serverLists: \"127.0.0.1:6379\", namespace: orders, tls: }}", regCenter(func(*config.RegCenter) {})},
		{"TLS with files", "{regCenter: {serverLists: \"127.0.0.1:6379\", namespace: orders, tls: {caFile: ca.pem, certFile: /node.pem, keyFile: ./node.key}, tls.serverName: redis}}", regCenter(func(c *config.RegCenter) {
			c.TLS = &config.TLS{CAFile: filepath.Join(dir, "ca.pem"), CertFile: "/node.pem", KeyFile: filepath.Join(dir, "node.key"), ServerName: "redis"}
		})},
		{"waits", "{regCenter: {serverLists: \"127.0.0.1:6379\", namespace: orders, sessionTimeoutMilliseconds: 3000, connectionTimeoutMilliseconds: 1, baseSleepTimeMilliseconds: 2, maxSleepTimeMilliseconds: 2, maxRetries: 0}}", regCenter(func(c *config.RegCenter) {
			c.SessionTimeout, c.ConnectionTimeout, c.BaseSleepTime, c.MaxSleepTime, c.MaxRetries = 3*time.Second, time.Millisecond, 2*time.Millisecond, 2*time.Millisecond, 0
		})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg, problems := config.Parse("node.yaml", []byte("elasticjob: "+tt.file+"\n"), environment)
			if len(problems) > 0 {
				t.Fatalf("Parse() = %v, want no problems", problems)
			}
			if diff := cmp.Diff(tt.want, cfg.RegCenter); diff != "" {
				t.Errorf("RegCenter differs (-want +got):\n%s", diff)
			}
			if later := cfg.Validate(); len(later) > 0 {
				t.Errorf("Validate() = %v, want none", later)
			}
		})
	}
}

func TestRegCenterWithoutFile(t *testing.T) {
	t.Parallel()
	cfg := config.Defaults()
	cfg.RegCenter = &config.RegCenter{Servers: []string{"a"}, SentinelPassword: secret, TLS: &config.TLS{KeyFile: "/k"}}
	got := cfg.Validate().Error()
	want := strings.Join([]string{
		`conflict: regCenter.sentinelPassword is for Sentinel, which needs masterName`,
		`range: regCenter.baseSleepTimeMilliseconds must be 1 to 86400000, not "0"`,
		`range: regCenter.connectionTimeoutMilliseconds must be 1 to 86400000, not "0"`,
		`range: regCenter.maxSleepTimeMilliseconds must be 1 to 86400000, not "0"`,
		`range: regCenter.sessionTimeoutMilliseconds must be 3000 to 86400000, not "0"`,
		`required: regCenter.namespace is required: a name that sets this fleet apart from others on the same Redis`,
		`required: regCenter.tls.keyFile needs certFile as well`,
		`type: regCenter.serverLists must be addresses such as redis.example.com:6379, not "a": the port is missing: write "a:6379"`,
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Validate() differs (-want +got):\n%s", diff)
	}
}

// TestSecretsAreNotWritten covers every way in which a struct is written.
func TestSecretsAreNotWritten(t *testing.T) {
	t.Parallel()
	cfg := config.Defaults()
	cfg.RegCenter = regCenter(func(c *config.RegCenter) {
		c.MasterName, c.Username, c.Password, c.SentinelPassword, c.Database, c.TLS = "main", "ops", secret, secret, 3, &config.TLS{}
	})
	cfg.Secrets = map[string]config.Secret{"db": {Value: secret}, "api": {File: "/keys/api"}}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("m", "config", cfg, "center", cfg.RegCenter, "value", *cfg.RegCenter, "secret", cfg.Secrets["db"], "secrets", cfg.Secrets)
	}
	document, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	written := fmt.Sprintf("%v %+v %#v %v %+v %#v %s", cfg, cfg, cfg, cfg.RegCenter, *cfg.RegCenter, *cfg.RegCenter, cfg.RegCenter) + log.String() + string(document)
	written += fmt.Sprintf("%v %+v %#v %s", cfg.Secrets["db"], cfg.Secrets["db"], cfg.Secrets["db"], cfg.Secrets["db"])
	if strings.Contains(written, secret) {
		t.Errorf("a secret is written:\n%s", written)
	}
	if got, want := cfg.RegCenter.String(), "127.0.0.1:6379 namespace orders master main user ops database 3 TLS"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}

// pair writes a certificate and its key, and returns their paths.
func pair(t *testing.T, dir, name string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	for path, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: signed}, key: {Type: "PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

func TestClientTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pair(t, dir, "a")
	pair(t, dir, "b")
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, tls string
		want      []string // line:column rule and the end of each message
	}{
		{"of the system", "true", nil},
		{"everything", "{caFile: a.pem, certFile: a.pem, keyFile: a.key, serverName: redis}", nil},
		{"missing files", "{caFile: no.pem, certFile: no.crt, keyFile: no.key}", []string{
			`2:79 file caFile "no.pem": there is no such file`, `2:97 file certFile "no.crt": there is no such file`, `2:114 file keyFile "no.key": there is no such file`,
		}},
		{"no PEM", "{caFile: text}", []string{`2:79 file caFile "text": the file holds no certificate in PEM`}},
		{"another key", "{certFile: a.pem, keyFile: b.key}", []string{`2:81 file certFile "a.pem": this and keyFile are no certificate and its key: private key does not match public key`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(dir, strings.ReplaceAll(tt.name, " ", "-")+".yaml")
			text := "elasticjob:\n  regCenter: {serverLists: \"127.0.0.1:6379\", namespace: orders, tls: " + tt.tls + "}\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, problems := config.Load(file, environment)
			var got []string
			for _, p := range problems {
				got = append(got, fmt.Sprintf("%d:%d %s %s", p.Line, p.Column, p.Rule, strings.TrimPrefix(p.Message, "regCenter.tls.")))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Load() differs (-want +got):\n%s", diff)
			}
			client, again := cfg.ClientTLS()
			if diff := cmp.Diff(problems, again, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("ClientTLS() has other problems than Load() (-Load +ClientTLS):\n%s", diff)
			}
			if len(tt.want) > 0 {
				return
			}
			whole := strings.Contains(tt.tls, "caFile")
			if client == nil || (client.RootCAs != nil) != whole || len(client.Certificates) == 1 != whole || client.ServerName == "redis" != whole {
				t.Errorf("ClientTLS() = %+v, want what the file says", client)
			}
		})
	}
}

func TestNoClientTLS(t *testing.T) {
	t.Parallel()
	cfg := config.Defaults()
	for _, center := range []*config.RegCenter{nil, regCenter(func(*config.RegCenter) {})} {
		cfg.RegCenter = center
		if client, problems := cfg.ClientTLS(); client != nil || len(problems) > 0 {
			t.Errorf("ClientTLS() with regCenter %v = %v, %v, want nothing", center, client, problems)
		}
	}
}

func TestPrefersIP(t *testing.T) {
	t.Parallel()
	tests := []struct {
		preferred string
		yes, no   []string
	}{
		{"", []string{"10.0.0.1", "::1"}, nil},
		{"10.0.", []string{"10.0.0.1", "10.0.255.255"}, []string{"10.1.0.0", "110.0.0.1"}},
		{"10.0.*", []string{"10.0.0.1"}, []string{"10x0.0.1", "110.0.0.1"}},
		{"10.*.0.7", []string{"10.200.0.7"}, []string{"10.200.0.70", "10.0.1.7"}},
		{"10.0.0.1", []string{"10.0.0.1"}, []string{"10.0.0.11", "10.0.0.2"}},
		{"2001:DB8:", []string{"2001:db8::1"}, []string{"2001:db9::1"}},
		{`(10|192)\.[0-9.]+`, []string{"10.1.2.3", "192.168.0.1"}, []string{"172.16.0.1", "110.1.2.3"}},
		{`10\.0\..*|::1`, []string{"::1", "10.0.9.9"}, []string{"::11", "x10.0.9.9"}},
	}
	for _, tt := range tests {
		i := config.Instance{PreferredNetworkIP: tt.preferred}
		for _, address := range tt.yes {
			if !i.PrefersIP(address) {
				t.Errorf("PrefersIP(%s) of %q = false, want true", address, tt.preferred)
			}
		}
		for _, address := range tt.no {
			if i.PrefersIP(address) {
				t.Errorf("PrefersIP(%s) of %q = true, want false", address, tt.preferred)
			}
		}
	}
}
