package spi_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

func TestCodesKeepTheirNumbers(t *testing.T) {
	t.Parallel()
	names := []string{
		"FAILED", "INVALID_PROPERTIES", "UNSUPPORTED", "DENIED", "NOT_FOUND", "TIMEOUT", "CANCELLED", "LEASE_LOST", "LIMIT",
		"TRAP", "PROTOCOL", "PLUGIN_GONE", "UNAVAILABLE", "TOO_LARGE", "RATE_LIMITED", "INTERNAL",
	}
	for i, want := range names {
		if got := spi.Code(i + 1).String(); got != want {
			t.Errorf("Code(%d) = %s, want %s", i+1, got, want)
		}
	}
	for code, want := range map[spi.Code]string{0: "0", 17: "17", -1: "-1", 1000: "1000"} {
		if got := code.String(); got != want {
			t.Errorf("Code(%d) = %s, want %s", int(code), got, want)
		}
	}
}

func TestCodesOfGuests(t *testing.T) {
	t.Parallel()
	allowed := map[spi.Code]bool{1: true, 2: true, 3: true, 4: true, 5: true, 13: true, 14: true, 15: true, 1000: true, 4711: true}
	for _, code := range []spi.Code{-1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 999, 1000, 4711} {
		want := spi.CodeProtocol
		if allowed[code] {
			want = code
		}
		if got := code.FromGuest(); got != want {
			t.Errorf("Code(%d).FromGuest() = %d, want %d", code, got, want)
		}
		if want == spi.CodeProtocol {
			want = spi.CodeFailed
		}
		if got := code.FromAuthor(); got != want {
			t.Errorf("Code(%d).FromAuthor() = %d, want %d", code, got, want)
		}
	}
	if got := spi.Code(0).FromGuest(); got != spi.CodeFailed {
		t.Errorf("Code(0).FromGuest() = %v, want FAILED", got)
	}
}

func TestErrorsMatchTheirSentinels(t *testing.T) {
	t.Parallel()
	tests := []struct {
		code   spi.Code
		target error
	}{
		{spi.CodeTimeout, spi.ErrTimeout},
		{spi.CodeTimeout, context.DeadlineExceeded},
		{spi.CodeCancelled, context.Canceled},
		{spi.CodeLeaseLost, spi.ErrLeaseLost},
		{spi.CodePluginGone, spi.ErrPluginGone},
	}
	for _, tt := range tests {
		if err := fmt.Errorf("calling: %w", spi.NewError(tt.code, "x")); !errors.Is(err, tt.target) {
			t.Errorf("error of %v is not %v", tt.code, tt.target)
		}
		if errors.Is(spi.NewError(spi.CodeFailed, "x"), tt.target) {
			t.Errorf("error of FAILED is %v", tt.target)
		}
		if back := spi.AsError(tt.target); back.Code != tt.code {
			t.Errorf("AsError(%v) = %v, want %v", tt.target, back.Code, tt.code)
		}
	}
}

func TestAsErrorKeepsWhatItIsGiven(t *testing.T) {
	t.Parallel()
	if spi.AsError(nil) != nil {
		t.Error("AsError(nil) is not nil")
	}
	var none *spi.Error
	for _, err := range []error{none, fmt.Errorf("ordering: %w", none)} {
		if got := spi.AsError(err); got == nil || got.Code != spi.CodeFailed || got.Message == "" {
			t.Errorf("AsError(%#v) = %+v, want FAILED", err, got)
		}
	}
	inner := &spi.Error{Code: 4711, Message: "no stock", Stack: "s", Retryable: true, Property: "p"}
	if got := spi.AsError(inner); got != inner {
		t.Errorf("AsError(%v) = %v, want it back", inner, got)
	}
	got := spi.AsError(fmt.Errorf("ordering: %w", inner))
	want := spi.Error{Code: 4711, Message: "ordering: no stock", Stack: "s", Retryable: true, Property: "p"}
	if *got != want {
		t.Errorf("AsError(wrapped) = %+v, want %+v", *got, want)
	}
	if got := spi.AsError(errors.New("x")); got.Code != spi.CodeFailed || got.Message != "x" {
		t.Errorf("AsError(plain) = %+v, want FAILED", got)
	}
	for code, want := range map[spi.Code]bool{spi.CodeTimeout: true, spi.CodePluginGone: true, spi.CodeUnavailable: true, spi.CodeRateLimited: true, spi.CodeFailed: false, spi.CodeTrap: false} {
		if got := spi.NewError(code, "").Retryable; got != want {
			t.Errorf("NewError(%v).Retryable = %v, want %v", code, got, want)
		}
	}
}

func TestTypeNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"A": true, "ORDERS": true, "A_1": true, "A" + strings.Repeat("B", 63): true,
		"": false, "orders": false, "1A": false, "_A": false, "A-B": false, "Ä": false, "A" + strings.Repeat("B", 64): false,
	} {
		if got := spi.ValidType(name); got != want {
			t.Errorf("ValidType(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestPluginCheck(t *testing.T) {
	t.Parallel()
	newJob := func(context.Context, props.Values) (spi.JobType, error) { return spi.JobTypeFunc(nil), nil }
	newHandler := func(context.Context, props.Values) (spi.ErrorHandler, error) { return spi.ErrorHandlerFunc(nil), nil }
	sound := spi.Plugin{Descriptor: spi.Descriptor{Kind: spi.KindJobType, Type: "A"}, JobType: newJob}
	if err := sound.Check(); err != nil {
		t.Errorf("Check(sound) = %v, want nil", err)
	}
	for name, change := range map[string]func(*spi.Plugin){
		"unknown kind":      func(p *spi.Plugin) { p.Descriptor.Kind = "jobtype" },
		"reserved kind":     func(p *spi.Plugin) { p.Descriptor.Kind = spi.KindExecutorPool; p.JobType = nil },
		"bad type":          func(p *spi.Plugin) { p.Descriptor.Type = "a" },
		"no constructor":    func(p *spi.Plugin) { p.JobType = nil },
		"other constructor": func(p *spi.Plugin) { p.JobType, p.ErrorHandler = nil, newHandler },
		"two constructors":  func(p *spi.Plugin) { p.ErrorHandler = newHandler },
		"bad properties":    func(p *spi.Plugin) { p.Descriptor.Props = props.Schema{{Name: "x"}} },
		"long version":      func(p *spi.Plugin) { p.Descriptor.Version = strings.Repeat("1", 65) },
		"long description":  func(p *spi.Plugin) { p.Descriptor.Description = strings.Repeat("x", 4097) },
		"many capabilities": func(p *spi.Plugin) { p.Descriptor.Capabilities = make([]string, 17) },
	} {
		p := sound
		change(&p)
		if err := p.Check(); err == nil {
			t.Errorf("Check(%s) = nil, want an error", name)
		}
	}
}

func TestCapabilities(t *testing.T) {
	t.Parallel()
	plain := spi.Descriptor{Kind: spi.KindJobType}
	if !plain.Has(spi.CapabilityExecute) || plain.Has(spi.CapabilityDataflow) {
		t.Error("a job type without capabilities has execute and nothing else")
	}
	flow := spi.Descriptor{Kind: spi.KindJobType, Capabilities: []string{spi.CapabilityDataflow}}
	if flow.Has(spi.CapabilityExecute) || !flow.Has(spi.CapabilityDataflow) {
		t.Error("a job type has the capabilities that it names and no other")
	}
}

func TestLevelsAreRoundedDown(t *testing.T) {
	t.Parallel()
	for level, want := range map[spi.Level]spi.Level{-100: -4, -4: -4, -1: -4, 0: 0, 3: 0, 4: 4, 7: 4, 8: 8, 100: 8} {
		if got := level.Round(); got != want {
			t.Errorf("Level(%d).Round() = %d, want %d", level, got, want)
		}
	}
}
