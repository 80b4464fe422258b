package config

import (
	"net/netip"
	"regexp"
	"strings"
)

// PrefersIP says whether an address, as net/netip writes it, is one that
// PreferredNetworkIP chooses. Without a preference every address is. The
// preference must be one that Validate finds nothing wrong with.
func (i Instance) PrefersIP(address string) bool {
	if i.PreferredNetworkIP == "" {
		return true
	}
	preferred, err := compileIP(i.PreferredNetworkIP)
	return err == nil && preferred.MatchString(address)
}

// compileIP returns the expression that a preference stands for. ElasticJob has
// prefixes and regular expressions; a text that could be either is taken for
// what its characters say: a whole address is itself, other digits, dots and
// colons are a prefix, with * a pattern, and anything else is an expression.
func compileIP(preferred string) (*regexp.Regexp, error) {
	if strings.Trim(preferred, "0123456789abcdefABCDEF.:*") != "" {
		return regexp.Compile("^(?:" + preferred + ")$")
	}
	if address, err := netip.ParseAddr(preferred); err == nil {
		return regexp.Compile("^" + regexp.QuoteMeta(address.String()) + "$")
	}
	pattern := strings.ReplaceAll(regexp.QuoteMeta(preferred), `\*`, ".*")
	if !strings.Contains(preferred, "*") {
		pattern += ".*"
	}
	return regexp.Compile("(?i)^" + pattern + "$")
}
