package cron

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Parse parses a Quartz cron expression that is to be evaluated in loc; a nil
// loc means UTC. The error is a [*SyntaxError].
func Parse(expr string, loc *time.Location) (*Expression, error) {
	if loc == nil {
		loc = time.UTC
	}
	p := parser{expr: expr, text: upper(expr)}
	fields, err := p.split()
	if err != nil {
		return nil, err
	}
	for f, span := range fields {
		if err := p.parseField(field(f), span); err != nil {
			return nil, err
		}
	}
	if err := p.checkDays(fields); err != nil {
		return nil, err
	}
	p.days.plain = uint32(p.sets[dayOfMonth])
	p.days.weekdays = uint8(p.sets[dayOfWeek] >> 1)
	return &Expression{
		text:    expr,
		loc:     loc,
		seconds: p.sets[seconds],
		minutes: p.sets[minutes],
		hours:   uint32(p.sets[hours]),
		months:  uint16(p.sets[month]),
		years:   p.years,
		days:    p.days,
	}, nil
}

// A span is a part of the text, from start to end.
type span struct{ start, end int }

// A parser holds the state of one Parse.
type parser struct {
	expr string // as given
	text string // in upper case, character for character

	field field // the field being parsed
	item  span  // the item being parsed; start moves on
	list  bool  // the field has several items

	sets    [fieldCount]uint64
	years   [(lastYear-firstYear)/64 + 1]uint64
	days    days
	anyDay  bool // day-of-month is ?
	anyWeek bool // day-of-week is ?
}

// upper returns s with every letter whose upper case is a plain Latin letter
// replaced by that, as Quartz does: the dotless i is an I.
func upper(s string) string {
	return strings.Map(func(r rune) rune {
		if u := unicode.ToUpper(r); u < utf8.RuneSelf {
			return u
		}
		return r
	}, s)
}

// split finds the fields.
func (p *parser) split() ([]span, error) {
	if trimmed := strings.TrimLeft(p.text, " \t"); strings.HasPrefix(trimmed, "@") {
		return nil, p.errorAt(len(p.text)-len(trimmed), fieldCount,
			"names with @ are not Quartz cron; write the fields: every hour is \"0 0 * * * ?\"")
	}
	fields := make([]span, 0, fieldCount)
	inField := false
	for i, r := range p.text {
		if r == ' ' || r == '\t' {
			inField = false
			continue
		}
		if !inField {
			if len(fields) == int(fieldCount) {
				return nil, p.errorAt(i, fieldCount, "an expression has 6 or 7 fields, not more")
			}
			fields = append(fields, span{start: i})
			inField = true
		}
		last := len(fields) - 1
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return nil, p.errorAt(i, field(last), "%q is not allowed; fields are separated by spaces or tabs", r)
		}
		if r >= utf8.RuneSelf {
			return nil, p.errorAt(i, field(last), "%q is not allowed; allowed are %s", r, field(last).allowed())
		}
		fields[last].end = i + 1
	}
	if len(fields) < int(year) {
		return nil, p.errorAt(len(p.text), fieldCount, "%s", tooFew(len(fields)))
	}
	return fields, nil
}

func tooFew(n int) string {
	const order = "seconds minutes hours day-of-month month day-of-week [year]"
	switch n {
	case 0:
		return "the expression is empty; it has 6 or 7 fields: " + order
	case 5:
		return "an expression has 6 or 7 fields, this has 5 as in Unix cron; add a seconds field in front (0) and put ? in one of the day fields: " + order
	default:
		return fmt.Sprintf("an expression has 6 or 7 fields, this has %d: %s", n, order)
	}
}

// checkDays holds the rule about ? and fills in the year.
func (p *parser) checkDays(fields []span) error {
	if len(fields) <= int(year) {
		p.field = year
		p.addRange(firstYear, lastYear, 1)
	}
	at := fields[dayOfWeek].start
	switch {
	case p.anyDay && p.anyWeek:
		return p.errorAt(at, dayOfWeek, "? may stand in one of the two day fields only; write * in one for every day")
	case !p.anyDay && !p.anyWeek:
		return p.errorAt(at, dayOfWeek, "day-of-month and day-of-week are both given; put ? in one of them")
	}
	return nil
}

func (p *parser) parseField(f field, s span) error {
	p.field = f
	text := p.text[s.start:s.end]
	if text == "?" {
		switch f {
		case dayOfMonth:
			p.anyDay = true
		case dayOfWeek:
			p.anyWeek = true
		default:
			return p.fail(s.start, "? is for day-of-month and day-of-week only")
		}
		return nil
	}
	p.list = strings.Contains(text, ",")
	for start := s.start; start <= s.end; start = p.item.end + 1 {
		p.item = span{start, s.end}
		if n := strings.IndexByte(p.text[start:s.end], ','); n >= 0 {
			p.item.end = start + n
		}
		if p.item.start == p.item.end {
			return p.fail(start, "a value is missing beside the comma")
		}
		if err := p.parseItem(); err != nil {
			return err
		}
		if p.item.start < p.item.end {
			return p.unexpected()
		}
	}
	return nil
}

// unexpected refuses the next character.
func (p *parser) unexpected() error {
	return p.fail(p.item.start, "unexpected %q", p.peek())
}

// fail returns an error in the current field at a place of the text.
func (p *parser) fail(at int, format string, args ...any) error {
	message := fmt.Sprintf(format, args...)
	return p.errorAt(at, p.field, "%s; allowed are %s", message, p.field.allowed())
}

// errorAt returns an error at a place of the text. The field is fieldCount for
// an error of the whole expression.
func (p *parser) errorAt(at int, f field, format string, args ...any) error {
	return &SyntaxError{
		Expr:    p.expr,
		Field:   f.String(),
		Column:  utf8.RuneCountInString(p.text[:at]) + 1,
		Message: fmt.Sprintf(format, args...),
	}
}
