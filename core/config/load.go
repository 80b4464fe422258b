package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Load reads the configuration file at path. It returns everything that is
// wrong with it, sorted by place; the configuration is to be used only if that
// is nothing. getenv looks up variables of the environment, as os.LookupEnv does.
func Load(path string, getenv func(string) (string, bool)) (Config, Problems) {
	data, err := readFile(path)
	if err != nil {
		return Config{File: path}, Problems{{File: path, Rule: ruleFile, Message: err.Error()}}
	}
	c, problems := Parse(path, data, getenv)
	_, unusable := c.ClientTLS()
	return c, append(problems, unusable...).Sort()
}

// readFile reads at most one byte more than a file may have.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, reason(err)
	}
	defer func() { _ = file.Close() }() // nothing was written
	data, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return nil, reason(err)
	}
	return data, nil
}

// reason drops the path from an error, which a Problem has anyway.
func reason(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("there is no such file")
	}
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("reading the file: %w", pathError.Err)
	}
	return fmt.Errorf("reading the file: %w", err)
}

// Parse is Load for a file that has been read already. Paths in it are relative
// to the directory of name, which need not exist, and no file that it names is
// looked at.
func Parse(name string, data []byte, getenv func(string) (string, bool)) (Config, Problems) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	r := &reader{
		source: newSource(name, data), layout: newLayout(), getenv: getenv, cfg: Defaults(),
		broken: map[string]bool{}, room: maxExpanded,
	}
	r.cfg.File, r.cfg.base = name, filepath.Dir(name)
	if abs, err := filepath.Abs(r.cfg.base); err == nil {
		r.cfg.base = abs // the working directory may change later
	}
	r.cfg.places = map[string]place{}
	body, bad := r.source.parse(data)
	if bad != nil {
		r.report(bad.at, bad.rule, bad.message)
		return r.cfg, r.problems
	}
	b := &builder{problem: r.report, place: r.source.place, anchors: map[string]*node{}}
	root := b.build(body, 0)
	if b.full {
		return r.cfg, r.problems.Sort()
	}
	r.read(root)
	r.problems = append(r.problems, r.cfg.check(checker{source: &r.source, broken: r.broken})...)
	r.cfg.Notes = r.cfg.Notes.Sort()
	return r.cfg, r.problems.Sort()
}
