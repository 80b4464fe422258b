package config

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
)

// TLS says how connections to the registry center are encrypted. The zero value
// is usable: the certificates of the system, no client certificate.
type TLS struct {
	// CAFile holds the certificates that may sign the server's, in PEM; empty
	// for those of the system.
	CAFile string
	// CertFile and KeyFile hold the certificate and key of this node, in PEM.
	// Both are given or none.
	CertFile, KeyFile string
	// ServerName is the name that the server's certificate must have; empty for
	// the host that is connected to.
	ServerName string
}

// tls reads what stands under tls: a mapping, or true for one without anything.
func (g group) tls() *TLS {
	found := g.settings[keyTLS]
	if len(found) == 0 {
		return nil
	}
	path := g.pathOf(keyTLS)
	for _, e := range found {
		if e.key != "" || e.value.kind != scalar || e.value.null {
			continue
		}
		on := false
		if text, ok := g.text(keyTLS); ok {
			if on = strings.EqualFold(text, "true"); !on && !strings.EqualFold(text, "false") {
				g.wrong(keyTLS, ruleType, "true, false or a mapping such as caFile: ca.pem")
			}
		}
		for _, other := range found {
			if other.key != "" {
				g.r.twice(e, other)
				break
			}
		}
		if !on {
			return nil
		}
		return &TLS{}
	}
	asked := false
	for _, e := range found {
		asked = asked || e.key != "" || !e.value.null
	}
	if !asked {
		return nil
	}
	section := g.r.scatter(path, g.r.layout.tls, g.open(keyTLS))
	t := &TLS{}
	for key, to := range map[string]*string{keyCAFile: &t.CAFile, keyCertFile: &t.CertFile, keyKeyFile: &t.KeyFile} {
		if file, ok := section.text(key); ok {
			*to = g.r.cfg.Resolve(file)
		}
	}
	section.str(keyServerName, &t.ServerName)
	return t
}

func (k *checks) checkTLS(t *TLS, path []string) {
	if t == nil {
		return
	}
	of := func(key string) []string { return append(slices.Clip(path), key) }
	if (t.CertFile == "") != (t.KeyFile == "") {
		given, missing := keyCertFile, keyKeyFile
		if t.CertFile == "" {
			given, missing = missing, given
		}
		if !k.isBroken(of(missing)...) {
			k.add(ruleRequired, k.label(of(given))+" needs "+missing+" as well", of(given)...)
		}
	}
	k.must(t.ServerName == "" || isHost(t.ServerName), ruleType, "the name of a host", t.ServerName, of(keyServerName)...)
}

// ClientTLS reads the files of the registry center's TLS and returns what a
// client connects with, nil when connections are not encrypted. It returns a
// problem for each file that cannot be used. [Load] reports the same problems.
func (c Config) ClientTLS() (*tls.Config, Problems) {
	if c.RegCenter == nil || c.RegCenter.TLS == nil {
		return nil, nil
	}
	t := *c.RegCenter.TLS
	client := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	var problems Problems
	refuse := func(key, file, why string) {
		path := []string{keyRegCenter, keyTLS, key}
		shown := quote(cmp.Or(c.Shown(path...), file))
		problems = append(problems, c.problem(ruleFile, c.label(path)+" "+shown+": "+why, path))
	}
	read := func(key, file string) ([]byte, bool) {
		if file == "" {
			return nil, false
		}
		data, err := readFile(file)
		if err == nil && len(data) > maxFileSize {
			err = errors.New("the file has more than 4 MiB")
		}
		if err != nil {
			refuse(key, file, err.Error())
		}
		return data, err == nil
	}
	if authorities, ok := read(keyCAFile, t.CAFile); ok {
		client.RootCAs = x509.NewCertPool()
		if !client.RootCAs.AppendCertsFromPEM(authorities) {
			refuse(keyCAFile, t.CAFile, "the file holds no certificate in PEM")
		}
	}
	certificate, hasCertificate := read(keyCertFile, t.CertFile)
	key, hasKey := read(keyKeyFile, t.KeyFile)
	if hasCertificate && hasKey {
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			refuse(keyCertFile, t.CertFile, "this and "+keyKeyFile+" are no certificate and its key: "+strings.TrimPrefix(err.Error(), "tls: "))
		}
		client.Certificates = []tls.Certificate{pair}
	}
	return client, problems.Sort()
}
