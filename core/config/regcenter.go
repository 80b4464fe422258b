package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Values that a registry center has when the file does not say otherwise.
const (
	DefaultSessionTimeout    = 15 * time.Second
	DefaultConnectionTimeout = 15 * time.Second
	DefaultBaseSleepTime     = time.Second
	DefaultMaxSleepTime      = 3 * time.Second
	DefaultMaxRetries        = 3
)

// Bounds of a registry center.
const (
	minSessionTimeout = 3 * time.Second
	maxWait           = 24 * time.Hour
	maxRetries        = 1000
	maxServers        = 100
	maxNamespace      = 200 // bytes, as package registry has it
)

// RegCenter is the Redis that is the registry center. Its password fields are
// left out of what fmt, log/slog and encoding/json write of it.
type RegCenter struct {
	// Servers are addresses as host:port: one server, the Sentinels of
	// MasterName, or several servers of one Cluster.
	Servers []string
	// MasterName is what Sentinel calls the master; empty without Sentinel.
	MasterName string
	// Namespace sets this fleet apart from others on the same Redis.
	Namespace string
	// Username is empty for the default user.
	Username         string
	Password         string `json:"-"`
	SentinelUsername string
	SentinelPassword string `json:"-"`
	// Database is the number of the database; a Cluster has 0 alone.
	Database int
	// TLS says how connections are encrypted; nil when they are not.
	TLS *TLS
	// SessionTimeout is how long a node that is not heard of keeps its items.
	SessionTimeout time.Duration
	// ConnectionTimeout is how long a starting node waits for the registry.
	ConnectionTimeout time.Duration
	// BaseSleepTime and MaxSleepTime bound the wait between tries of a command.
	BaseSleepTime, MaxSleepTime time.Duration
	// MaxRetries is how often a command is tried again; 0 is never.
	MaxRetries int
}

// DefaultRegCenter returns a registry center in which everything has its
// documented default. Servers and Namespace have none.
func DefaultRegCenter() RegCenter {
	return RegCenter{
		SessionTimeout: DefaultSessionTimeout, ConnectionTimeout: DefaultConnectionTimeout,
		BaseSleepTime: DefaultBaseSleepTime, MaxSleepTime: DefaultMaxSleepTime, MaxRetries: DefaultMaxRetries,
	}
}

var (
	_ fmt.Stringer   = RegCenter{}
	_ fmt.GoStringer = RegCenter{}
	_ slog.LogValuer = RegCenter{}
)

// String describes the registry center without its secrets.
func (c RegCenter) String() string {
	parts := []string{strings.Join(c.Servers, ","), "namespace " + c.Namespace}
	if c.MasterName != "" {
		parts = append(parts, "master "+c.MasterName)
	}
	if c.Username != "" {
		parts = append(parts, "user "+c.Username)
	}
	if c.Database != 0 {
		parts = append(parts, "database "+strconv.Itoa(c.Database))
	}
	if c.TLS != nil {
		parts = append(parts, "TLS")
	}
	return strings.Join(parts, " ")
}

// GoString is String.
func (c RegCenter) GoString() string { return c.String() }

// LogValue is String.
func (c RegCenter) LogValue() slog.Value { return slog.StringValue(c.String()) }

// readRegCenter reads the section of the registry center, nil when there is none.
func (r *reader) readRegCenter(found []entry) *RegCenter {
	asked := slices.ContainsFunc(found, func(e entry) bool { return e.key != "" || !e.value.null })
	if !asked {
		return nil
	}
	path := []string{keyRegCenter}
	g := r.scatter(path, r.layout.regCenter, r.open(path, found))
	c := DefaultRegCenter()
	c.Servers = g.elements(keyServerLists, true)
	g.str(keyMasterName, &c.MasterName)
	g.str(keyNamespace, &c.Namespace)
	g.str(keyUsername, &c.Username)
	g.secret(keyPassword, &c.Password)
	g.str(keySentinelUsername, &c.SentinelUsername)
	g.secret(keySentinelPassword, &c.SentinelPassword)
	g.digest(&c)
	g.integer(keyDatabase, &c.Database)
	c.TLS = g.tls()
	g.milliseconds(keySessionTimeout, &c.SessionTimeout)
	g.milliseconds(keyConnectionTimeout, &c.ConnectionTimeout)
	g.milliseconds(keyBaseSleepTime, &c.BaseSleepTime)
	g.milliseconds(keyMaxSleepTime, &c.MaxSleepTime)
	g.integer(keyMaxRetries, &c.MaxRetries)
	return &c
}

// digest reads user:password, ZooKeeper's form of the two.
func (g group) digest(c *RegCenter) {
	var digest string
	g.secret(keyDigest, &digest)
	if digest == "" {
		return
	}
	e, _ := g.pick(keyDigest)
	for _, key := range []string{keyUsername, keyPassword} {
		if other, both := g.pick(key); both && !other.value.empty() {
			g.r.reportBroken(g.pathOf(keyDigest), e.at, ruleConflict, fmt.Sprintf(
				"%s and %s (line %d, column %d) both say who logs in; keep one",
				g.r.label(g.pathOf(keyDigest)), other.head, other.at.Line, other.at.Column))
			return
		}
	}
	username, password, found := strings.Cut(digest, ":")
	if !found || username == "" || password == "" {
		g.r.reportBroken(g.pathOf(keyDigest), e.value.at, ruleType, g.r.label(g.pathOf(keyDigest))+" must be user:password")
		return
	}
	c.Username, c.Password = username, password
}

// checkRegCenter finds what is wrong with the registry center.
func (k *checks) checkRegCenter() {
	c := k.RegCenter
	if c == nil {
		return
	}
	of := func(key string) []string { return []string{keyRegCenter, key} }
	k.require(len(c.Servers) > 0, "the address of Redis as host:port", of(keyServerLists)...)
	k.checkServers(c.Servers, of(keyServerLists))
	k.require(c.Namespace != "", "a name that sets this fleet apart from others on the same Redis", of(keyNamespace)...)
	k.must(c.Namespace == "" || isNamespace(c.Namespace), ruleName,
		"1 to 200 bytes without white space, control characters and braces", c.Namespace, of(keyNamespace)...)
	for key, value := range map[string]string{keyMasterName: c.MasterName, keyUsername: c.Username, keySentinelUsername: c.SentinelUsername} {
		k.must(value == "" || isToken(value, maxLabelSize), ruleName, "1 to 256 bytes without white space and control characters", value, of(key)...)
	}
	for _, pair := range []struct{ user, password, userKey, passwordKey string }{
		{c.Username, c.Password, keyUsername, keyPassword},
		{c.SentinelUsername, c.SentinelPassword, keySentinelUsername, keySentinelPassword},
	} {
		if pair.user != "" && pair.password == "" && !k.isBroken(of(pair.passwordKey)...) && !k.isBroken(of(keyDigest)...) {
			k.add(ruleRequired, k.label(of(pair.userKey))+" needs "+pair.passwordKey, of(pair.userKey)...)
		}
	}
	for key, value := range map[string]string{keySentinelUsername: c.SentinelUsername, keySentinelPassword: c.SentinelPassword} {
		if value != "" && c.MasterName == "" && !k.isBroken(of(keyMasterName)...) {
			k.add(ruleConflict, k.label(of(key))+" is for Sentinel, which needs masterName", of(key)...)
		}
	}
	k.must(c.Database >= 0, ruleRange, "0 or more", c.Database, of(keyDatabase)...)
	if c.Database > 0 && len(c.Servers) > 1 && c.MasterName == "" && !k.isBroken(of(keyMasterName)...) {
		k.add(ruleConflict, k.label(of(keyDatabase))+" must be 0 with several servers and no masterName: a Redis Cluster has one database", of(keyDatabase)...)
	}
	k.checkTLS(c.TLS, of(keyTLS))
	k.checkWaits(*c, of)
}

func (k *checks) checkWaits(c RegCenter, of func(key string) []string) {
	bounded := func(key string, d, least, most time.Duration) {
		k.must(d >= least && d <= most, ruleRange, fmt.Sprintf("%d to %d", least.Milliseconds(), most.Milliseconds()), d.Milliseconds(), of(key)...)
	}
	bounded(keySessionTimeout, c.SessionTimeout, minSessionTimeout, maxWait)
	bounded(keyConnectionTimeout, c.ConnectionTimeout, time.Millisecond, maxWait)
	bounded(keyBaseSleepTime, c.BaseSleepTime, time.Millisecond, maxWait)
	bounded(keyMaxSleepTime, c.MaxSleepTime, time.Millisecond, maxWait)
	if c.BaseSleepTime > c.MaxSleepTime && c.MaxSleepTime >= time.Millisecond && c.BaseSleepTime <= maxWait &&
		!k.isBroken(of(keyBaseSleepTime)...) && !k.isBroken(of(keyMaxSleepTime)...) {
		k.add(ruleConflict, fmt.Sprintf("%s must be at least %s (by default %d and %d)", k.label(of(keyMaxSleepTime)), keyBaseSleepTime,
			DefaultMaxSleepTime.Milliseconds(), DefaultBaseSleepTime.Milliseconds()), of(k.given(keyMaxSleepTime, keyBaseSleepTime))...)
	}
	k.must(c.MaxRetries >= 0 && c.MaxRetries <= maxRetries, ruleRange, "0 to 1000", c.MaxRetries, of(keyMaxRetries)...)
}

// given returns the first key of regCenter that the file has, else the last.
func (k *checks) given(keys ...string) string {
	for _, key := range keys {
		if _, ok := k.places[joined([]string{keyRegCenter, key})]; ok {
			return key
		}
	}
	return keys[len(keys)-1]
}

func (k *checks) checkServers(servers []string, path []string) {
	if k.isBroken(path...) {
		return
	}
	if len(servers) > maxServers {
		k.add(ruleSize, fmt.Sprintf("%s has more than %d addresses", k.label(path), maxServers), path...)
		return
	}
	first := map[string]bool{}
	for i, server := range servers {
		at := append(slices.Clone(path), strconv.Itoa(i))
		place := k.places[joined(at)]
		shown := place.shown
		if shown == "" {
			shown = server
		}
		fault := serverFault(server)
		switch {
		case strings.Contains(server, "@"):
			k.add(ruleType, k.label(path)+" must be addresses such as redis.example.com:6379; who logs in is said by username and password", at...)
		case fault != "" && place.secret:
			k.add(ruleType, k.label(path)+" comes from a placeholder ("+quote(shown)+") whose value must be addresses such as redis.example.com:6379", at...)
		case fault != "":
			k.add(ruleType, k.label(path)+" must be addresses such as redis.example.com:6379, not "+quote(shown)+": "+fault, at...)
		case first[strings.ToLower(server)]:
			k.add(ruleConflict, k.label(path)+" has "+quote(shown)+" twice; keep one", at...)
		}
		first[strings.ToLower(server)] = true
	}
}

// serverFault says what keeps text from being host:port, "" if nothing does.
func serverFault(server string) string {
	if scheme, rest, found := strings.Cut(server, "://"); found {
		return "leave " + scheme + ":// out: write " + quote(rest)
	}
	if server == "" {
		return "it is empty"
	}
	host, port, err := net.SplitHostPort(server)
	switch {
	case strings.Count(server, ":") > 1 && !strings.HasPrefix(server, "["):
		return "an IPv6 address stands in brackets, followed by the port: [::1]:6379"
	case err != nil && (isHost(server) || strings.HasPrefix(server, "[") && strings.HasSuffix(server, "]")):
		return "the port is missing: write " + quote(server+":6379")
	case err != nil:
		return "it is not host:port"
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 || strconv.FormatUint(number, 10) != port {
		return "the port must be a number from 1 to 65535"
	}
	ip, err := netip.ParseAddr(host)
	if strings.HasPrefix(server, "[") && (err != nil || !ip.Is6()) {
		return "only an IPv6 address stands in brackets"
	}
	if err != nil && !isHost(host) {
		return "the host must be a name or an IP address"
	}
	return ""
}

// isHost says whether text is a host name, underscores allowed as they are by
// container networks.
func isHost(text string) bool {
	return len(text) <= 253 && regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?$`).MatchString(text)
}

// isNamespace is what package registry takes: braces would end a hash tag.
func isNamespace(text string) bool {
	return isToken(text, maxNamespace) && !strings.ContainsAny(text, "{}")
}

func isToken(text string, most int) bool {
	return text != "" && len(text) <= most && utf8.ValidString(text) &&
		!strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f })
}
