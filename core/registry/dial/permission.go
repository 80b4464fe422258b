package dial

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// trial is what every script of the registry center begins with, and asks the
// server, if it is of a release that can tell, which of the given commands the
// user may not use.
const trial = `local denied = {}
for i, line in ipairs(redis.acl_check_cmd and ARGV or {}) do
  local words = {}
  for word in string.gmatch(line, '%S+') do words[#words + 1] = word end
  local known, allowed = pcall(redis.acl_check_cmd, unpack(words))
  if known and not allowed then denied[#denied + 1] = i - 1 end
end
redis.call('TIME')
redis.call('INFO', 'replication')
return denied`

// needs are the commands of the registry center, each as one call. In it $ is a
// key and & a channel of the namespace. docs/operations/redis.md has the rule
// for them; a test holds the two together and to the scripts.
func needs(cluster bool) []string {
	calls := []string{
		"PING", "INFO", "TIME", "EVAL - 0", "EVALSHA - 0", "SCRIPT LOAD -", "CLIENT SETNAME -", "MULTI", "EXEC",
		"DEL $", "EXISTS $",
		"HDEL $ -", "HEXISTS $ -", "HGET $ -", "HGETALL $", "HINCRBY $ - 1", "HKEYS $", "HLEN $", "HMGET $ -",
		"HSET $ - -", "HSETNX $ - -", "HVALS $",
		"XADD $ * - -", "XRANGE $ - +",
		"ZADD $ 0 -", "ZCARD $", "ZCOUNT $ 0 0", "ZRANGE $ 0 0", "ZRANGEBYSCORE $ 0 0", "ZREM $ -", "ZSCORE $ -",
	}
	if cluster {
		return append(calls, "SPUBLISH & -", "SSUBSCRIBE &", "CLUSTER SLOTS", "COMMAND")
	}
	return append(calls, "PUBLISH & -", "SUBSCRIBE &")
}

// tryScript runs a script and checks what the user may do.
func (s *server) tryScript(ctx context.Context) *problem {
	calls := needs(s.info["cluster_enabled"] == "1")
	var args []any
	if s.config.Namespace != "" {
		prefix := "ej:{" + s.config.Namespace + ".0}:"
		for _, call := range calls {
			args = append(args, strings.NewReplacer("$", prefix+"meta", "&", prefix+"ch").Replace(call))
		}
	}
	script := redis.NewScript(trial)
	if err := script.Load(ctx, s.client).Err(); err != nil {
		return s.explain(ctx, err)
	}
	denied, err := script.EvalSha(ctx, s.client, nil, args...).Int64Slice()
	if err != nil {
		return s.explain(ctx, err)
	}
	var names []string
	for _, i := range denied {
		if i >= 0 && int(i) < len(calls) {
			names = append(names, commandOf(calls[i]))
		}
	}
	if len(names) == 0 {
		return nil
	}
	on := "on the keys and channels ej:{" + s.config.Namespace + ".*}*"
	if withKeys := slices.DeleteFunc(slices.Clone(calls), func(call string) bool { return !strings.Contains(call, "$") }); len(names) >= len(withKeys) {
		return lasting("does not allow %s much of what is needed %s, and probably none of the keys: see docs/operations/redis.md for the permissions",
			s.login.who(), on)
	}
	return lasting("does not allow %s what is needed %s: %s; see docs/operations/redis.md for the permissions",
		s.login.who(), on, list(names))
}

// commandOf is the name of a call's command as a rule of Redis has it.
func commandOf(call string) string {
	words := strings.Fields(call)
	name := strings.ToLower(words[0])
	switch name {
	case "script", "client", "cluster":
		return fmt.Sprintf("%s|%s", name, strings.ToLower(words[1]))
	}
	return name
}
