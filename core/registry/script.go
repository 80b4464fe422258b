package registry

import (
	"context"
	"embed"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed scripts/*.lua
var sources embed.FS

// script is one of scripts/, behind the library that all share.
type script struct {
	name string
	run  *redis.Script
}

type scripts struct {
	register, renew, leave  script
	depart, host            script
	put, remove, state      script
	server, raise, restore  script
	commit, begin, complete script
	reap, drain, bury       script
	reconcile, meet         script
	trigger, claim          script
	checkpoint, reassert    script
	close, arrive, link     script
	// beginAll and completeAll are begin and complete of runs that are gathered or
	// manual, apart because each run of a script makes all its functions anew, and as
	// they need all keys of a job.
	beginAll, completeAll script
}

// parts names the files of the scripts that consist of more than the library and
// the file of their name.
func parts() map[string][]string {
	return map[string][]string{
		"begin": {"begin-keys", "begin"}, "complete": {"complete-keys", "complete"},
		"begin-all": {"gather", "manual", "begin"}, "complete-all": {"gather", "manual", "complete"},
		"claim": {"manual", "claim"}, "drain": {"gather", "manual", "drain"}, "reconcile": {"gather", "manual", "reconcile"},
		"meet": {"gather", "meet"}, "commit": {"gather", "manual", "commit"}, "trigger": {"manual", "queue", "trigger"},
		"close": {"manual", "depend", "close"}, "arrive": {"manual", "queue", "depend", "arrive"},
		"reassert": {"gather", "manual", "reassert"},
	}
}

func readScripts(edit func(name, source string) string) (scripts, error) {
	var s scripts
	for name, to := range s.byName() {
		files, hasParts := parts()[name]
		if !hasParts {
			files = []string{name}
		}
		var text strings.Builder
		for _, file := range append([]string{"lib"}, files...) {
			part, err := sources.ReadFile("scripts/" + file + ".lua")
			if err != nil {
				return scripts{}, fmt.Errorf("reading script %s: %w", name, err)
			}
			text.Write(part)
		}
		*to = script{name: name, run: redis.NewScript(edit(name, text.String()))}
	}
	return s, nil
}

func (s *scripts) byName() map[string]*script {
	return map[string]*script{
		"register": &s.register, "renew": &s.renew, "leave": &s.leave,
		"depart": &s.depart, "host": &s.host,
		"put": &s.put, "remove": &s.remove, "state": &s.state,
		"server": &s.server, "raise": &s.raise, "restore": &s.restore,
		"commit": &s.commit, "begin": &s.begin, "complete": &s.complete,
		"reap": &s.reap, "drain": &s.drain, "bury": &s.bury, "reconcile": &s.reconcile,
		"meet": &s.meet, "trigger": &s.trigger, "claim": &s.claim, "checkpoint": &s.checkpoint, "reassert": &s.reassert, "begin-all": &s.beginAll, "complete-all": &s.completeAll,
		"close": &s.close, "arrive": &s.arrive, "link": &s.link,
	}
}

func (s *scripts) load(ctx context.Context, client redis.UniversalClient) error {
	for name, one := range s.byName() {
		if err := one.run.Load(ctx, client).Err(); err != nil {
			return fmt.Errorf("loading script %s: %w", name, err)
		}
	}
	return nil
}
