package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/elasticjob-go/elasticjob/core/config"
)

// Exit statuses.
const (
	exitOK      = 0
	exitFailed  = 1 // what was asked for failed
	exitInvalid = 2 // the program was called wrongly or given invalid input
	exitZombie  = 3 // code of an item outlived its lease
)

// Rules of problems that are not of a configuration file.
const (
	ruleUsage  = "usage"
	ruleFailed = "failed"
	ruleCron   = "cron"
	ruleZone   = "zone"
	ruleModule = "module"
	ruleBuild  = "build"
)

// usageError says that the program was called wrongly.
type usageError struct {
	command string
	message string
}

func (e *usageError) Error() string { return e.message }

func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{command: cmd.CommandPath(), message: fmt.Sprintf(format, args...)}
}

// flagError is the error of a flag that is wrong, in words.
func flagError(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	var number *strconv.NumError
	if errors.As(err, &value) && errors.As(err, &number) {
		return usagef(cmd, "--%s %q is no whole number", value.GetFlag().Name, value.GetValue())
	}
	return usagef(cmd, "%s", err)
}

// problemsError is input that is invalid, or a failure with known places.
type problemsError struct {
	problems config.Problems
	status   int
	// next tells a reader what to do; it is no part of documents.
	next string
}

// Error returns a line for each problem. Problems that are of no file are of
// the command line.
func (e *problemsError) Error() string {
	lines := make([]string, len(e.problems))
	for i, p := range e.problems {
		lines[i] = oneLine(p.String())
		if p.File == "" {
			lines[i] = "elasticjob: " + oneLine(p.Message)
		}
	}
	return strings.Join(lines, "\n")
}

// invalid returns an error about one piece of input.
func invalid(problem config.Problem, next string) error {
	return &problemsError{problems: config.Problems{problem}, status: exitInvalid, next: next}
}

// silentError ends the program with a status after everything was said.
type silentError struct{ status int }

func (e *silentError) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// report writes an error to stderr in the form that was asked for, and returns
// the exit status.
func (a *app) report(err error) int {
	var (
		silent   *silentError
		usage    *usageError
		problems *problemsError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &silent):
		return silent.status
	case errors.As(err, &usage):
		a.explain(config.Problems{{Rule: ruleUsage, Message: usage.message}}, "elasticjob: "+usage.message,
			fmt.Sprintf("Run %q to see how it is used.", strings.TrimSpace(usage.command)+" --help"))
		return exitInvalid
	case errors.As(err, &problems):
		a.explain(problems.problems, problems.Error(), problems.next)
		return problems.status
	default:
		a.explain(config.Problems{{Rule: ruleFailed, Message: err.Error()}}, "elasticjob: "+err.Error(), "")
		return exitFailed
	}
}

// explain writes problems to stderr, as a document or as text with the advice
// what to do next. Stderr is the last resort: when it fails, nothing is left.
func (a *app) explain(problems config.Problems, text, next string) {
	if a.errorFormat != formatTable {
		if document, err := encode(a.errorFormat, problemList{problems}, false); err == nil {
			_, _ = a.Err.Write(document)
			return
		}
	}
	_, _ = fmt.Fprintln(a.Err, printable(text))
	if next != "" {
		_, _ = fmt.Fprintln(a.Err, printable(next))
	}
}

// problemList is the document of problems.
type problemList struct {
	Problems config.Problems `json:"problems"`
}
