package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/core/cron"
)

// Bounds on how many instants are computed for one expression.
const (
	defaultInstants = 10
	maxInstants     = 10_000
)

func (a *app) cronCommand() *cobra.Command {
	cmd := a.group(&cobra.Command{
		Use:     "cron",
		Short:   "Try out cron expressions",
		Example: "  elasticjob cron next '0 0/5 * * * ?'",
	})
	cmd.AddCommand(a.cronNextCommand())
	return cmd
}

type cronOptions struct {
	zone  string
	from  string
	count int
	stdin bool
}

func (a *app) cronNextCommand() *cobra.Command {
	var o cronOptions
	cmd := &cobra.Command{
		Use:   "next EXPR",
		Short: "Show when a cron expression fires next",
		Long: `Show the instants after --from at which a Quartz cron expression fires.

With --stdin, answer one JSON line for each JSON line of stdin, in order:
  {"expr":"0 0 2 * * ?","tz":"Asia/Shanghai","start":1735689600000,"n":3}
  {"times":[1735754400000,1735840800000,1735927200000]}
start is in milliseconds of the Unix epoch, and the instants come after it. tz
is UTC and n is 10 when absent. A line that is wrong is answered {"error":"…"}.`,
		Example: "  elasticjob cron next '0 0 2 ? * MON-FRI' --tz Asia/Shanghai -n 3",
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.stdin {
				if len(args) > 0 || cmd.Flags().Changed("tz") || cmd.Flags().Changed("from") || cmd.Flags().Changed("count") {
					return usagef(cmd, "--stdin stands alone: expression, zone, start and n are in each line")
				}
				return answerCronLines(cmd.Context(), a.In, a.Out)
			}
			if err := exactArgs("the cron expression")(cmd, args); err != nil {
				return err
			}
			return a.cronNext(cmd, args[0], o)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.zone, "tz", "", "time `zone`, such as Asia/Shanghai or GMT+8 (default: the zone of this machine, UTC if it has no name)")
	flags.StringVar(&o.from, "from", "", "show instants after this one, as RFC 3339 (default: now)")
	flags.IntVarP(&o.count, "count", "n", defaultInstants, "how many instants to show, 1 to 10000")
	flags.BoolVar(&o.stdin, "stdin", false, "answer JSON lines of stdin")
	return cmd
}

// cronResult is the document of cron next. Times are milliseconds of the Unix
// epoch, as in the lines of --stdin; Instants are the same in the zone.
type cronResult struct {
	Expr     string   `json:"expr"`
	TimeZone string   `json:"timeZone"`
	Times    []int64  `json:"times"`
	Instants []string `json:"instants"`
}

func (a *app) cronNext(cmd *cobra.Command, expr string, o cronOptions) error {
	if o.count < 1 || o.count > maxInstants {
		return usagef(cmd, "-n %d is out of range: write 1 to %d", o.count, maxInstants)
	}
	from := time.Now()
	if o.from != "" {
		var err error
		if from, err = time.Parse(time.RFC3339, o.from); err != nil {
			return usagef(cmd, "--from %q is no instant: write RFC 3339 such as 2026-01-31T08:00:00+08:00", o.from)
		}
	}
	zone := o.zone
	if !cmd.Flags().Changed("tz") {
		zone = a.localZone()
	}
	loc, err := cron.Zone(zone)
	if err != nil {
		return invalid(config.Problem{Rule: ruleZone, Message: err.Error()}, "")
	}
	parsed, err := cron.Parse(expr, loc)
	if err != nil {
		return cronProblem(expr, err)
	}
	result := cronResult{Expr: expr, TimeZone: zone, Times: []int64{}, Instants: []string{}}
	rows := newInstants(parsed, from, o.count)
	for _, t := range rows {
		result.Times = append(result.Times, t.UnixMilli())
		result.Instants = append(result.Instants, instant(t))
	}
	if err := a.print(result, func(w io.Writer) {
		t := newTable(w)
		t.row("TIME", "DAY")
		for _, at := range rows {
			t.row(instant(at), at.Weekday().String())
		}
		t.flush()
	}); err != nil {
		return err
	}
	if len(rows) < o.count && a.format == formatTable {
		a.note("the expression fires %s after %s and then never again", count(len(rows), "time"), instant(from.In(loc)))
	}
	return nil
}

// localZone returns the name of this machine's zone, and UTC with a note when
// it has none.
func (a *app) localZone() string {
	name, err := cron.LocalZone(a.LookupEnv)
	if err != nil {
		a.note("times are in UTC; --tz chooses a zone: %s", err)
		return "UTC"
	}
	return name
}

// newInstants returns the next count instants, fewer when the expression ends.
func newInstants(expr *cron.Expression, after time.Time, count int) []time.Time {
	var instants []time.Time
	for range count {
		if after = expr.Next(after); after.IsZero() {
			break
		}
		instants = append(instants, after)
	}
	return instants
}

// cronProblem turns the error of a cron expression into a problem, and points
// at the place below the expression.
func cronProblem(expr string, err error) error {
	problem := config.Problem{Rule: ruleCron, Message: err.Error()}
	next := ""
	if syntax, ok := errors.AsType[*cron.SyntaxError](err); ok {
		problem.Line, problem.Column = 1, syntax.Column
		next = "  " + oneLine(expr) + "\n  " + caret(expr, syntax.Column)
	}
	return invalid(problem, next)
}

// caret returns a line that points at the character of that column of text, as
// oneLine shows it.
func caret(text string, column int) string {
	before := []rune(text)
	before = before[:min(max(column-1, 0), len(before))]
	return strings.Repeat(" ", len([]rune(oneLine(string(before))))) + "^"
}

// answerCronLines is cron next --stdin.
func answerCronLines(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := newLineReader(in, maxCronLine)
	for ctx.Err() == nil {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var answer []byte
		switch {
		case errors.Is(err, errLineTooLong):
			answer = cronError(err)
		case err != nil:
			return fmt.Errorf("reading stdin: %w", err)
		default:
			answer = answerCronLine(line)
		}
		if _, err := out.Write(answer); err != nil {
			return fmt.Errorf("writing the answer: %w", err)
		}
	}
	return context.Cause(ctx)
}
