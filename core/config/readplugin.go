package config

import (
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/elasticjob-go/elasticjob/spi"
)

func (r *reader) readPlugins(list *node) {
	if list.null {
		return
	}
	path := []string{keyPlugins}
	if list.kind != sequence {
		r.reportBroken(path, list.at, ruleType, "plugins must be a list of mappings such as - wasm: modules/orders.wasm, not "+r.show(list))
		return
	}
	for i, item := range list.items {
		path := []string{keyPlugins, strconv.Itoa(i)}
		r.record(path, entry{at: item.at, value: item})
		if item.kind != mapping {
			r.reportBroken(path, item.at, ruleType, r.label(path)+" must be a mapping such as wasm: modules/orders.wasm, not "+r.show(item))
		}
		r.cfg.Plugins = append(r.cfg.Plugins, r.readPlugin(r.scatter(path, r.layout.plugin, item.entries)))
	}
}

func (r *reader) readPlugin(g group) Plugin {
	plugin := Plugin{Host: HostWASM}
	if found, ok := g.pick(keyProcess); ok && !found.value.empty() {
		plugin.Host = HostProcess
		if other, ok := g.pick(keyWASM); ok && !other.value.empty() {
			r.report(other.at, ruleConflict, r.label(g.pathOf(keyWASM))+" and "+found.head+" ("+where(found)+") both name a file; write two elements")
		}
	} else {
		plugin.Isolation = IsolationFresh
	}
	if text, ok := g.text(plugin.hostKey()); ok {
		plugin.Path, plugin.File = text, r.cfg.Resolve(text)
	}
	if text, ok := g.text(keySHA256); ok {
		plugin.SHA256 = strings.ToLower(text)
	}
	g.str(keyIsolation, &plugin.Isolation)
	limits := r.scatter(g.pathOf(keyLimits), r.layout.limits, g.open(keyLimits))
	limits.size(keyMemory, &plugin.Limits.Memory)
	limits.duration(keyTimeout, allowedTimeout, &plugin.Limits.Timeout)
	limits.count(keyConcurrency, &plugin.Limits.Concurrency)
	plugin.Grants = r.readGrants(r.scatter(g.pathOf(keyGrants), r.layout.grants, g.open(keyGrants)))
	r.readEnv(g, &plugin)
	return plugin
}

// readEnv reads what stands beside process, the same as env below grants.
func (r *reader) readEnv(g group, plugin *Plugin) {
	found, ok := g.pick(keyEnv)
	if !ok || found.value.empty() {
		return
	}
	names := g.elements(keyEnv, true)
	switch {
	case !plugin.IsProcess():
		r.report(found.at, ruleConflict, r.label(g.pathOf(keyEnv))+" is for processes; for a module, write it below grants")
	case plugin.Grants.Env != nil:
		r.report(found.at, ruleConflict, r.label(g.pathOf(keyEnv))+" and env below grants are the same setting; keep one")
	default:
		plugin.Grants.Env = names
	}
}

func (r *reader) readGrants(g group) spi.Grants {
	grants := spi.Grants{
		HTTP:    g.elements(keyHTTP, false), // a comma may stand between methods
		Env:     g.elements(keyEnv, true),
		Secrets: g.elements(keySecrets, true),
		Dirs:    r.readDirs(g),
	}
	if text, ok := g.text(keyClock); ok {
		grants.Clock = spi.ClockGrant(text)
	}
	if text, ok := g.text(keyRandom); ok {
		grants.Random = spi.RandomGrant(text)
	}
	return grants
}

func (r *reader) readDirs(g group) []spi.Dir {
	found, ok := g.pick(keyDirs)
	if !ok || found.value.empty() {
		return nil
	}
	if found.value.kind != sequence {
		r.reportBroken(g.pathOf(keyDirs), found.value.at, ruleType,
			r.label(g.pathOf(keyDirs))+" must be a list of mappings such as - {path: ./data, mode: ro}, not "+r.show(found.value))
		return nil
	}
	var dirs []spi.Dir
	for i, item := range found.value.items {
		path := append(g.pathOf(keyDirs), strconv.Itoa(i))
		r.record(path, entry{at: item.at, value: item})
		if item.kind != mapping {
			r.reportBroken(path, item.at, ruleType, r.label(path)+" must be a mapping such as {path: ./data, mode: ro}, not "+r.show(item))
		}
		dirs = append(dirs, r.readDir(r.scatter(path, r.layout.dir, item.entries)))
	}
	return dirs
}

func (r *reader) readDir(g group) spi.Dir {
	var dir spi.Dir
	if written, ok := g.text(keyPath); ok {
		dir.Path, dir.Guest = r.cfg.Resolve(written), guestPath(written)
	}
	const allowed = "ro or rw"
	if mode, ok := g.scalar(keyMode, allowed); ok {
		if dir.Writable = mode == "rw"; !dir.Writable && mode != "ro" {
			g.wrong(keyMode, ruleType, allowed)
		}
	}
	g.str(keyAs, &dir.Guest)
	return dir
}

// guestPath is where a module sees a directory when the file does not say.
func guestPath(written string) string { return path.Clean("/" + filepath.ToSlash(written)) }

// where says where an entry stands.
func where(e entry) string {
	return "line " + strconv.Itoa(e.at.Line) + ", column " + strconv.Itoa(e.at.Column)
}

// count reads a number that, when given, is more than zero.
func (g group) count(key string, to *int) {
	g.integer(key, to)
	path := g.pathOf(key)
	if at := g.r.cfg.places[joined(path)]; *to <= 0 && at.shown != "" && !g.r.broken[joined(path)] {
		g.wrong(key, ruleRange, allowedConcurrency)
	}
}

// pathOfEnv is where the file has the granted variables of a plugin.
func (c Config) pathOfEnv(path []string) []string {
	if at := append(slices.Clone(path), keyEnv); c.Has(at...) && !c.Has(append(slices.Clone(path), keyGrants, keyEnv)...) {
		return at
	}
	return append(slices.Clone(path), keyGrants, keyEnv)
}
