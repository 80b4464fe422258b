// Package cron says when a job is due: Quartz cron expressions, intervals and
// single instants, all as a [github.com/robfig/cron/v3.Schedule].
//
// # The dialect
//
// An expression has six or seven fields, separated by spaces or tabs:
//
//	field         values                 special characters
//	seconds       0-59                   , - * /
//	minutes       0-59                   , - * /
//	hours         0-23                   , - * /
//	day-of-month  1-31                   , - * / ? L W
//	month         1-12 or JAN-DEC        , - * /
//	day-of-week   1-7 or SUN-SAT         , - * / ? L #
//	year          absent or 1970-2299    , - * /
//
// Names may be written in either case. Sunday is 1 and Saturday is 7.
//
//   - a-b is a range. One that runs backwards wraps (22-2, NOV-FEB, FRI-MON),
//     except in years.
//   - a/s is every s-th value from a to the end of the field, a-b/s the same
//     within a range, */s and /s from the first value of the field. A step is
//     at least 1 and at most the greatest value of the field; a step after a
//     name is refused.
//   - ? stands in exactly one of the two day fields and gives the day to the
//     other.
//   - In day-of-month, L is the last day of the month, L-n the n-th day before
//     it (n up to 30), nW the weekday (Monday to Friday) nearest to day n
//     within the month, LW and L-nW the weekday nearest to such a last day. A
//     day that a month does not have is no day of it: 31W is silent in April.
//     Items of a list mean what each of them means by itself.
//   - In day-of-week, L is Saturday, nL the last such day of the month, and
//     n#k the k-th (1 to 5). These stand alone, not in lists.
//   - A year outside 1970-2299 may be written and never comes. The limit does
//     not depend on the day of the call, so all nodes agree on it for ever.
//
// The rules are those of org.quartz.CronExpression as its documentation states
// them, with the range limits of its code. What that class accepts though its
// documentation does not say so (1,,2, MONDAY, *6, 0-30/99) is refused with a
// [SyntaxError].
//
// # Daylight saving
//
// Fields are matched against the wall clock of the expression's zone. A wall
// time that the clock jumps over does not fire on that day. A wall time that
// the clock shows twice fires once, on the second pass. See [Expression.Next]
// for a start within a first pass.
//
// # Concurrency
//
// Values of this package are immutable, but for [Zones], and all of them are
// safe for concurrent use. Nothing here reads the clock, starts a goroutine or
// logs.
package cron
