//go:build unix

package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// regCenter is the regCenter of a node's file.
type regCenter struct {
	servers, password string
	// connectionTimeout is 15 s unless it is set.
	connectionTimeout time.Duration
	// sessionTimeout is the constant of this name unless it is set.
	sessionTimeout time.Duration
}

// sessionTimeout is that of most fleets: the shortest that is allowed.
const sessionTimeout = 3 * time.Second

// nodeFile is the configuration of a node.
type nodeFile struct {
	id    string // instance.id, if any
	grace time.Duration
	jobs  []jobFile
	// onZombie is as configured, "" for the default.
	onZombie string
}

// jobFile is a job in a node's file.
type jobFile struct {
	name       string
	jobType    string // FAKE unless it is set
	every      time.Duration
	items      int
	unmonitors bool // monitorExecution false
	overwrites bool
	props      string // as a flow mapping
	// onLeaseLoss is as configured, "" for the default.
	onLeaseLoss string
}

// with is the job with another number of items, which counts.
func (j jobFile) with(items int) jobFile {
	j.items, j.overwrites = items, true
	return j
}

func (n nodeFile) yaml(center regCenter) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("elasticjob:")
	if n.grace > 0 {
		line("  shutdownGraceMilliseconds: %d", n.grace.Milliseconds())
	}
	if n.onZombie != "" {
		line("  onZombie: %s", n.onZombie)
	}
	if n.id != "" {
		line("  instance: {id: %s}", n.id)
	}
	line("  regCenter:")
	line("    serverLists: %s", center.servers)
	line("    namespace: fleet")
	line("    sessionTimeoutMilliseconds: %d", cmp.Or(center.sessionTimeout, sessionTimeout).Milliseconds())
	if center.connectionTimeout > 0 {
		line("    connectionTimeoutMilliseconds: %d", center.connectionTimeout.Milliseconds())
	}
	if center.password != "" {
		line("    password: %s", center.password)
	}
	line("  jobs:")
	for _, j := range n.jobs {
		if j.jobType == "" {
			j.jobType = "FAKE"
		}
		line("    %s:", j.name)
		line("      elasticJobType: %s", j.jobType)
		line("      every: %s", j.every)
		line("      shardingTotalCount: %d", j.items)
		line("      monitorExecution: %t", !j.unmonitors)
		line("      overwrite: %t", j.overwrites)
		line("      jobExecutorThreadPoolSizeProviderType: 100")
		if j.onLeaseLoss != "" {
			line("      onLeaseLoss: %s", j.onLeaseLoss)
		}
		if j.props != "" {
			line("      props: {%s}", j.props)
		}
	}
	return b.String()
}
