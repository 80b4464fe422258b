package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/elasticjob-go/elasticjob/core/job"
)

// readJobs reads the section of jobs: finds the name in each key, gathers what
// belongs to one job, and reads the jobs in the order of their first keys.
func (r *reader) readJobs(entries []entry) {
	byName := map[string][]entry{}
	var order []string
	for _, e := range entries {
		name := e.key
		if dotted := e.key != e.written; dotted || e.value.kind == scalar && !e.value.null {
			name = r.jobName(e.key)
		}
		e.head, e.key = name, strings.TrimPrefix(e.key[len(name):], ".")
		if byName[name] == nil {
			order = append(order, name)
		}
		byName[name] = append(byName[name], e)
	}
	for _, name := range order {
		path := []string{keyJobs, name}
		r.record(path, byName[name][0])
		r.readJob(path, r.scatter(path, r.layout.job, r.open(path, byName[name])))
	}
}

// jobName returns the job that a dotted key is about: what stands before the
// first part that is a setting of a job, or all of it.
func (r *reader) jobName(key string) string {
	for i := range len(key) {
		if key[i] != '.' || i == 0 {
			continue
		}
		head, _, _ := strings.Cut(key[i+1:], ".")
		if _, known := r.layout.job.byForm[head]; known {
			return key[:i]
		}
	}
	return key
}

func (r *reader) readJob(path []string, g group) {
	c := job.Defaults(path[1])
	g.jobType(&c.Type)
	g.str("cron", &c.Cron)
	g.duration("every", allowedTimeout, &c.Every)
	g.instant("at", &c.At)
	r.readDependencies(g, &c.DependsOn)
	g.str("timeZone", &c.TimeZone)
	g.integer("shardingTotalCount", &c.ShardingTotalCount)
	g.str("shardingItemParameters", &c.ShardingItemParameters)
	g.str("jobParameter", &c.JobParameter)
	g.boolean("monitorExecution", &c.MonitorExecution)
	g.misfire(&c)
	g.boolean("failover", &c.Failover)
	g.duration(keyTimeout, allowedTimeout, &c.Timeout)
	g.integer(keyMaxRetries, &c.MaxRetries)
	g.duration("retryBackoff", allowedBackoff, &c.RetryBackoff)
	g.str("concurrencyPolicy", &c.ConcurrencyPolicy)
	g.str("onLeaseLoss", &c.OnLeaseLoss)
	g.integer("maxTimeDiffSeconds", &c.MaxTimeDiffSeconds)
	g.integer("reconcileIntervalMinutes", &c.ReconcileIntervalMinutes)
	g.str("jobShardingStrategyType", &c.ShardingStrategyType)
	g.pool(&c.PoolType)
	g.texts(keyErrorHandler, &c.ErrorHandlerTypes)
	g.texts(keyListeners, &c.ListenerTypes)
	g.integer("startedTimeoutMilliseconds", &c.StartedTimeoutMilliseconds)
	g.integer("completedTimeoutMilliseconds", &c.CompletedTimeoutMilliseconds)
	g.str("description", &c.Description)
	c.Props = g.free(keyProps)
	if _, given := g.pick("shardingTotalCount"); !given && c.ShardingStrategyType == job.BroadcastStrategyType {
		c.ShardingTotalCount = 1
	}
	g.boolean("disabled", &c.Disabled)
	g.boolean("overwrite", &c.Overwrite)
	g.str("label", &c.Label)
	r.cfg.Jobs = append(r.cfg.Jobs, c)
}

// misfire reads what becomes of missed fires, which two keys say.
func (g group) misfire(c *job.Config) {
	const flag, policy = "misfire", "misfirePolicy"
	g.boolean(flag, &c.Misfire)
	g.str(policy, &c.MisfirePolicy)
	g.integer("misfireLimit", &c.MisfireLimit)
	if c.MisfirePolicy == "" {
		return
	}
	says := c.Misfire
	c.Misfire = c.MisfirePolicy != job.MisfireSkip
	isKnown := slices.Contains([]string{job.MisfireOnce, job.MisfireSkip, job.MisfireAll}, c.MisfirePolicy)
	path := joined(g.pathOf(flag))
	at := g.r.cfg.places[path]
	if at.shown == "" || !isKnown || says == c.Misfire || g.r.broken[path] {
		return
	}
	e, _ := g.pick(policy)
	g.r.report(e.at, ruleConflict, fmt.Sprintf("%s contradicts %s (line %d, column %d): ONCE and ALL go with true, SKIP with false; keep one",
		g.r.labelOf(g.path, e.head), flag, at.key.Line, at.key.Column))
	g.r.broken[joined(g.pathOf(policy))] = true // Validate would say it again
}

// jobType reads the type of a job, which may stand where ElasticJob has the class.
func (g group) jobType(to *string) {
	class, hasClass := g.text(keyClass)
	e, _ := g.pick(keyClass)
	if !hasClass {
		if g.r.broken[joined(g.pathOf(keyClass))] {
			g.r.broken[joined(g.pathOf(keyType))] = true
		}
		g.str(keyType, to)
		return
	}
	if !job.IsType(class) {
		g.r.report(e.at, ruleJavaOnly, g.r.labelOf(g.path, e.head)+" makes sense in Java alone; write "+keyType+" with the type of a plugin, such as "+typeOfClass(class))
	}
	switch _, hasType := g.text(keyType); {
	case hasType:
		if job.IsType(class) {
			g.r.report(e.at, ruleConflict, g.r.labelOf(g.path, e.head)+" and "+keyType+" are mutually exclusive; keep "+keyType)
		}
		g.str(keyType, to)
	case job.IsType(class):
		*to = class
		// Problems of the type are found under its proper name.
		places := g.r.cfg.places
		places[joined(g.pathOf(keyType))] = places[joined(g.pathOf(keyClass))]
	default:
		g.r.broken[joined(g.pathOf(keyType))] = true // reported above: not missed as well
	}
}

// typeOfClass guesses the job type that stands for a Java class.
func typeOfClass(class string) string {
	if strings.HasSuffix(class, "DataflowJob") {
		return "DATAFLOW"
	}
	return "SIMPLE"
}

// pool reads the two names that ElasticJob has had for the pool of a job.
func (g group) pool(to *string) {
	before, hasBefore := g.text(keyPoolBefore)
	now, hasNow := g.text(keyPool)
	switch {
	case hasNow && hasBefore && now != before:
		e, _ := g.pick(keyPoolBefore)
		if !job.IsPool(before) {
			g.wrong(keyPoolBefore, ruleType, job.AllowedPool)
		}
		g.r.report(e.at, ruleConflict, g.r.labelOf(g.path, e.head)+" and "+keyPool+" both name the pool, and differ; keep one")
		*to = now
	case hasNow:
		*to = now
	case hasBefore:
		*to = before
		// Problems of the pool are found under its present name.
		places := g.r.cfg.places
		places[joined(append(slices.Clip(g.path), keyPool))] = places[joined(append(slices.Clip(g.path), keyPoolBefore))]
	}
}
