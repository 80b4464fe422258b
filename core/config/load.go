package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Load reads the configuration file at path. It returns everything that is
// wrong with it, sorted by place; the configuration is to be used only if that
// is nothing. getenv looks up variables of the environment, as os.LookupEnv does.
func Load(path string, getenv func(string) (string, bool)) (Config, Problems) {
	data, err := readFile(path)
	if err != nil {
		c := Defaults()
		c.File, c.read = path, reading{failed: true, problems: Problems{{File: path, Rule: ruleFile, Message: err.Error()}}}
		return c, c.Validate()
	}
	c, _ := Parse(path, data, getenv)
	_, unusable := c.ClientTLS()
	c.read.problems = append(c.read.problems, unusable...)
	return c, c.Validate()
}

// readFile reads at most one byte more than a file may have. What is no regular
// file is refused, because opening or reading it may wait for ever, but for
// pipes that are open already and have a name in a directory of descriptors.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, reason(err)
	}
	if info.IsDir() {
		return nil, errors.New("it is a directory, not a file")
	}
	if !info.Mode().IsRegular() && !isDescriptor(path) {
		return nil, errors.New("it is no regular file")
	}
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

// isDescriptor says whether a path names an open file of the process.
func isDescriptor(path string) bool {
	path = filepath.Clean(path)
	return path == "/dev/stdin" || strings.HasPrefix(path, "/dev/fd/") || strings.HasPrefix(path, "/proc/self/fd/")
}

// reason drops the path from an error, which a Problem has anyway.
func reason(err error) error { return reasonOf(err, "file") }

// reasonOf is reason for a file or a directory.
func reasonOf(err error, what string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("there is no such " + what)
	}
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("reading the %s: %w", what, pathError.Err)
	}
	return fmt.Errorf("reading the %s: %w", what, err)
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
	failed := !r.parse(name, data)
	r.noteMeetings()
	r.cfg.Notes = r.cfg.Notes.Sort()
	r.cfg.read = reading{source: &r.source, problems: r.problems.Sort(), broken: r.broken, failed: failed}
	return r.cfg, r.cfg.Validate()
}

// parse fills in the configuration. It is false when there is nothing to read.
func (r *reader) parse(name string, data []byte) bool {
	r.cfg.File, r.cfg.base = name, filepath.Dir(name)
	if abs, err := filepath.Abs(r.cfg.base); err == nil {
		r.cfg.base = abs // the working directory may change later
	}
	r.cfg.places = map[string]place{}
	body, bad := r.source.parse(data)
	if bad != nil {
		r.report(bad.at, bad.rule, bad.message)
		return false
	}
	b := &builder{problem: r.report, place: r.source.place, anchors: map[string]*node{}}
	root := b.build(body, 0)
	if b.full {
		return false
	}
	r.read(root)
	return true
}
