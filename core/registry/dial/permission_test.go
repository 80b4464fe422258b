package dial_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/registry"
	"github.com/elasticjob-go/elasticjob/core/registry/dial"
	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// permissions are the rules for the registry's user and the commands among
// them, as docs/operations/redis.md has them.
type permissions struct{ rules, commands []string }

func documented(t *testing.T, names ...string) permissions {
	t.Helper()
	page, err := os.ReadFile(filepath.FromSlash("../../../docs/operations/redis.md"))
	if err != nil {
		t.Fatal(err)
	}
	var p permissions
	for _, name := range names {
		_, text, ok := strings.Cut(string(page), "<!-- acl: "+name+" -->\n```\n")
		text, _, end := strings.Cut(text, "```")
		if !ok || !end {
			t.Fatalf("docs/operations/redis.md has no block of permissions %q", name)
		}
		for word := range strings.FieldsSeq(text) {
			switch {
			case strings.HasPrefix(word, "+"):
				p.rules = append(p.rules, word)
				p.commands = append(p.commands, word[1:])
			case strings.HasPrefix(word, "~"), strings.HasPrefix(word, "&"):
				p.rules = append(p.rules, word)
			}
		}
	}
	return p
}

// onCluster is the rule for a Cluster: all but what only others need.
func onCluster(t *testing.T) permissions {
	t.Helper()
	p := documented(t, "one", "cluster")
	others := []string{"publish", "subscribe"}
	p.commands = slices.DeleteFunc(p.commands, func(c string) bool { return slices.Contains(others, c) })
	p.rules = slices.DeleteFunc(p.rules, func(r string) bool { return slices.Contains(others, strings.TrimPrefix(r, "+")) })
	return p
}

// inScripts are the commands that the scripts of the registry name, in lower
// case.
func inScripts(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.FromSlash("../scripts/*.lua"))
	if err != nil || len(files) < 10 {
		t.Fatalf("there are %d scripts, %v, want more", len(files), err)
	}
	name := regexp.MustCompile(`(?:call|chunked)\('([A-Z]+)'`)
	var found []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range name.FindAllStringSubmatch(string(text), -1) {
			found = append(found, strings.ToLower(match[1]))
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// TestDocumentedPermissionsAreTheNeededOnes lets a user with exactly the
// documented permissions do all that a registry center does, and compares them
// with what the scripts name and what the server has seen.
func TestDocumentedPermissionsAreTheNeededOnes(t *testing.T) {
	t.Parallel()
	one := documented(t, "one")
	single := redistest.Start(t, redistest.ACL("elasticjob", canary, one.rules...))
	wantPermissions(t, one, single, registry.Config{})
	clustered := onCluster(t)
	cluster := redistest.StartCluster(t, 1, redistest.ACL("elasticjob", canary, clustered.rules...))
	wantPermissions(t, clustered, cluster.Servers()[0], registry.Config{Cluster: true, Partitions: 2})
}

func wantPermissions(t *testing.T, p permissions, s *redistest.Server, c registry.Config) {
	t.Helper()
	if err := s.Client().ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	config := config(s.Addr())
	config.Username, config.Password, config.Namespace = "elasticjob", canary, "orders"
	connection := open(t, config)
	c.Client, c.Sessions, c.Namespace = connection.Commands(), connection.Sessions(), "orders"
	c.SessionTimeout, c.Grace = 3*time.Second, time.Millisecond
	center, err := registry.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, partition := range center.Partitions() {
		live(t, partition, func() {
			if err := s.Client().ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		})
	}
	// A subscription that hears nothing for a while sends one.
	if err := connection.Commands().Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
	used := append(inScripts(t), seen(t, s)...)
	slices.Sort(used)
	slices.Sort(p.commands)
	if diff := cmp.Diff(slices.Compact(used), p.commands); diff != "" {
		t.Errorf("permissions in docs/operations/redis.md differ from what is used (-used +documented):\n%s", diff)
	}
	if diff := cmp.Diff(dial.Needs(c.Cluster), p.commands); diff != "" {
		t.Errorf("permissions in docs/operations/redis.md differ from what Open checks (-checked +documented):\n%s", diff)
	}
}

// seen are the commands that a server has run, but for those of the test itself
// and those that everybody may use.
func seen(t *testing.T, s *redistest.Server) []string {
	t.Helper()
	text, err := s.Client().Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, match := range regexp.MustCompile(`(?m)^cmdstat_([^:]+):`).FindAllStringSubmatch(text, -1) {
		if !slices.Contains([]string{"hello", "auth", "config|resetstat", "script|flush", "cluster|info", "cluster|shards"}, match[1]) {
			names = append(names, match[1])
		}
	}
	return names
}

// life is a node in a partition.
type life struct {
	t    *testing.T
	p    *registry.Partition
	lead registry.Leadership
}

// live has two nodes do in a partition all that a registry center is for.
func live(t *testing.T, p *registry.Partition, flushScripts func()) {
	t.Helper()
	ctx := t.Context()
	bell, err := p.Watch(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer bell.Close()
	l := join(t, p)
	flushScripts()
	definition := registry.JobDefinition{Name: "j", Config: []byte("{}"), Items: 4, Monitored: true, Misfire: true}
	_, err = p.PutJobs(ctx, []registry.JobDefinition{definition})
	l.done("PutJobs", err)
	<-bell.C()
	l.run()
	l.setStates()
	l.read()
	l.buryAnother()
	_, err = p.Reconcile(ctx, l.lead, []string{"j"})
	l.done("Reconcile", err)
	l.done("Host", p.Host(ctx, l.lead.Lease, registry.Instance{ID: "a"}))
	_, err = p.Restore(ctx, []registry.JobState{{Definition: definition, Version: time.Now().UnixMicro(), Updated: time.Now(), Enabled: true}})
	l.done("Restore", err)
	_, err = p.RemoveJobs(ctx, "j")
	l.done("RemoveJobs", err)
	_, err = p.Depart(ctx, l.lead.Lease, time.Now(), false, nil)
	l.done("Depart", err)
	l.done("Leave", p.Leave(ctx, l.lead.Lease, time.Now()))
}

func (l *life) done(call string, err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatalf("%s = %v, want nil", call, err)
	}
}

// join registers a node, makes it the leader and waits for the end of the
// quarantine.
func join(t *testing.T, p *registry.Partition) *life {
	t.Helper()
	l := &life{t: t, p: p}
	r, err := p.Register(t.Context(), registry.Instance{ID: "a", Jobs: []string{"j"}})
	l.done("Register", err)
	for {
		renewal, err := p.Renew(t.Context(), r.Lease, true)
		l.done("Renew", err)
		if renewal.Leader && !renewal.NotBefore.After(renewal.Now) {
			l.lead = registry.Leadership{Lease: r.Lease, Term: renewal.Term}
			return l
		}
		<-time.After(50 * time.Millisecond)
	}
}

// run assigns the job and fires it once.
func (l *life) run() {
	l.t.Helper()
	ctx := l.t.Context()
	job, err := l.p.Job(ctx, "j")
	l.done("Job", err)
	results, err := l.p.CommitAssignments(ctx, l.lead, []registry.Plan{{
		Job: "j", ExpectGeneration: job.Generation, ExpectVersion: job.Version, Items: 4,
		Owners: map[string]registry.Items{"a": registry.AllItems(4)},
	}})
	l.done("CommitAssignments", err)
	begun, err := l.p.Begin(ctx, registry.BeginRequest{
		Lease: l.lead.Lease, Job: "j", Generation: results[0].Generation, Kind: registry.KindNormal,
		Instant: time.Now().Add(time.Second).Truncate(time.Millisecond),
	})
	l.done("Begin", err)
	if begun.Code != registry.CodeOK {
		l.t.Fatalf("Begin = %v, want %v", begun.Code, registry.CodeOK)
	}
	_, err = l.p.Complete(ctx, registry.CompleteRequest{
		Lease: l.lead.Lease, Job: "j", Fence: begun.Fence, Items: begun.Items, Outcome: registry.OutcomeSuccess,
	})
	l.done("Complete", err)
}

func (l *life) setStates() {
	l.t.Helper()
	ctx := l.t.Context()
	for _, enabled := range []bool{false, true} {
		_, err := l.p.SetState(ctx, "j", enabled, "t")
		l.done("SetState", err)
		_, err = l.p.SetItemState(ctx, "j", 1, enabled, "t")
		l.done("SetItemState", err)
		_, err = l.p.SetStateOnInstance(ctx, "j", "a", enabled, "t")
		l.done("SetStateOnInstance", err)
		_, err = l.p.SetInstanceState(ctx, "a", enabled, "t")
		l.done("SetInstanceState", err)
	}
}

func (l *life) read() {
	l.t.Helper()
	ctx := l.t.Context()
	_, err := l.p.JobNames(ctx)
	l.done("JobNames", err)
	_, err = l.p.Items(ctx, "j")
	l.done("Items", err)
	_, err = l.p.Dirty(ctx)
	l.done("Dirty", err)
	_, err = l.p.Assignments(ctx, "a", []string{"j"})
	l.done("Assignments", err)
	_, err = l.p.Instances(ctx)
	l.done("Instances", err)
	_, err = l.p.DisabledServers(ctx)
	l.done("DisabledServers", err)
	_, _, _, err = l.p.Changes(ctx, 1)
	l.done("Changes", err)
}

// buryAnother lets another node come and go, and clears up after it.
func (l *life) buryAnother() {
	l.t.Helper()
	ctx := l.t.Context()
	other, err := l.p.Register(ctx, registry.Instance{ID: "b"})
	l.done("Register", err)
	l.done("Leave", l.p.Leave(ctx, other.Lease, time.Time{}))
	_, err = l.p.Reap(ctx, l.lead, true)
	l.done("Reap", err)
	dead, err := l.p.Dead(ctx)
	l.done("Dead", err)
	if len(dead) == 0 {
		l.t.Fatal("Dead() = none, want the node that left")
	}
	_, err = l.p.Drain(ctx, l.lead, dead[0], []string{"j"})
	l.done("Drain", err)
	l.done("Bury", l.p.Bury(ctx, l.lead, dead[0]))
}
