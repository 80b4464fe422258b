package job

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-playground/validator/v10"

	"github.com/elasticjob-go/elasticjob/core/cron"
)

// What the forms checked here allow, as noun phrases.
const (
	allowedName = "1 to 100 of the characters A-Z a-z 0-9 . _ -"
	AllowedType = "a type name such as SCRIPT: A-Z first, then up to 63 of A-Z 0-9 _"
	allowedText = "UTF-8 text"
)

// AllowedPool says what PoolType may be, as a noun phrase.
const AllowedPool = "CPU, SINGLE_THREAD or a number from 1 to 10000"

// Validate returns everything that is wrong with the definition, in the order
// of its fields; nothing when it can be encoded and scheduled. It does not know
// which job types and plugins exist, nor their properties. A cron expression
// without a time zone is checked as if in UTC.
func (c Config) Validate() []Problem {
	found := c.checkTags()
	found = append(found, c.checkText()...)
	found = append(found, c.checkSchedule()...)
	_, faults := parseItemParameters(c.ShardingItemParameters, c.ShardingTotalCount)
	for _, fault := range faults {
		found = append(found, Problem{
			Field: "shardingItemParameters", Related: []string{"shardingTotalCount"}, Rule: RuleItemParameters,
			Allowed: "item=value pairs such as 0=A,1=B, each item once and below shardingTotalCount",
			Message: "must be item=value pairs such as 0=A,1=B: " + fault.message, Column: fault.column,
		})
	}
	found = append(found, c.checkDependencies()...)
	found = append(found, c.checkMisfire()...)
	found = append(found, c.checkTimeouts()...)
	if c.Failover && !c.MonitorExecution {
		found = append(found, Problem{
			Field: "failover", Related: []string{"monitorExecution"}, Rule: RuleConflict,
			Message: "needs monitorExecution: without marks nobody knows which items a node left behind",
		})
	}
	if len(found) == 0 {
		// Only a definition that is otherwise sound: anything else may be why it cannot be encoded.
		if _, err := Encode(c); err != nil {
			found = append(found, Problem{
				Rule: RuleSize, Message: "the definition has more than " + strconv.Itoa(MaxDefinitionSize) + " bytes as JSON",
			})
		}
	}
	return found
}

// checkTags finds what breaks the rules in the tags of the fields.
func (c Config) checkTags() []Problem {
	broken, _ := errors.AsType[validator.ValidationErrors](structRules().Struct(c))
	var found, props []Problem
	for _, b := range broken {
		if p := plainRule(b); strings.HasPrefix(p.Field, "props") {
			props = append(props, p)
		} else {
			found = append(found, p)
		}
	}
	// The validator walks maps in the order of the day.
	slices.SortFunc(props, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Field, b.Field), strings.Compare(a.Message, b.Message))
	})
	return append(found, props...)
}

// checkText finds text that JSON could not hold unchanged.
func (c Config) checkText() []Problem {
	var found []Problem
	check := func(field, text string) {
		if !utf8.ValidString(text) {
			found = append(found, mustBe(field, RuleType, allowedText, text))
		}
	}
	check("cron", c.Cron)
	check("timeZone", c.TimeZone)
	check("shardingItemParameters", c.ShardingItemParameters)
	check("jobParameter", c.JobParameter)
	check("description", c.Description)
	check("label", c.Label)
	for _, key := range slices.Sorted(maps.Keys(c.Props)) {
		check("props."+key, c.Props[key])
	}
	return found
}

// checkMisfire finds settings of missed fires that contradict others.
func (c Config) checkMisfire() []Problem {
	var found []Problem
	conflict := func(field, other, message string) {
		found = append(found, Problem{Field: field, Related: []string{other}, Rule: RuleConflict, Message: message})
	}
	isKnown := slices.Contains([]string{MisfireOnce, MisfireSkip, MisfireAll}, c.MisfirePolicy)
	if isKnown && c.Misfire != (c.MisfirePolicy != MisfireSkip) {
		conflict("misfirePolicy", "misfire", "contradicts misfire: ONCE and ALL go with true, SKIP with false")
	}
	if c.CatchesUpAll() && !c.MonitorExecution {
		conflict("misfirePolicy", "monitorExecution", "cannot be ALL without monitorExecution: without marks nobody knows how far the fires were caught up")
	}
	if c.CatchesUpAll() && c.CancelsRunning() {
		conflict("misfirePolicy", "concurrencyPolicy", "cannot be ALL when concurrencyPolicy is CANCEL_RUNNING: one waits for what runs, the other ends it")
	}
	if c.MisfireLimit > 0 && !c.CatchesUpAll() && (isKnown || c.MisfirePolicy == "") {
		conflict("misfireLimit", "misfirePolicy", "is for misfirePolicy ALL only: nothing else runs more than one missed fire")
	}
	return found
}

// checkTimeouts refuses what means for ever in ElasticJob.
func (c Config) checkTimeouts() []Problem {
	var found []Problem
	for _, one := range []struct {
		field string
		value int
		d     time.Duration
	}{
		{"startedTimeoutMilliseconds", c.StartedTimeoutMilliseconds, DefaultStartedTimeout},
		{"completedTimeoutMilliseconds", c.CompletedTimeoutMilliseconds, DefaultCompletedTimeout},
	} {
		if one.value < 0 {
			found = append(found, Problem{
				Field: one.field, Rule: RuleRange,
				Message: "must not be negative: ElasticJob then waits for ever, which nothing does here; 0 is the default of " + one.d.String(),
			})
		}
	}
	return found
}

func (c Config) checkSchedule() []Problem {
	var found []Problem
	var given []string
	for _, kind := range []struct {
		field string
		given bool
	}{{"cron", c.Cron != ""}, {"every", c.Every != 0}, {"at", !c.At.IsZero()}} {
		if kind.given {
			given = append(given, kind.field)
		}
	}
	for _, field := range given[min(1, len(given)):] {
		found = append(found, Problem{
			Field: field, Related: given[:1], Rule: RuleSchedule,
			Message: "cannot be given together with " + given[0] + ": a job has at most one of cron, every and at",
		})
	}

	zone := time.UTC
	if c.TimeZone != "" {
		loc, err := cron.Zone(c.TimeZone)
		if err != nil {
			found = append(found, Problem{
				Field: "timeZone", Rule: RuleZone,
				Allowed: "an IANA name such as Asia/Shanghai, or GMT+8, GMT+08:00",
				Message: "is wrong: " + err.Error(),
			})
		} else {
			zone = loc
		}
	}
	if c.Cron != "" && utf8.ValidString(c.Cron) {
		if _, err := cron.Parse(c.Cron, zone); err != nil {
			found = append(found, cronProblem(err))
		}
	}
	if c.Every != 0 {
		if _, err := cron.Every(c.Every); err != nil || c.Every > MaxInterval {
			found = append(found, mustBe("every", RuleRange, allowedEvery, c.Every.String()))
		}
	}
	if c.Timeout > MaxInterval {
		found = append(found, mustBe("timeout", RuleRange, allowedTimeout, c.Timeout.String()))
	}
	if year := c.At.UTC().Year(); !c.At.IsZero() && (year < 1970 || year > 9999) {
		found = append(found, mustBe("at", RuleRange, "an instant in the years 1970 to 9999", c.At.UTC().Format(time.RFC3339)))
	}
	return found
}

const (
	allowedEvery   = "whole milliseconds, at least 1ms and at most 87600h"
	allowedTimeout = "more than 0 and at most 87600h"
	allowedBackoff = "at least 1ms and at most 5m"

	allowedConcurrency = ConcurrencySkip + " or " + ConcurrencyCancelRunning
)

func cronProblem(err error) Problem {
	p := Problem{Field: "cron", Rule: RuleCron, Allowed: "a Quartz expression such as 0/5 * * * * ?"}
	syntax, ok := errors.AsType[*cron.SyntaxError](err)
	if !ok {
		p.Message = "is wrong: " + err.Error()
		return p
	}
	p.Column = syntax.Column
	place := "column " + strconv.Itoa(syntax.Column)
	if syntax.Field != "" {
		place += " (" + syntax.Field + ")"
	}
	p.Message = "must be a Quartz expression, but " + quote(syntax.Expr) + " is wrong at " + place + ": " + syntax.Message
	return p
}

// plainRule turns what validator found into our words.
func plainRule(broken validator.FieldError) Problem {
	field := broken.Field()
	name, inner, indexed := strings.Cut(field, "[")
	inner = strings.TrimSuffix(inner, "]")
	value := fmt.Sprint(broken.Value())
	number := broken.Kind().String() == "int"
	switch tag := broken.Tag(); {
	case tag == "job_name":
		return mustBe(field, RuleName, allowedName, value)
	case tag == "type_name":
		p := mustBe(name, RuleType, AllowedType, value)
		if capital := capitals(value); capital != "" {
			p.Message += "; in capitals it is " + capital
		}
		return p
	case tag == "pool":
		return mustBe(field, RuleType, AllowedPool, value)
	case tag == "prop_key":
		return Problem{
			Field: "props." + inner, Rule: RuleName,
			Message: "must have a name of 1 to 256 bytes without white space and control characters",
		}
	case tag == "required":
		return Problem{Field: field, Rule: RuleRequired, Allowed: requiredForms(field), Message: "is required: " + requiredForms(field)}
	case tag == "unique":
		return Problem{Field: field, Rule: RuleRange, Message: "names a type twice"}
	case field == "timeout":
		return mustBe(field, RuleRange, allowedTimeout, value)
	case field == "retryBackoff":
		return mustBe(field, RuleRange, allowedBackoff, value)
	case field == "misfirePolicy":
		return mustBe(field, RuleType, MisfireOnce+", "+MisfireSkip+" or "+MisfireAll, value)
	case field == "concurrencyPolicy":
		return mustBe(field, RuleType, allowedConcurrency, value)
	case field == "onLeaseLoss":
		return mustBe(field, RuleType, LeaseLossCancel+" or "+LeaseLossContinue, value)
	case number && tag == "min":
		return mustBe(field, RuleRange, "at least "+broken.Param(), value)
	case number && tag == "max":
		return mustBe(field, RuleRange, "at most "+broken.Param(), value)
	case name == "props" && indexed:
		return Problem{Field: "props." + inner, Rule: RuleRange, Message: "must have at most " + broken.Param() + " bytes"}
	case tag == "min":
		return Problem{Field: field, Rule: RuleRange, Message: "must have at least " + broken.Param() + " elements"}
	case tag == "max":
		return Problem{Field: field, Rule: RuleRange, Message: "must have at most " + broken.Param() + " elements"}
	default:
		return Problem{Field: field, Rule: RuleType, Message: "breaks the rule " + tag}
	}
}

// capitals returns a type name that differs from text by case and separators
// only, "" if there is none.
func capitals(text string) string {
	name := strings.ToUpper(strings.ReplaceAll(text, "-", "_"))
	if !IsType(name) {
		return ""
	}
	return name
}

// maxType is the length of the longest type name.
const maxType = 64

// IsType says whether text can be the type name of a plugin.
func IsType(text string) bool {
	for i, c := range []byte(text) {
		isUpper := c >= 'A' && c <= 'Z'
		if !isUpper && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return text != "" && len(text) <= maxType
}

func requiredForms(field string) string {
	switch field {
	case "jobName":
		return allowedName
	case "shardingTotalCount":
		return "a number from 1 to 10000"
	case "jobExecutorThreadPoolSizeProviderType":
		return AllowedPool
	default:
		return AllowedType
	}
}

// structRules returns the validator of the rules in the tags of Config. It is
// built once, because it caches what it learns of a struct, and is safe for
// concurrent use.
//
//nolint:gochecknoglobals // immutable once built
var structRules = sync.OnceValue(func() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(jsonName)
	matching := func(pattern string) validator.Func {
		form := regexp.MustCompile(pattern)
		return func(f validator.FieldLevel) bool { return form.MatchString(f.Field().String()) }
	}
	for tag, check := range map[string]validator.Func{
		"job_name":  matching(`^[A-Za-z0-9._-]{1,100}$`),
		"type_name": func(f validator.FieldLevel) bool { return IsType(f.Field().String()) },
		"pool":      func(f validator.FieldLevel) bool { return IsPool(f.Field().String()) },
		"prop_key":  func(f validator.FieldLevel) bool { return isPropKey(f.Field().String()) },
	} {
		if err := v.RegisterValidation(tag, check); err != nil {
			panic(err) // an empty tag or function: a mistake in the lines above
		}
	}
	return v
})

// IsPool says whether text is a value of PoolType.
func IsPool(name string) bool {
	if name == PoolCPU || name == PoolSingleThread {
		return true
	}
	size, err := strconv.Atoi(name)
	return err == nil && size >= 1 && size <= MaxPoolSize && strconv.Itoa(size) == name
}

func isPropKey(key string) bool {
	return key != "" && len(key) <= 256 && utf8.ValidString(key) &&
		!strings.ContainsFunc(key, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
