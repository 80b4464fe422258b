package config

import (
	"strings"
	"unicode"
)

// fieldKind says what becomes of a known key.
type fieldKind uint8

const (
	leaf      fieldKind = iota // a value
	section                    // a mapping with known keys or names
	refused                    // known, and not available in this version
	java                       // makes sense in Java alone
	zookeeper                  // makes sense with ZooKeeper alone
)

// field is one known key of a mapping.
type field struct {
	name string
	kind fieldKind
	// harmless is the one value that a refused key may have: that by which
	// nothing is asked for.
	harmless string
	// instead says what to write instead of a key of Java or ZooKeeper.
	instead string
}

// shape is the known keys of a mapping.
type shape struct {
	names  []string // for suggestions
	byForm map[string]*field
}

func newShape(fields ...field) shape {
	s := shape{byForm: make(map[string]*field, 2*len(fields))}
	for _, f := range fields {
		s.byForm[f.name], s.byForm[kebab(f.name)] = &f, &f
		if f.kind != java && f.kind != zookeeper {
			s.names = append(s.names, f.name)
		}
	}
	return s
}

// kebab writes a camelCase name as kebab-case.
func kebab(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func fieldsOf(kind fieldKind, names ...string) []field {
	fields := make([]field, len(names))
	for i, name := range names {
		fields[i] = field{name: name, kind: kind}
	}
	return fields
}

// Keys of the file that the reader asks for by name.
const (
	keyElasticJob      = "elasticjob"
	keyDataDir         = "dataDir"
	keyShutdownGrace   = "shutdownGraceMilliseconds"
	keyMaxRunningItems = "maxRunningItems"
	keyOnZombie        = "onZombie"
	keyInstance        = "instance"
	keyLabels          = "labels"
	keyPlugins         = "plugins"
	keySecrets         = "secrets"
	keyTracing         = "tracing"
	keyJobs            = "jobs"

	keyID        = "id"
	keyIP        = "preferredNetworkIp"
	keyInterface = "preferredNetworkInterface"

	keyRegCenter         = "regCenter"
	keyServerLists       = "serverLists"
	keyMasterName        = "masterName"
	keyNamespace         = "namespace"
	keyUsername          = "username"
	keyPassword          = "password"
	keyDigest            = "digest"
	keySentinelUsername  = "sentinelUsername"
	keySentinelPassword  = "sentinelPassword"
	keyDatabase          = "database"
	keySessionTimeout    = "sessionTimeoutMilliseconds"
	keyConnectionTimeout = "connectionTimeoutMilliseconds"
	keyBaseSleepTime     = "baseSleepTimeMilliseconds"
	keyMaxSleepTime      = "maxSleepTimeMilliseconds"
	keyMaxRetries        = "maxRetries"
	keyTLS               = "tls"
	keyCAFile            = "caFile"
	keyCertFile          = "certFile"
	keyKeyFile           = "keyFile"
	keyServerName        = "serverName"

	keyWASM        = "wasm"
	keyProcess     = "process"
	keySHA256      = "sha256"
	keyIsolation   = "isolation"
	keyLimits      = "limits"
	keyMemory      = "memory"
	keyTimeout     = "timeout"
	keyConcurrency = "concurrency"
	keyGrants      = "grants"
	keyHTTP        = "http"
	keyEnv         = "env"
	keyDirs        = "dirs"
	keyPath        = "path"
	keyMode        = "mode"
	keyAs          = "as"
	keyClock       = "clock"
	keyRandom      = "random"

	keyFile = "file"

	keySinkType = "type"

	keyType         = "elasticJobType"
	keyClass        = "elasticJobClass"
	keyPool         = "jobExecutorThreadPoolSizeProviderType" // ElasticJob 3.0.5 and later
	keyPoolBefore   = "jobExecutorServiceHandlerType"         // up to 3.0.4
	keyErrorHandler = "jobErrorHandlerType"
	keyListeners    = "jobListenerTypes"
	keyProps        = "props"
	keyDependsOn    = "dependsOn"
	keyDependency   = "job"
	keyOn           = "on"
)

// layout is every mapping of the file with known keys.
type layout struct {
	root, node, instance, regCenter, tls, plugin, limits, grants, dir, secret, tracing, job, dependency shape
}

func newLayout() layout {
	var l layout
	l.root = newShape(field{name: keyElasticJob, kind: section})

	node := fieldsOf(leaf, keyDataDir, keyShutdownGrace, keyMaxRunningItems, keyOnZombie, keyPlugins)
	node = append(node, fieldsOf(section, keyInstance, keyRegCenter, keySecrets, keyTracing, keyJobs)...)
	node = append(node, fieldsOf(refused, "server", "dump")...)
	node = append(node, field{name: "enabled", kind: refused, harmless: "true"})
	l.node = newShape(node...)

	tracing := append(fieldsOf(leaf, keySinkType), fieldsOf(section, keyProps)...)
	l.tracing = newShape(append(tracing, fieldsOf(refused, "dataSource", "includeJobNames", "excludeJobNames")...)...)

	l.instance = newShape(append(fieldsOf(section, keyLabels), fieldsOf(leaf, keyID, keyIP, keyInterface)...)...)

	center := fieldsOf(leaf, keyServerLists, keyMasterName, keyNamespace, keyUsername, keyPassword, keyDigest,
		keySentinelUsername, keySentinelPassword, keyDatabase, keySessionTimeout, keyConnectionTimeout,
		keyBaseSleepTime, keyMaxSleepTime, keyMaxRetries)
	center = append(center, fieldsOf(section, keyTLS)...)
	for _, name := range []string{"ensembleTracker", "canBeReadOnly", "chroot"} {
		center = append(center, field{name: name, kind: zookeeper, instead: "leave it out"})
	}
	center = append(center,
		field{name: "type", kind: zookeeper, instead: "leave it out: the registry center is Redis"},
		field{name: "connectString", kind: zookeeper, instead: "write " + keyServerLists + " with the address of Redis"},
		field{name: "zkAddressList", kind: zookeeper, instead: "write " + keyServerLists + " with the address of Redis"})
	l.regCenter = newShape(center...)
	l.tls = newShape(fieldsOf(leaf, keyCAFile, keyCertFile, keyKeyFile, keyServerName)...)

	l.plugin = newShape(append(fieldsOf(leaf, keyWASM, keyProcess, keySHA256, keyIsolation, keyEnv), fieldsOf(section, keyLimits, keyGrants)...)...)
	l.limits = newShape(fieldsOf(leaf, keyMemory, keyTimeout, keyConcurrency)...)
	l.grants = newShape(fieldsOf(leaf, keyHTTP, keyEnv, keyDirs, keySecrets, keyClock, keyRandom)...)
	l.dir = newShape(fieldsOf(leaf, keyPath, keyMode, keyAs)...)
	l.secret = newShape(fieldsOf(leaf, keyFile, keyEnv)...)

	job := fieldsOf(leaf, keyType, keyClass, "cron", "every", "at", keyDependsOn, "timeZone", "shardingTotalCount", "shardingItemParameters",
		"jobParameter", "monitorExecution", "misfire", "misfirePolicy", "misfireLimit", "failover", keyTimeout, keyMaxRetries,
		"retryBackoff", "concurrencyPolicy", "onLeaseLoss", "maxTimeDiffSeconds",
		"reconcileIntervalMinutes", "jobShardingStrategyType", keyPool, keyPoolBefore, keyErrorHandler,
		keyListeners, "startedTimeoutMilliseconds", "completedTimeoutMilliseconds", "description", "disabled", "overwrite", "label")
	job = append(job, fieldsOf(section, keyProps)...)
	job = append(job, fieldsOf(refused, "retry", "retries", "calendars", "backfill", "jobExtraConfigurations",
		"extraConfigurations", "startAt", "endAt",
		"jitter", "dstPolicy")...)
	job = append(job, field{name: "staticSharding", kind: refused, harmless: "false"})
	for name, instead := range map[string]string{
		"jobClass":                  "write elasticJobType with the type of a plugin, such as SIMPLE",
		"jobBootstrapBeanName":      "leave it out: there are no beans here",
		"registryCenter":            "leave it out: a node has one registry center, regCenter",
		"jobShardingStrategyClass":  "write jobShardingStrategyType with the type of a strategy, such as AVG_ALLOCATION",
		"executorServiceHandler":    "write " + keyPool + " with CPU, SINGLE_THREAD or a number",
		"jobExceptionHandler":       "write " + keyErrorHandler + " with the type of a handler, such as LOG",
		"jobErrorHandlerClass":      "write " + keyErrorHandler + " with the type of a handler, such as LOG",
		"jobExecutorServiceHandler": "write " + keyPool + " with CPU, SINGLE_THREAD or a number",
		"eventTraceRdbDataSource":   "leave it out: there are no beans here",
		"distributedListener":       "leave it out: there are no beans here",
		"tracingRef":                "leave it out: there are no beans here",
		"registryCenterRef":         "leave it out: there are no beans here",
		"jobRef":                    "write elasticJobType with the type of a plugin, such as SIMPLE",
	} {
		job = append(job, field{name: name, kind: java, instead: instead})
	}
	l.job = newShape(job...)
	l.dependency = newShape(fieldsOf(leaf, keyDependency, keyOn)...)
	return l
}

// isSecretKey says whether what is written for a key, dotted or not, may be a
// secret that even a message about broken YAML must not show.
func isSecretKey(key string) bool {
	last := key[strings.LastIndexByte(key, '.')+1:]
	for _, secret := range []string{keyPassword, keyDigest, keySentinelPassword, keySecrets} {
		if last == secret || last == kebab(secret) {
			return true
		}
	}
	return false
}

// whereElse says where a key belongs that is not known where it was found.
func (l layout) whereElse(path []string, head string) string {
	if len(path) > 0 && path[0] == keyPlugins {
		if _, known := l.limits.byForm[head]; known {
			return "below limits"
		}
		if _, known := l.grants.byForm[head]; known {
			return "below grants"
		}
	}
	for _, at := range []struct {
		shape shape
		where string
	}{
		{l.job, "below elasticjob.jobs.NAME"},
		{l.node, "directly below elasticjob"},
		{l.regCenter, "below elasticjob.regCenter"},
		{l.plugin, "in an element of elasticjob.plugins"},
	} {
		if f := at.shape.byForm[head]; f != nil && f.kind != zookeeper {
			return at.where
		}
	}
	return ""
}
