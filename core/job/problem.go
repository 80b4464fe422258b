package job

import (
	"strconv"
	"strings"
)

// Rules that a definition can break. They are stable: scripts may rely on them.
const (
	RuleRequired       = "required"        // a value is missing
	RuleName           = "name"            // a job name is malformed
	RuleType           = "type"            // a value has the wrong form
	RuleRange          = "range"           // a number, duration or count is out of bounds
	RuleConflict       = "conflict"        // two settings contradict
	RuleSchedule       = "schedule"        // more than one of cron, every, at
	RuleCron           = "cron"            // a cron expression is malformed
	RuleZone           = "zone"            // a time zone is unknown
	RuleItemParameters = "item-parameters" // shardingItemParameters is malformed
	RuleSize           = "size"            // the definition is too large
	RuleNotAvailable   = "not-available"   // a feature that this version lacks
)

// Problem is one thing wrong with a definition.
type Problem struct {
	// Field is the config key at fault: "cron", or "props.batch.size"; empty when
	// the definition as a whole is.
	Field string
	// Related are other keys whose values Message depends on.
	Related []string
	// Rule is one of the Rule constants.
	Rule string
	// Message is a predicate of the key, in plain words. It may quote the value.
	Message string
	// Allowed says what the value must be, as a noun phrase that quotes nothing,
	// for a reader who may not see the value. It is empty when Message quotes nothing.
	Allowed string
	// Column is the place of the fault in the value, from 1; zero when the whole is at fault.
	Column int
}

// String returns the key and what is wrong with it.
func (p Problem) String() string { return strings.TrimPrefix(p.Field+" "+p.Message, " ") }

// mustBe returns a problem that says what the value must be and what it is.
func mustBe(field, rule, allowed, value string) Problem {
	return Problem{Field: field, Rule: rule, Allowed: allowed, Message: "must be " + allowed + ", not " + quote(value)}
}

// quote quotes text for a message, at most its first 80 bytes.
func quote(text string) string {
	const most = 80
	if len(text) > most {
		return strconv.Quote(text[:most]) + "…"
	}
	return strconv.Quote(text)
}
