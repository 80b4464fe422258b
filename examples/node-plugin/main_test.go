package node_plugin_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// folder is a copy of this one with what package.json names, made once for all
// tests.
var folder string

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	var err error
	if folder, err = os.MkdirTemp("", "node-plugin-"); err == nil {
		defer func() { _ = os.RemoveAll(folder) }()
		err = install()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// install does what the README tells.
func install() error {
	for _, name := range []string{
		"plugin.js", "elasticjob.js", "plugin.proto", "go-plugin.proto", "health.proto", "package.json", "package-lock.json", ".npmrc", "elasticjob.yaml",
	} {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o700); err != nil {
			return err
		}
	}
	npm := exec.Command("npm", "ci", "--prefer-offline")
	npm.Dir = folder
	if out, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci (of Node.js, 18 or later): %w\n%s", err, out)
	}
	return nil
}
