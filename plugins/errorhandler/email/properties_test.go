package email_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/email"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

func least(more ...string) map[string]string {
	p := map[string]string{
		email.PropHost: "smtp.example.com", email.PropPort: "465", email.PropFrom: "jobs@example.com", email.PropTo: "ann@example.com",
	}
	for i := 0; i < len(more); i += 2 {
		p[more[i]] = more[i+1]
	}
	return p
}

func TestTheDescriptorIsSound(t *testing.T) {
	t.Parallel()
	if err := email.Plugin().Check(); err != nil {
		t.Errorf("Check() = %v, want nil", err)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	values, problems := email.Plugin().Descriptor.Props.Resolve(least())
	if len(problems) > 0 {
		t.Fatalf("Resolve() = %v, want no problems", problems)
	}
	for name, want := range map[string]string{
		email.PropUseSSL: "true", email.PropSubject: "ElasticJob error message", email.PropDebug: "false", email.PropStartTLS: "auto",
	} {
		if values[name] != want {
			t.Errorf("%s is %q, want %q", name, values[name], want)
		}
	}
}

func TestTheSchemaRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, value, rule string }{
		{email.PropHost, "", "required"},
		{email.PropPort, "smtp", "type"},
		{email.PropPort, "0", "min"},
		{email.PropPort, "65536", "max"},
		{email.PropFrom, "", "required"},
		{email.PropTo, "", "required"},
		{email.PropUseSSL, "yes", "type"},
		{email.PropStartTLS, "sometimes", "enum"},
		{"email.tls", "true", "unknown-property"},
	}
	for _, test := range tests {
		_, problems := email.Plugin().Descriptor.Props.Resolve(least(test.name, test.value))
		if !slices.ContainsFunc(problems, func(p props.Problem) bool { return p.Property == test.name && p.Rule == test.rule }) {
			t.Errorf("Resolve(%s=%q) = %v, want rule %s", test.name, test.value, problems, test.rule)
		}
	}
}

func TestTheConstructorRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, value, property string }{
		{email.PropFrom, "nobody", email.PropFrom},
		{email.PropFrom, "ann@example.com, bob@example.com", email.PropFrom},
		{email.PropTo, ",", email.PropTo},
		{email.PropTo, "ann@example.com, @example.com", email.PropTo},
		{email.PropTo, "ann@example.com\r\nBcc: eve@example.com", email.PropTo},
		{email.PropCc, "bob", email.PropCc},
		{email.PropBcc, "bob@", email.PropBcc},
		{email.PropPassword, "hunter2", email.PropUsername},
	}
	for _, test := range tests {
		values, problems := email.Plugin().Descriptor.Props.Resolve(least(test.name, test.value))
		if len(problems) > 0 {
			t.Errorf("Resolve(%s=%q) = %v, want no problems", test.name, test.value, problems)
		}
		_, err := email.Plugin().ErrorHandler(t.Context(), values)
		if e, ok := errors.AsType[*spi.Error](err); !ok || e.Code != spi.CodeInvalidProperties || e.Property != test.property {
			t.Errorf("ErrorHandler(%s=%q) fails with %+v, want it to refuse %s", test.name, test.value, err, test.property)
		}
	}
}
