package cron

import "fmt"

// A SyntaxError says what is wrong with a cron expression, and where.
type SyntaxError struct {
	// Expr is the expression as it was given.
	Expr string
	// Field is the name of the field at fault (seconds, minutes, hours,
	// day-of-month, month, day-of-week, year), empty when the number of fields
	// is wrong or the expression is no list of fields.
	Field string
	// Column is the place in Expr, in characters, from 1. It is one past the
	// end where something is missing there.
	Column int
	// Message says what is wrong and what is allowed.
	Message string
}

var _ error = (*SyntaxError)(nil)

// Error returns the expression, the place and the message in one line.
func (e *SyntaxError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("cron expression %q, column %d: %s", e.Expr, e.Column, e.Message)
	}
	return fmt.Sprintf("cron expression %q, column %d (%s): %s", e.Expr, e.Column, e.Field, e.Message)
}
