package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
)

func (k *checks) checkPlugins() {
	files := map[string]int{}
	for i, plugin := range k.Plugins {
		at := []string{keyPlugins, strconv.Itoa(i)}
		if k.read.broken[joined(at)] {
			continue
		}
		k.checkPlugin(plugin, at)
		file := plugin.File
		if file == "" && plugin.Path != "" {
			file = k.Resolve(plugin.Path)
		}
		if first, twice := files[file]; twice && file != "" {
			named := append(slices.Clone(at), plugin.hostKey())
			k.add(ruleConflict, k.label(named)+" is the same file as that of "+k.placeOf(first)+"; keep one", named...)
			continue
		}
		files[file] = i
	}
}

// placeOf names an element of plugins and where it stands.
func (k *checks) placeOf(element int) string {
	path := []string{keyPlugins, strconv.Itoa(element)}
	name := k.label(path)
	if at := k.At(append(path, k.Plugins[element].hostKey())...); at.Line > 0 {
		name += fmt.Sprintf(" (line %d)", at.Line)
	}
	return name
}

func (k *checks) checkPlugin(plugin Plugin, at []string) {
	of := func(keys ...string) []string { return slices.Concat(at, keys) }
	if plugin.Path == "" && plugin.File == "" && !k.isBroken(of(keyWASM)...) && !k.isBroken(of(keyProcess)...) {
		k.add(ruleRequired, k.label(at)+" needs the key wasm, the path of a module, or process, that of a program", at...)
	}
	k.must(plugin.Host == "" || plugin.Host == HostWASM || plugin.IsProcess(), ruleType, "wasm or process", plugin.Host, of("host")...)
	k.must(plugin.soundSHA256(), ruleType, "64 hex digits", plugin.SHA256, of(keySHA256)...)
	k.must(plugin.Limits.soundTimeout(), ruleRange,
		allowedTimeout, plugin.Limits.Timeout, of(keyLimits, keyTimeout)...)
	k.must(plugin.Limits.soundConcurrency(), ruleRange,
		allowedConcurrency, plugin.Limits.Concurrency, of(keyLimits, keyConcurrency)...)
	if plugin.IsProcess() {
		k.checkProcess(plugin, of)
	} else {
		k.must(plugin.soundIsolation(), ruleType,
			"fresh or pooled", plugin.Isolation, of(keyIsolation)...)
		k.must(plugin.Limits.soundMemory(), ruleRange,
			allowedMemory, plugin.Limits.Memory, of(keyLimits, keyMemory)...)
		k.must(soundClock(plugin.Grants.Clock), ruleType, "real or frozen", plugin.Grants.Clock, of(keyGrants, keyClock)...)
		k.must(soundRandom(plugin.Grants.Random), ruleType, "real or seeded", plugin.Grants.Random, of(keyGrants, keyRandom)...)
		k.checkDirs(plugin.Grants.Dirs, of(keyGrants, keyDirs))
	}
	k.checkHTTP(plugin.Grants.HTTP, of(keyGrants, keyHTTP))
	k.checkEnv(plugin.Grants.Env, k.pathOfEnv(at))
	k.checkGrantedSecrets(plugin.Grants.Secrets, of(keyGrants, keySecrets))
}

// checkProcess refuses what nobody can hold a process to.
func (k *checks) checkProcess(plugin Plugin, of func(...string) []string) {
	refuse := func(given bool, why string, path ...string) {
		if given || k.Has(path...) && k.Shown(path...) != "" {
			k.add(ruleConflict, k.label(path)+" is for modules: "+why, path...)
		}
	}
	refuse(plugin.Isolation != "", "one process serves all calls", of(keyIsolation)...)
	refuse(plugin.Limits.Memory != 0, "the memory of a process is limited by its system", of(keyLimits, keyMemory)...)
	refuse(len(plugin.Grants.Dirs) > 0, "a process reaches whatever its user may", of(keyGrants, keyDirs)...)
	refuse(plugin.Grants.Clock != "", "a process has the clock of its system", of(keyGrants, keyClock)...)
	refuse(plugin.Grants.Random != "", "a process has the random numbers of its system", of(keyGrants, keyRandom)...)
}

// each checks every element of a list of grants: sound returns the rule that one
// breaks and what to say of it, "" if it is well.
func (k *checks) each(list []string, path []string, sound func(element, shown string, secret bool) (rule, message string)) {
	if k.isBroken(path...) {
		return
	}
	if len(list) > maxGrants {
		k.add(ruleSize, k.label(path)+" has more than "+strconv.Itoa(maxGrants)+" elements", path...)
		return
	}
	for i, element := range list {
		at := append(slices.Clone(path), strconv.Itoa(i))
		place := k.places[joined(at)]
		shown := element
		if place.shown != "" {
			shown = place.shown
		}
		if rule, message := sound(element, quote(shown), place.secret); rule != "" {
			k.add(rule, withIndexes(at)+" "+message, at...)
		}
	}
}

func (k *checks) checkHTTP(list, path []string) {
	k.each(list, path, func(text, shown string, secret bool) (string, string) {
		err := hostcall.CheckHTTPGrant(text)
		switch {
		case err == nil:
			return "", ""
		case secret:
			return ruleType, "must be a host such as api.example.com or GET https://api.example.com:8443, not " + shown
		default:
			return ruleType, "is " + shown + ": " + err.Error()
		}
	})
}

func (k *checks) checkEnv(list, path []string) {
	k.each(list, path, func(name, shown string, _ bool) (string, string) {
		if isVariableName(name) {
			return "", ""
		}
		return ruleName, "must be the name of a variable, without its value, not " + shown
	})
}

// isVariableName is as wide as systems are: that of Windows has ProgramFiles(x86).
func isVariableName(name string) bool {
	return isToken(name, maxLabelSize) && !strings.Contains(name, "=")
}

func (k *checks) checkGrantedSecrets(list, path []string) {
	known := slices.Sorted(maps.Keys(k.Secrets))
	k.each(list, path, func(name, shown string, secret bool) (string, string) {
		if _, ok := k.Secrets[name]; ok || k.isBroken(keySecrets, name) {
			return "", ""
		}
		message := "names the secret " + shown + ", which elasticjob.secrets does not have"
		if near, ok := Suggest(name, known); ok && !secret {
			message += "; did you mean " + quote(near) + "?"
		}
		return ruleUnknownName, message
	})
}

func (k *checks) checkDirs(dirs []spi.Dir, at []string) {
	if len(dirs) > maxGrants {
		k.add(ruleSize, k.label(at)+" has more than "+strconv.Itoa(maxGrants)+" elements", at...)
		return
	}
	guests := map[string]int{}
	for i, dir := range dirs {
		of := func(keys ...string) []string { return slices.Concat(at, []string{strconv.Itoa(i)}, keys) }
		if k.read.broken[joined(of())] {
			continue
		}
		k.require(dir.Path != "", "the path of a directory", of(keyPath)...)
		if dir.Path == "" {
			continue
		}
		k.must(soundDir(dir), ruleType, "an absolute path", dir.Path, of(keyPath)...)
		k.must(soundGuest(dir.Guest), ruleType, "an absolute path with slashes such as /data", dir.Guest, of(keyAs)...)
		if first, twice := guests[dir.Guest]; twice {
			named := of(keyAs)
			if !k.Has(named...) {
				named = of(keyPath)
			}
			k.add(ruleConflict, withIndexes(of())+" has the same path in the module as "+withIndexes(append(slices.Clone(at), strconv.Itoa(first)))+"; give one another with as", named...)
			continue
		}
		guests[dir.Guest] = i
	}
}

func soundDir(dir spi.Dir) bool { return filepath.IsAbs(dir.Path) }

func soundGuest(guest string) bool {
	return strings.HasPrefix(guest, "/") && path.Clean(guest) == guest && !strings.ContainsRune(guest, 0)
}

func soundClock(clock spi.ClockGrant) bool {
	return clock == "" || clock == spi.ClockReal || clock == spi.ClockFrozen
}

func soundRandom(random spi.RandomGrant) bool {
	return random == "" || random == spi.RandomReal || random == spi.RandomSeeded
}

// CheckFiles returns what is wrong now with the directories and the files of
// secrets that the configuration names.
func (c Config) CheckFiles() Problems {
	var problems Problems
	refuse := func(err error, path ...string) {
		problems = append(problems, c.problem(ruleFile, withIndexes(path)+" "+quote(c.Shown(path...))+": "+err.Error(), path))
	}
	for i, plugin := range c.Plugins {
		for j, dir := range plugin.Sound().Grants.Dirs {
			if err := checkDir(dir.Path); err != nil {
				refuse(err, keyPlugins, strconv.Itoa(i), keyGrants, keyDirs, strconv.Itoa(j), keyPath)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Secrets)) {
		if c.Secrets[name].File == "" {
			continue
		}
		if _, err := c.Secrets[name].Read(); err != nil {
			refuse(err, keySecrets, name, keyFile)
		}
	}
	return problems.Sort()
}

func checkDir(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return reasonOf(err, "directory")
	case !info.IsDir():
		return errors.New("it is no directory")
	default:
		return nil
	}
}
