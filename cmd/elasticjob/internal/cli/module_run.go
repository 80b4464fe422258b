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
}

func (a *app) moduleRunCommand() *cobra.Command {
	var o moduleRunOptions
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Run items of a module here and now",
		Long: `Run one item of a module, or all of them, on this machine and without a
registry. What the module prints is logged on stderr; the outcome of each item
is the result. The status is 1 when an item fails.`,
		Example: "  elasticjob module run orders.wasm --total 2 --item-parameters 0=Beijing,1=Shanghai --prop batch.size=500",
		Args:    exactArgs("the module file"),
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
	flags.StringVar(&o.typeName, "type", "", "job `type` to run, when the module brings several")
	flags.StringVar(&o.job, "job", "", "`name` of the job (default: the file's name)")
	flags.DurationVar(&o.timeout, "timeout", 0, "time that an item may take, such as 30s (default: no bound)")
	addMemoryFlag(flags, &o.memory)
	return cmd
}

// modulePlan is what module run was asked to do.
type modulePlan struct {
	path     string
	job      string
	typeName string
	props    map[string]string
	timeout  time.Duration
	memory   int64
	total    int
	items    []spi.Item
	param    string
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
	values, err := parseProps(o.props)
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
	return spi.LoadRequest{Path: p.path, Limits: spi.Limits{Memory: p.memory}}
}

// parseProps reads properties written name=value.
func parseProps(texts []string) (map[string]string, error) {
	values := make(map[string]string, len(texts))
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--prop %q is not name=value", text)
		}
		if _, twice := values[name]; twice {
			return nil, fmt.Errorf("--prop gives %q twice", name)
		}
		values[name] = value
	}
	return values, nil
}

func (a *app) moduleRun(ctx context.Context, cmd *cobra.Command, host *wasm.Host, plan modulePlan) (err error) {
	made, err := makeJob(ctx, cmd, host, plan)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, made.close(context.WithoutCancel(ctx))) }()

	r := newLocalRun(plan, made, a.logger)
	result := runResult{Job: plan.job, Type: made.typeName, Run: r.id, Items: r.items(ctx)}
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

// madeJob is a job type made from a module.
type madeJob struct {
	spi.JobType

	typeName string
	values   props.Values
	close    func(context.Context) error
}

// makeJob loads the module and makes the job type that the plan asks for.
func makeJob(ctx context.Context, cmd *cobra.Command, host *wasm.Host, plan modulePlan) (madeJob, error) {
	bundle, err := host.Load(ctx, plan.request())
	if err != nil {
		return madeJob{}, moduleProblem(ctx, plan.path, err)
	}
	made, err := makeFromBundle(ctx, cmd, host, bundle, plan)
	if err != nil {
		return madeJob{}, errors.Join(err, bundle.Close(context.WithoutCancel(ctx)))
	}
	return made, nil
}

func makeFromBundle(ctx context.Context, cmd *cobra.Command, host *wasm.Host, bundle *spi.Bundle, plan modulePlan) (madeJob, error) {
	plugin, err := choose(cmd, host, bundle.Plugins, plan)
	if err != nil {
		return madeJob{}, err
	}
	given := maps.Clone(plan.props)
	if len(bundle.Plugins) == 0 {
		given[wasm.PropModule] = plan.path
	}
	values, refused := plugin.Descriptor.Props.Resolve(given)
	if len(refused) > 0 {
		var problems config.Problems
		for _, p := range refused {
			problems = append(problems, config.Problem{Rule: p.Rule, Message: fmt.Sprintf("property %q %s", p.Property, p.Message)})
		}
		return madeJob{}, &problemsError{
			problems: problems, status: exitInvalid,
			next: fmt.Sprintf("Give properties with --prop name=value; elasticjob module inspect %s lists them.", plan.path),
		}
	}
	made, err := plugin.JobType(ctx, values)
	if err != nil {
		return madeJob{}, moduleProblem(ctx, plan.path, err)
	}
	return madeJob{JobType: made, typeName: plugin.Descriptor.Type, values: values, close: func(ctx context.Context) error {
		var err error
		if c, ok := made.(spi.Closer); ok {
			err = c.Close(ctx)
		}
		return errors.Join(err, bundle.Close(ctx))
	}}, nil
}

// choose finds the job type of the plan among those that the module brings,
// and is the job type WASM when it brings none.
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
		return spi.Plugin{}, usagef(cmd, "%s brings several job types: add --type with one of %s", plan.path, strings.Join(types, ", "))
	}
	i := slices.Index(types, plan.typeName)
	if i < 0 {
		return spi.Plugin{}, usagef(cmd, "%s brings no job type %q; there is %s", plan.path, plan.typeName, strings.Join(types, ", "))
	}
	return plugins[i], nil
}
