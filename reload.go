package elasticjob

import (
	"context"
	"reflect"

	"github.com/elasticjob-go/elasticjob/spi"
)

// Reload gives a node that has started the jobs, plugins and secrets of another
// configuration. When that cannot be used, the error is [Problems], and nothing
// is changed; other errors are those of the registry.
//
// A job goes on with its new plugins from its next run; what runs ends with
// those that it began with, which are closed then. Plugin files that have not
// changed stay loaded. Whether the definition in the file or that in the registry
// counts is decided by overwrite, as when the node starts. Jobs that are in the
// file no longer stay in the registry, unless it is the one inside the process.
//
// The data directory, the grace, the bound of running items, the instance and the
// registry center stay as they are; a record of the log names those that differ.
func (n *Node) Reload(ctx context.Context, c Config) error {
	n.reloading.Lock()
	defer n.reloading.Unlock()
	problems := c.Validate()
	if !c.Readable() {
		return problems
	}
	l := n.runtimes.load(ctx, c, n.settings, n.files)
	problems = append(problems, l.problems...)
	fresh := difference(l.files, n.files)
	if len(problems) > 0 {
		closeFiles(ctx, fresh, n.logger)
		return problems.Sort()
	}
	for _, key := range n.fixedKeys(c) {
		n.logger.Warn("a change of this key takes effect at the next start", "key", key)
	}
	// The first runs with the new plugins may ask for the new secrets.
	secrets := n.runtimes.secrets.Swap(&c.Secrets)
	idle, err := n.host.Reload(ctx, c, l.catalog)
	if err != nil {
		n.runtimes.secrets.Store(secrets)
		closeFiles(ctx, fresh, n.logger)
		return err
	}
	retired := difference(n.files, l.files)
	n.files = l.files
	n.retiring.Go(func() {
		// The node's end makes everything idle.
		<-idle
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		closeFiles(ctx, retired, n.logger)
	})
	return nil
}

// difference returns the files whose bundles the others do not have.
func difference(files, others []loadedFile) []loadedFile {
	has := make(map[*spi.Bundle]bool, len(others))
	for _, f := range others {
		has[f.bundle] = true
	}
	var rest []loadedFile
	for _, f := range files {
		if !has[f.bundle] {
			rest = append(rest, f)
		}
	}
	return rest
}

// fixedKeys names what differs and cannot be changed while the node runs.
func (n *Node) fixedKeys(c Config) []string {
	var keys []string
	for _, k := range []struct {
		name     string
		old, new any
	}{
		{"dataDir", n.config.DataDir, c.DataDir},
		{"shutdownGraceMilliseconds", n.config.ShutdownGrace, c.ShutdownGrace},
		{"maxRunningItems", n.config.MaxRunningItems, c.MaxRunningItems},
		{"onZombie", n.config.OnZombie, c.OnZombie},
		{"instance", n.config.Instance, c.Instance},
		{"regCenter", n.config.RegCenter, c.RegCenter},
	} {
		if !reflect.DeepEqual(k.old, k.new) {
			keys = append(keys, k.name)
		}
	}
	return keys
}
