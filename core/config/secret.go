package config

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
)

// maxSecret bounds in bytes what the file of a secret holds.
const maxSecret = 64 << 10

// Secret is something that plugins may be granted to ask for. Its value is left
// out of what fmt, log/slog and encoding/json write of it.
type Secret struct {
	// File is an absolute path. The file is read whenever the secret is asked
	// for, so that it may change; a line end behind its value is not part of it.
	File string
	// Value is the secret itself when File is empty.
	Value string `json:"-"`
}

var (
	_ fmt.Stringer   = Secret{}
	_ fmt.GoStringer = Secret{}
	_ slog.LogValuer = Secret{}
)

// String says where the value comes from.
func (s Secret) String() string {
	if s.File != "" {
		return "secret of the file " + s.File
	}
	return "secret"
}

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// LogValue is String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Read returns the value. The error is that of the file, without its path.
func (s Secret) Read() (string, error) {
	if s.File == "" {
		return s.Value, nil
	}
	data, err := readFile(s.File)
	switch {
	case err != nil:
		return "", err
	case len(data) > maxSecret:
		return "", errors.New("the file has more than 64 KiB")
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if value == "" {
		return "", errors.New("the file is empty")
	}
	return value, nil
}

const allowedSecret = "{file: PATH}, {env: NAME} or a placeholder such as ${DB_PASSWORD}"

// readSecrets reads the section of secrets, whose names are taken literally.
func (r *reader) readSecrets(found []entry) {
	path := []string{keySecrets}
	byName := map[string][]entry{}
	var order []string
	for _, e := range r.open(path, found) {
		name := e.key
		if e.key != e.written { // a dotted key goes on to file or env
			name = strings.TrimSuffix(strings.TrimSuffix(e.key, "."+keyFile), "."+keyEnv)
		}
		e.head, e.key = name, strings.TrimPrefix(e.key[len(name):], ".")
		if byName[name] == nil {
			order = append(order, name)
		}
		byName[name] = append(byName[name], e)
	}
	for _, name := range order {
		path := []string{keySecrets, name}
		r.record(path, byName[name][0])
		if secret, ok := r.readSecret(path, byName[name]); ok {
			if r.cfg.Secrets == nil {
				r.cfg.Secrets = map[string]Secret{}
			}
			r.cfg.Secrets[name] = secret
		} else {
			r.broken[joined(path)] = true
		}
	}
}

// readSecret reads one secret. It is false when that was reported.
func (r *reader) readSecret(path []string, found []entry) (Secret, bool) {
	if i := slices.IndexFunc(found, func(e entry) bool { return e.key == "" && e.value.kind != mapping }); i >= 0 {
		r.pick(found) // reports the others
		return r.placeholderSecret(path, found[i])
	}
	entries := r.open(path, found)
	g := r.scatter(path, r.layout.secret, entries)
	file, hasFile := g.pick(keyFile)
	env, hasEnv := g.pick(keyEnv)
	switch {
	case hasFile && hasEnv:
		r.report(env.at, ruleConflict, r.label(path)+" has both file ("+where(file)+") and env; keep one")
		return Secret{}, false
	case hasFile:
		path, ok := g.text(keyFile)
		return Secret{File: r.cfg.Resolve(path)}, ok || r.missing(g.pathOf(keyFile), file, "the path of a file")
	case hasEnv:
		name, ok := g.text(keyEnv)
		if !ok {
			return Secret{}, r.missing(g.pathOf(keyEnv), env, "the name of a variable")
		}
		value, ok := r.getenv(name)
		if !ok || value == "" {
			r.reportBroken(g.pathOf(keyEnv), env.value.at, rulePlaceholder,
				r.label(g.pathOf(keyEnv))+": the environment has no variable "+quote(g.r.cfg.Shown(g.pathOf(keyEnv)...))+"; set it")
		}
		return Secret{Value: value}, value != ""
	}
	if len(entries) > 0 { // other keys, which were reported
		return Secret{}, false
	}
	return Secret{}, r.missing(path, found[0], allowedSecret)
}

// missing reports that a value is missing, unless something else was reported of
// it, and is false.
func (r *reader) missing(path []string, e entry, allowed string) bool {
	if !r.broken[joined(path)] {
		r.reportBroken(path, e.value.at, ruleRequired, r.label(path)+" is required: "+allowed)
	}
	return false
}

// placeholderSecret reads a secret that is written as text: nothing but
// placeholders without defaults, since what stands in the file is no secret.
func (r *reader) placeholderSecret(path []string, e entry) (Secret, bool) {
	switch {
	case e.value.kind == scalar && e.value.text == "":
		return Secret{}, r.missing(path, e, allowedSecret)
	case e.value.kind != scalar || !regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_]*\}$`).MatchString(e.value.text):
		r.report(e.value.at, ruleType, r.label(path)+" must be "+allowedSecret+": a value does not belong in this file")
		return Secret{}, false
	}
	name := strings.TrimSuffix(strings.TrimPrefix(e.value.text, "${"), "}")
	value, ok := r.getenv(name)
	if !ok || value == "" {
		r.report(e.value.at, rulePlaceholder, r.label(path)+": the environment has no variable "+name+"; set it")
		return Secret{}, false
	}
	return Secret{Value: value}, true
}

// checkSecrets finds what is wrong with names and values.
func (k *checks) checkSecrets() {
	for name, secret := range k.Secrets {
		path := []string{keySecrets, name}
		if !isToken(name, maxLabelSize) {
			k.add(ruleName, "the name of a secret must be 1 to 256 bytes without white space, not "+quote(name), path...)
		}
		k.require(secret.File != "" || secret.Value != "", allowedSecret, path...)
		if len(secret.Value) > maxSecret {
			k.add(ruleSize, k.label(path)+" has more than 64 KiB", path...)
		}
	}
}
