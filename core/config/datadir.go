package config

import (
	"path/filepath"
	"runtime"
)

// DefaultDataDir returns the directory that a node keeps its data in when its
// configuration names none, and whether the environment says enough to know it:
// elasticjob below $XDG_STATE_HOME or ~/.local/state, on macOS below
// ~/Library/Application Support, on Windows below %LOCALAPPDATA%.
func DefaultDataDir(getenv func(string) (string, bool)) (string, bool) {
	return dataDirOn(runtime.GOOS, getenv)
}

func dataDirOn(system string, getenv func(string) (string, bool)) (string, bool) {
	below := func(variable string, parts ...string) (string, bool) {
		base, _ := getenv(variable)
		if !filepath.IsAbs(base) { // the XDG specification says to ignore a relative one
			return "", false
		}
		return filepath.Join(append([]string{base}, parts...)...), true
	}
	switch system {
	case "windows":
		if dir, ok := below("LOCALAPPDATA", "elasticjob"); ok {
			return dir, true
		}
		return below("USERPROFILE", "AppData", "Local", "elasticjob")
	case "darwin", "ios":
		return below("HOME", "Library", "Application Support", "elasticjob")
	default:
		if dir, ok := below("XDG_STATE_HOME", "elasticjob"); ok {
			return dir, true
		}
		return below("HOME", ".local", "state", "elasticjob")
	}
}
