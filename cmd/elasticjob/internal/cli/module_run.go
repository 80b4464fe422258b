package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/execution"
	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/core/job"
	"github.com/elasticjob-go/elasticjob/runtime/wasm"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

type moduleRunOptions struct {
	item           int
	total          int
	param          string
	itemParameters string
	jobParameter   string
	props          []string
	typeName       string
	job            string
	timeout        time.Duration
	memory         string
	instances      string
	failure        string
	failureCode    int32
	grants         grantOptions
}

func (a *app) moduleRunCommand() *cobra.Command {
	var o moduleRunOptions
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a module here and now",
		Long: `Run a plugin of a module on this machine and without a registry. What it prints
is logged on stderr; the status is 1 when a call fails.

  job type           runs one item or all; the outcomes are the result
  sharding strategy  gets the items and --instances; the assignment is the result
  error handler      gets an item that has failed with --error; its decision is
                     the result
  job listener       is called before and after a run of the items
  tracing sink       gets the events of a run of the items

Nothing is granted but what the flags beginning with --grant name.`,
		Example: `  elasticjob module run orders.wasm --total 2 --item-parameters 0=Beijing,1=Shanghai --prop batch.size=500
  elasticjob module run orders.wasm --type NEAREST --total 6 --instances 10.0.0.1,10.0.0.2
  elasticjob module run orders.wasm --type REPORT --error "no stock" --grant-http hooks.example.com`,
		Args: exactArgs("the module file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, err := o.plan(cmd, args[0])
			if err != nil {
				return err
			}
			return a.withHost(cmd.Context(), func(ctx context.Context, host *wasm.Host) error {
				return a.moduleRun(ctx, cmd, host, plan)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.IntVar(&o.item, "item", 0, "run only this `item` (default: all)")
	flags.IntVar(&o.total, "total", 1, "number of sharding items, 1 to 10000")
	flags.StringVar(&o.param, "param", "", "parameter of every item that runs")
	flags.StringVar(&o.itemParameters, "item-parameters", "", "parameters of the items, as 0=A,1=B")
	flags.StringVar(&o.jobParameter, "job-parameter", "", "parameter of the job")
	flags.StringArrayVar(&o.props, "prop", nil, "property of the job, as `name=value`; may be repeated")
	flags.StringVar(&o.typeName, "type", "", "`type` to run, when the module brings several")
	flags.StringVar(&o.job, "job", "", "`name` of the job (default: the file's name)")
	flags.DurationVar(&o.timeout, "timeout", 0, "time that a call may take, such as 30s (default: that of the kind)")
	addMemoryFlag(flags, &o.memory)
	flags.StringVar(&o.instances, "instances", "", "`ids` of the instances that a sharding strategy gets, separated by commas")
	flags.StringVar(&o.failure, "error", "it has failed", "`message` of the error that an error handler gets")
	flags.Int32Var(&o.failureCode, "error-code", int32(spi.CodeFailed), "`code` of the error that an error handler gets")
	o.grants.addFlags(flags)
	return cmd
}

// modulePlan is what module run was asked to do.
type modulePlan struct {
	path      string
	job       string
	typeName  string
	props     map[string]string
	timeout   time.Duration
	memory    int64
	total     int
	items     []spi.Item
	param     string
	instances []spi.Instance
	failure   *spi.Error
	grants    spi.Grants
	secrets   map[string]string
}

// plan checks the flags.
func (o moduleRunOptions) plan(cmd *cobra.Command, path string) (modulePlan, error) {
	flags := cmd.Flags()
	if o.total < 1 || o.total > job.MaxItems {
		return modulePlan{}, usagef(cmd, "--total %d is out of range: write 1 to %d", o.total, job.MaxItems)
	}
	if o.item < 0 || o.item >= o.total {
		return modulePlan{}, usagef(cmd, "there is no item %d when --total is %d: items count from 0", o.item, o.total)
	}
	if flags.Changed("timeout") && o.timeout <= 0 {
		return modulePlan{}, usagef(cmd, "--timeout %s is no bound: write a duration such as 30s, or leave the flag out", o.timeout)
	}
	if flags.Changed("param") && flags.Changed("item-parameters") {
		return modulePlan{}, usagef(cmd, "--param and --item-parameters exclude each other")
	}
	parameters, err := job.ParseItemParameters(o.itemParameters, o.total)
	if err != nil {
		return modulePlan{}, usagef(cmd, "--item-parameters: %s", err)
	}
	memory, err := memoryLimit(cmd, o.memory)
	if err != nil {
		return modulePlan{}, err
	}
	values, err := parseAssignments("prop", o.props)
	if err != nil {
		return modulePlan{}, usagef(cmd, "%s", err)
	}
	instances, err := parseInstances(o.instances)
	if err != nil {
		return modulePlan{}, usagef(cmd, "%s", err)
	}
	grants, err := o.grants.grants()
	if err != nil {
		return modulePlan{}, usagef(cmd, "%s", err)
	}
	secrets, err := parseAssignments("secret", o.grants.secrets)
	if err != nil {
		return modulePlan{}, usagef(cmd, "%s", err)
	}
	name := o.job
	if name == "" {
		name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	plan := modulePlan{
		path: path, job: name, typeName: o.typeName, props: values,
		timeout: o.timeout, memory: memory, total: o.total, param: o.jobParameter,
		instances: instances, failure: spi.NewError(spi.Code(o.failureCode), o.failure), grants: grants, secrets: secrets,
	}
	for i := range o.total {
		if flags.Changed("item") && i != o.item {
			continue
		}
		parameter := o.param
		if p, ok := parameters[i]; ok {
			parameter = p
		}
		plan.items = append(plan.items, spi.Item{Item: i, Parameter: parameter})
	}
	return plan, nil
}

// request is how the module is loaded.
func (p modulePlan) request() spi.LoadRequest {
	return spi.LoadRequest{Path: p.path, Limits: spi.Limits{Memory: p.memory}, Grants: p.grants}
}

// parseAssignments reads the values of a flag that are written name=value. A
// value may be a secret, so no error shows it.
func parseAssignments(flag string, texts []string) (map[string]string, error) {
	values := make(map[string]string, len(texts))
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		switch {
		case !ok:
			return nil, fmt.Errorf("a --%s is not name=value", flag)
		case name == "":
			return nil, fmt.Errorf("a --%s has no name: write name=value", flag)
		}
		if _, twice := values[name]; twice {
			return nil, fmt.Errorf("--%s gives %q twice", flag, name)
		}
		values[name] = value
	}
	return values, nil
}

func (a *app) moduleRun(ctx context.Context, cmd *cobra.Command, host *wasm.Host, plan modulePlan) (err error) {
	bundle, err := host.Load(ctx, plan.request())
	if err != nil {
		return moduleProblem(ctx, plan.path, err)
	}
	defer func() { err = errors.Join(err, bundle.Close(context.WithoutCancel(ctx))) }()
	plugin, err := choose(cmd, host, bundle.Plugins, plan)
	if err != nil {
		return err
	}
	if err := checkKind(cmd, plan, plugin.Descriptor); err != nil {
		return err
	}
	values, err := plan.values(plugin.Descriptor, len(bundle.Plugins) == 0)
	if err != nil {
		return err
	}
	calls := hostcall.New(hostcall.Config{
		Secret: func(name string) (string, bool, error) {
			value, known := plan.secrets[name]
			return value, known, nil
		},
		HowToGrant: func(key, _ string) string { return "with " + grantFlag(key) },
	})
	defer calls.Close()
	r := &localRun{
		plan: plan, plugin: plugin, values: values, logger: a.logger, id: execution.NewRunID(), at: time.Now().UTC(),
		door: calls.Door(plugin.Descriptor.Type, hostcall.Terms{Grants: plan.grants}),
	}
	switch plugin.Descriptor.Kind {
	case spi.KindShardingStrategy:
		return a.runStrategy(ctx, r)
	case spi.KindErrorHandler:
		return a.runHandler(ctx, r)
	case spi.KindJobListener:
		return a.runListener(ctx, r)
	case spi.KindTracingSink:
		return a.runSink(ctx, r)
	default:
		return a.runItems(ctx, r)
	}
}

// checkKind refuses a plan that lacks what the kind of its plugin needs, or gives
// what only another kind takes.
func checkKind(cmd *cobra.Command, plan modulePlan, d spi.Descriptor) error {
	if d.Kind == spi.KindShardingStrategy && len(plan.instances) == 0 {
		return usagef(cmd, "a sharding strategy needs instances: add --instances with their ids")
	}
	for _, only := range []struct {
		flag string
		kind spi.Kind
	}{
		{"instances", spi.KindShardingStrategy},
		{"error", spi.KindErrorHandler},
		{"error-code", spi.KindErrorHandler},
	} {
		if cmd.Flags().Changed(only.flag) && d.Kind != only.kind {
			return usagef(cmd, "--%s is for the kind %s, and %s is of the kind %s", only.flag, only.kind, d.Type, d.Kind)
		}
	}
	return nil
}

// values are the properties of the plan, checked, with defaults.
func (p modulePlan) values(d spi.Descriptor, isByJob bool) (props.Values, error) {
	given := maps.Clone(p.props)
	if isByJob {
		given[wasm.PropModule] = p.path
	}
	schema := d.Props
	if d.Has(spi.CapabilityDataflow) {
		schema = append(execution.DataflowProps(), schema...)
	}
	values, refused := schema.Resolve(given)
	if len(refused) == 0 {
		return values, nil
	}
	var problems config.Problems
	for _, p := range refused {
		problems = append(problems, config.Problem{Rule: p.Rule, Message: fmt.Sprintf("property %q %s", p.Property, p.Message)})
	}
	return nil, &problemsError{
		problems: problems, status: exitInvalid,
		next: fmt.Sprintf("Give properties with --prop name=value; elasticjob module inspect %s lists them.", p.path),
	}
}

// construct makes the implementation of the plugin.
func construct[T any](ctx context.Context, r *localRun, constructor spi.Constructor[T]) (made T, done func() error, err error) {
	made, err = constructor(ctx, r.values)
	if err != nil {
		return made, nil, moduleProblem(ctx, r.plan.path, err)
	}
	return made, func() error {
		if c, ok := any(made).(spi.Closer); ok {
			return c.Close(context.WithoutCancel(ctx))
		}
		return nil
	}, nil
}

func (a *app) runItems(ctx context.Context, r *localRun) (err error) {
	job, done, err := construct(ctx, r, r.plugin.JobType)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	items, err := r.items(ctx, job)
	if err != nil {
		return err
	}
	result := runResult{Job: r.plan.job, Type: r.plugin.Descriptor.Type, Run: r.id, Items: items}
	if err := a.print(result, func(w io.Writer) { printRun(w, result) }); err != nil {
		return err
	}
	bad := 0
	for _, item := range result.Items {
		if item.Outcome != outcomeSuccess {
			bad++
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %s did not succeed", bad, count(len(result.Items), "item"))
	}
	return nil
}

// runResult is the document of module run.
type runResult struct {
	Job   string       `json:"job"`
	Type  string       `json:"type"`
	Run   string       `json:"run"`
	Items []itemResult `json:"items"`
}

func printRun(w io.Writer, r runResult) {
	t := newTable(w)
	t.row("ITEM", "PARAMETER", "OUTCOME", "MILLIS", "RESULT")
	for _, i := range r.Items {
		text := i.Result
		if i.Outcome != outcomeSuccess {
			text = i.Code.String() + ": " + i.Err
		}
		t.row(strconv.Itoa(i.Item), i.Parameter, i.Outcome, strconv.FormatInt(i.Millis, 10), text)
	}
	t.flush()
}

// choose finds the type of the plan among those that the module brings, and is
// the job type WASM when it brings none.
func choose(cmd *cobra.Command, host *wasm.Host, plugins []spi.Plugin, plan modulePlan) (spi.Plugin, error) {
	if len(plugins) == 0 {
		plugins = []spi.Plugin{host.JobType(func(string) spi.LoadRequest { return plan.request() })}
	}
	types := make([]string, len(plugins))
	for i, p := range plugins {
		types[i] = p.Descriptor.Type
	}
	if plan.typeName == "" && len(plugins) == 1 {
		return plugins[0], nil
	}
	if plan.typeName == "" {
		return spi.Plugin{}, usagef(cmd, "%s brings several types: add --type with one of %s", plan.path, strings.Join(types, ", "))
	}
	i := slices.Index(types, plan.typeName)
	if i < 0 {
		return spi.Plugin{}, usagef(cmd, "%s brings no type %q; there is %s", plan.path, plan.typeName, strings.Join(types, ", "))
	}
	return plugins[i], nil
}
