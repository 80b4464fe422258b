package elasticjob

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/elasticjob-go/elasticjob/core/catalog"
	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/host"
	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/runtime/process"
	"github.com/elasticjob-go/elasticjob/runtime/wasm"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// ruleNotGranted is the rule of remarks about plugins that want more than they
// are granted.
const ruleNotGranted = "not-granted"

// runtimes run what plugins bring: modules, programs and host operations.
type runtimes struct {
	modules  *wasm.Host
	programs *process.Host
	calls    *hostcall.Host
	logger   *slog.Logger
	// secrets are those of the latest configuration.
	secrets atomic.Pointer[map[string]config.Secret]
}

// newRuntimes makes the runtimes, nil when there can be none.
func newRuntimes(ctx context.Context, c Config, s settings) (*runtimes, Problems) {
	var problems Problems
	modules, err := newModules(ctx, c, s)
	if err != nil {
		problems = append(problems, dataDirProblem(c, err))
		// The modules are to be looked at all the same.
		if modules, err = wasm.New(ctx, wasm.Config{LookupEnv: s.lookupEnv, Logger: s.logger}); err != nil {
			return nil, append(problems, Problem{File: c.File, Rule: "failed", Message: err.Error()})
		}
	}
	r := &runtimes{
		modules:  modules,
		programs: process.New(process.Config{LookupEnv: s.lookupEnv, Logger: s.logger}),
		logger:   s.logger,
	}
	r.secrets.Store(&c.Secrets)
	r.calls = hostcall.New(hostcall.Config{Secret: r.secret})
	return r, problems
}

// newModules makes the runtime for modules, with the compile cache of the data
// directory if there is one.
func newModules(ctx context.Context, c Config, s settings) (*wasm.Host, error) {
	cache := ""
	if c.DataDir != "" {
		cache = filepath.Join(c.DataDir, "cache", "wasm")
	}
	return wasm.New(ctx, wasm.Config{CacheDir: cache, CacheReadOnly: s.lint, LookupEnv: s.lookupEnv, Logger: s.logger})
}

// dataDirProblem blames the file only for a directory that the file names.
func dataDirProblem(c Config, err error) Problem {
	if c.Has("dataDir") {
		return c.Problem("file", "dataDir cannot be used: "+err.Error(), "dataDir")
	}
	return Problem{Rule: "file", Message: fmt.Sprintf("the data directory %s cannot be used: %s", c.DataDir, err)}
}

// secret returns the value of a secret as it is now.
func (r *runtimes) secret(name string) (value string, known bool, err error) {
	secret, known := (*r.secrets.Load())[name]
	if !known {
		return "", false, nil
	}
	value, err = secret.Read()
	if err != nil {
		r.logger.Warn("secret not read", "secret", name, "file", secret.File, "err", err)
	}
	return value, true, err
}

func (r *runtimes) close(ctx context.Context) {
	if err := r.modules.Close(ctx); err != nil {
		r.logger.Warn("module runtime not closed", "err", err)
	}
	if err := r.programs.Close(ctx); err != nil {
		r.logger.Warn("process runtime not closed", "err", err)
	}
	r.calls.Close()
}

// loaded is what came of the plugins of a configuration.
type loaded struct {
	catalog *catalog.Catalog
	// files are those of the configuration that were loaded, in its order.
	files    []loadedFile
	problems Problems
	// refused are what was said of modules, which jobs may name too.
	refused []string
	// unstarted names the programs that were not started.
	unstarted string
}

// loadedFile is a plugin file of the configuration.
type loadedFile struct {
	request spi.LoadRequest
	host    config.PluginHost
	bundle  *spi.Bundle
	place   string // in the configuration
}

// serves says whether a file that was loaded is what is asked for now.
func (f loadedFile) serves(host config.PluginHost, request spi.LoadRequest) bool {
	if f.host != host || !reflect.DeepEqual(f.request, request) {
		return false
	}
	sum, err := checksum(request.Path)
	return err == nil && sum == f.bundle.Provenance.SHA256
}

func closeFiles(ctx context.Context, files []loadedFile, logger *slog.Logger) {
	for _, f := range files {
		if err := f.bundle.Close(ctx); err != nil {
			logger.Warn("plugin not closed", "plugin", f.bundle.Provenance.String(), "err", err)
		}
	}
}

// load finds the plugins of a configuration: the built-in ones, those of the
// embedding program and those of its files. Files that are loaded already and
// have not changed are taken over. The caller closes the others, also with
// problems.
func (r *runtimes) load(ctx context.Context, c Config, s settings, already []loadedFile) *loaded {
	l := &loaded{catalog: catalog.New(), problems: c.CheckFiles()}
	l.add(c, catalog.Source{Provenance: spi.Provenance{Host: "built-in"}, Terms: catalog.Trusted}, builtin.All())
	l.add(c, catalog.Source{Provenance: spi.Provenance{Host: "built-in"}, Terms: moduleTerms(c)},
		[]spi.Plugin{r.modules.JobType(func(module string) spi.LoadRequest { return requestFor(c, module) })})
	l.addFunctions(c, s)
	l.add(c, catalog.Source{Provenance: spi.Provenance{Host: "embedding program"}, Terms: catalog.Trusted}, s.plugins)
	hasAllFiles := len(l.problems) == 0
	seen := make(map[string]bool)
	var unstarted []string
	for i, p := range c.Plugins {
		if p.File == "" || seen[p.File] {
			continue // among the problems of c itself
		}
		seen[p.File] = true
		path := []string{"plugins", strconv.Itoa(i), string(cmp.Or(p.Host, config.HostWASM))}
		request := loadRequest(p)
		if !hasAllFiles {
			request.Grants.Dirs = nil // what is wrong with them was said
		}
		if p.IsProcess() && s.offline {
			if err := process.Check(request.Path, request.SHA256); err != nil {
				l.problems = append(l.problems, c.Problem(host.RulePlugin, err.Error(), path...))
			}
			unstarted = append(unstarted, "plugins["+strconv.Itoa(i)+"]")
			continue
		}
		var loader spi.Loader = r.modules
		if p.IsProcess() {
			loader = r.programs
		}
		file := loadedFile{request: request, host: p.Host, place: placeOf(c, path)}
		if same := slices.IndexFunc(already, func(f loadedFile) bool { return f.serves(p.Host, request) }); same >= 0 {
			file.bundle = already[same].bundle
		} else {
			var err error
			if file.bundle, err = loader.Load(ctx, request); err != nil {
				l.problems = append(l.problems, c.Problem(host.RulePlugin, err.Error(), path...))
				l.refused = append(l.refused, err.Error())
				continue
			}
		}
		l.files = append(l.files, file)
		grants := request.Grants
		l.add(c, catalog.Source{
			Provenance: file.bundle.Provenance, Place: file.place,
			Terms: func(props.Values) hostcall.Terms { return hostcall.Terms{Grants: grants} },
		}, file.bundle.Plugins, path...)
		for _, plugin := range file.bundle.Plugins {
			noteWants(c, s, plugin.Descriptor, p, path)
		}
	}
	l.problems = append(l.problems, s.wrong...)
	l.unstarted = strings.Join(unstarted, " or ")
	return l
}

func (l *loaded) add(c Config, from catalog.Source, plugins []spi.Plugin, path ...string) {
	if err := l.catalog.Add(from, plugins...); err != nil {
		l.problems = append(l.problems, c.Problem("conflict", err.Error(), path...))
	}
}

// placeOf writes where a key of the configuration stands.
func placeOf(c Config, path []string) string {
	at := c.At(path...)
	if at.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d", at.File, at.Line, at.Column)
}

// noteWants remarks what a plugin wants and is not granted.
func noteWants(c Config, s settings, d spi.Descriptor, p config.Plugin, path []string) {
	for _, w := range d.Wants {
		if hostcall.Covers(p.Sound().Grants, w) {
			continue
		}
		what := strings.TrimSpace(w.Op + " " + w.Value)
		if w.Why != "" {
			what += " (" + w.Why + ")"
		}
		s.note(c.Problem(ruleNotGranted, fmt.Sprintf("%s of %s wants %s, which is not granted", d.Type, cmp.Or(p.Path, p.File), what), path...))
	}
}

func loadRequest(p config.Plugin) spi.LoadRequest {
	p = p.Sound()
	return spi.LoadRequest{
		Path: p.File, SHA256: p.SHA256, Isolation: spi.Isolation(p.Isolation),
		Limits: spi.Limits{Memory: p.Limits.Memory, Timeout: p.Limits.Timeout, Concurrency: p.Limits.Concurrency},
		Grants: p.Grants,
	}
}

// requestFor returns how a module that a job names is loaded: on the terms of
// the plugins entry that names the same file, else on the defaults.
func requestFor(c Config, module string) spi.LoadRequest {
	file := c.Resolve(module)
	for _, p := range c.Plugins {
		if p.File == file && !p.IsProcess() {
			return loadRequest(p)
		}
	}
	return spi.LoadRequest{Path: file}
}

// moduleTerms are the terms of jobs that name their module.
func moduleTerms(c Config) func(props.Values) hostcall.Terms {
	return func(values props.Values) hostcall.Terms {
		return hostcall.Terms{Grants: requestFor(c, values[wasm.PropModule]).Grants}
	}
}

// checksum returns the sha256 of a file in hexadecimal.
func checksum(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // nothing was written
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// PluginInfo is one plugin of a configuration.
type PluginInfo struct {
	// Descriptor is what the plugin says of itself. It is empty for a file that
	// brings no types, a module to be used by jobs of type WASM.
	Descriptor spi.Descriptor
	// Provenance is the host, path and checksum.
	Provenance spi.Provenance
	// Place is where the configuration names the file, as file:line:column; empty
	// for plugins that are built in or come from the embedding program, and
	// without a file.
	Place string
	// Wants is what the plugin asks for.
	Wants []PluginWant
}

// PluginWant is a host operation that a plugin asks for.
type PluginWant struct {
	spi.Want

	// Granted says that the configuration allows it.
	Granted bool
}

// Plugins returns the plugins that a node of this configuration has, by kind and
// type, with the files that bring none at the end. Modules are described as by
// Lint, and programs are started for it. What cannot be loaded is among the
// problems, which are otherwise those of the configuration and its plugins
// without its jobs. Nothing is written to disk.
func Plugins(ctx context.Context, c Config, options ...Option) ([]PluginInfo, []Problem) {
	s := newSettings(options)
	s.lint = true
	problems := c.Validate()
	if !c.Readable() {
		return nil, problems
	}
	r, wrong := newRuntimes(ctx, c, s)
	problems = append(problems, wrong...)
	if r == nil {
		return nil, problems.Sort()
	}
	l := r.load(ctx, c, s, nil)
	n := &Node{runtimes: r, files: l.files, logger: s.logger}
	defer n.close(context.WithoutCancel(ctx))
	problems = append(problems, l.problems...)

	var infos []PluginInfo
	for _, e := range l.catalog.Entries() {
		info := PluginInfo{Descriptor: e.Plugin.Descriptor, Provenance: e.Source.Provenance, Place: e.Source.Place}
		terms := catalog.Trusted(nil)
		if e.Source.Terms != nil {
			terms = e.Source.Terms(props.Values{})
		}
		for _, w := range info.Descriptor.Wants {
			info.Wants = append(info.Wants, PluginWant{Want: w, Granted: terms.Trusted || hostcall.Covers(terms.Grants, w)})
		}
		infos = append(infos, info)
	}
	for _, f := range l.files {
		if len(f.bundle.Plugins) == 0 {
			infos = append(infos, PluginInfo{Provenance: f.bundle.Provenance, Place: f.place})
		}
	}
	return infos, problems.Sort()
}
