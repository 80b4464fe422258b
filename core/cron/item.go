package cron

import (
	"math"
	"time"
)

// maxLastOffset is the greatest n of L-n.
const maxLastOffset = 30

// parseItem parses one item of a list. It stops at the first character it has
// no use for.
func (p *parser) parseItem() error {
	low, high := p.field.bounds()
	switch c := p.peek(); {
	case c == '*' || c == '/':
		if c == '*' {
			p.item.start++
		}
		step := 1
		if p.peek() == '/' {
			var err error
			if step, err = p.step(); err != nil {
				return err
			}
		}
		p.addRange(low, high, step)
		return nil
	case c == '?':
		return p.fail(p.item.start, "? stands alone in its field")
	case c == 'L' && p.field == dayOfMonth:
		return p.lastDay()
	case c == 'L' && p.field == dayOfWeek:
		if err := p.alone("L"); err != nil {
			return err
		}
		p.item.start++
		p.set(int(time.Saturday) + 1)
		return nil
	}
	return p.valueItem()
}

// valueItem parses an item that begins with a value.
func (p *parser) valueItem() error {
	start := p.item.start
	low, named, err := p.value()
	if err != nil {
		return err
	}
	high, step := low, 1
	switch c := p.peek(); {
	case c == 'W' && p.field == dayOfMonth:
		p.item.start++
		p.days.nearest |= 1 << low
		return nil
	case c == 'L' && p.field == dayOfWeek:
		if err := p.alone("nL"); err != nil {
			return err
		}
		p.item.start++
		p.days.nth = lastWeekday
		p.set(low)
		return nil
	case c == '#' && p.field == dayOfWeek:
		return p.nthWeekday(low)
	case c == '-':
		p.item.start++
		second := p.item.start
		var secondNamed bool
		if high, secondNamed, err = p.value(); err != nil {
			return err
		}
		if named != secondNamed {
			return p.fail(second, "a range has two numbers or two names, not one of each")
		}
		if p.field == year && high < low {
			return p.fail(start, "a range of years cannot run backwards")
		}
	case c == '/':
		_, high = p.field.bounds()
		if low > high {
			return p.fail(start, "the first year is after %d", lastYear)
		}
	}
	if p.peek() == '/' {
		if named {
			return p.fail(p.item.start, "Quartz has no step after a name; write the number instead of the name")
		}
		if step, err = p.step(); err != nil {
			return err
		}
	}
	p.addRange(low, high, step)
	return nil
}

// lastDay parses L, L-n, LW and L-nW of day-of-month.
func (p *parser) lastDay() error {
	p.item.start++
	offset := 0
	if p.peek() == '-' {
		p.item.start++
		start := p.item.start
		var err error
		if offset, err = p.number(); err != nil {
			return err
		}
		if offset > maxLastOffset {
			return p.fail(start, "%d is too much after L-; a month has at most %d days before its last", offset, maxLastOffset)
		}
	}
	if p.peek() == 'W' {
		p.item.start++
		p.days.lastNearest |= 1 << offset
		return nil
	}
	p.days.last |= 1 << offset
	return nil
}

// nthWeekday parses the rest of n#k of day-of-week.
func (p *parser) nthWeekday(weekday int) error {
	if err := p.alone("n#k"); err != nil {
		return err
	}
	p.item.start++
	start := p.item.start
	nth, err := p.number()
	if err != nil {
		return err
	}
	if nth < 1 || nth > 5 {
		return p.fail(start, "after # comes which one of the month, 1 to 5, not %d", nth)
	}
	p.days.nth = uint8(nth)
	p.set(weekday)
	return nil
}

// alone refuses an item that stands in a list though it must not.
func (p *parser) alone(what string) error {
	if p.list {
		return p.fail(p.item.start, "%s cannot be part of a list in day-of-week", what)
	}
	return nil
}

// value parses a number or a name that is within the bounds of the field.
func (p *parser) value() (v int, named bool, err error) {
	start := p.item.start
	if c := p.peek(); c >= 'A' && c <= 'Z' {
		v, err = p.name()
		return v, true, err
	}
	if v, err = p.number(); err != nil {
		return 0, false, err
	}
	low, high := p.field.bounds()
	if p.field == year {
		// Quartz keeps these two for itself, as marks of * and ?.
		if v == 98 || v == 99 {
			return 0, false, p.fail(start, "%d is no year", v)
		}
		return v, false, nil
	}
	if v < low || v > high {
		return 0, false, p.fail(start, "%d is out of range", v)
	}
	return v, false, nil
}

func (p *parser) name() (int, error) {
	start := p.item.start
	end := start
	for end < p.item.end && p.text[end] >= 'A' && p.text[end] <= 'Z' {
		end++
	}
	word := p.text[start:end]
	// The L of FRIL is not part of the name.
	if p.field == dayOfWeek && len(word) == nameLength+1 && word[nameLength] == 'L' {
		end--
	}
	v, ok := p.field.number(p.text[start:end])
	if !ok {
		return 0, p.fail(start, "%q is not a value of this field", word)
	}
	p.item.start = end
	return v, nil
}

// step parses a slash and the number after it.
func (p *parser) step() (int, error) {
	p.item.start++
	start := p.item.start
	step, err := p.number()
	if err != nil {
		return 0, err
	}
	if most := p.field.maxStep(); step < 1 || step > most {
		return 0, p.fail(start, "the step %d is not within 1-%d", step, most)
	}
	return step, nil
}

func (p *parser) number() (int, error) {
	start := p.item.start
	n := 0
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		n = n*10 + int(c-'0')
		if n > math.MaxInt32 {
			return 0, p.fail(start, "the number is too large")
		}
		p.item.start++
	}
	if p.item.start == start {
		if p.item.start == p.item.end {
			return 0, p.fail(start, "a number is missing after %q", p.text[start-1])
		}
		return 0, p.unexpected()
	}
	return n, nil
}

// peek returns the next character of the item, 0 at its end.
func (p *parser) peek() byte {
	if p.item.start == p.item.end {
		return 0
	}
	return p.text[p.item.start]
}

// addRange adds every step-th value from low on. If high is below low, the
// range goes over the end of the field to its begin.
func (p *parser) addRange(low, high, step int) {
	first, last := p.field.bounds()
	if p.field == year {
		if low < first {
			low += (first - low + step - 1) / step * step
		}
		high = min(high, last)
	}
	size := last - first + 1
	if high < low && p.field != year {
		high += size
	}
	for v := low; v <= high; v += step {
		p.set((v-first)%size + first)
	}
}

func (p *parser) set(v int) {
	if p.field == year {
		n := v - firstYear
		p.years[n/64] |= 1 << (n % 64)
		return
	}
	p.sets[p.field] |= 1 << v
}
