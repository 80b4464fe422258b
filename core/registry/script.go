package registry

import (
	"context"
	"embed"
	"fmt"

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
	// beginAll and completeAll are begin and complete that gather runs, apart
	// because the embedded server reads a script anew each time.
	beginAll, completeAll script
}

// gathering names the scripts that gather runs, and the files of the two that
// also exist without.
func gathering() map[string]string {
	return map[string]string{
		"begin-all": "begin", "complete-all": "complete", "drain": "drain", "reconcile": "reconcile", "meet": "meet",
	}
}

func readScripts(edit func(name, source string) string) (scripts, error) {
	lib, err := sources.ReadFile("scripts/lib.lua")
	if err != nil {
		return scripts{}, fmt.Errorf("reading the script library: %w", err)
	}
	gather, err := sources.ReadFile("scripts/gather.lua")
	if err != nil {
		return scripts{}, fmt.Errorf("reading the library of scripts that gather runs: %w", err)
	}
	var s scripts
	for name, to := range s.byName() {
		head, file := string(lib), name
		if of, gathers := gathering()[name]; gathers {
			head, file = head+string(gather), of
		}
		text, err := sources.ReadFile("scripts/" + file + ".lua")
		if err != nil {
			return scripts{}, fmt.Errorf("reading script %s: %w", name, err)
		}
		*to = script{name: name, run: redis.NewScript(edit(name, head+string(text)))}
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
		"meet": &s.meet, "begin-all": &s.beginAll, "complete-all": &s.completeAll,
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
