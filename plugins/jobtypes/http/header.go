package httpjob

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/ops"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// contextField is the header field that holds the sharding context, as
// ElasticJob writes it.
const contextField = "shardingContext"

// field is a header field of the job.
type field struct {
	name  string // in canonical form
	value template
}

// parseFields reads the header fields of a job.
func parseFields(values props.Values) ([]field, error) {
	var fields []field
	for _, property := range slices.Sorted(maps.Keys(values)) {
		given, ours := strings.CutPrefix(property, prefixHeaders)
		if !ours {
			continue
		}
		if !isToken(given) {
			return nil, invalid(property, "does not end in the name of a header field")
		}
		name := http.CanonicalHeaderKey(given)
		if slices.ContainsFunc(fields, func(f field) bool { return f.name == name }) {
			return nil, invalid(property, "is the header field "+name+", which is given twice")
		}
		if by := setBy(name); by != "" {
			return nil, invalid(property, "cannot be given: "+by)
		}
		value, err := parseTemplate(values[property])
		if err != nil {
			return nil, invalid(property, err.Error())
		}
		if !isFieldValue(values[property]) {
			return nil, invalid(property, "holds control characters")
		}
		fields = append(fields, field{name: name, value: value})
	}
	return fields, nil
}

// setBy says who sets a header field that a job cannot set, "" for all others.
func setBy(canonical string) string {
	switch canonical {
	case http.CanonicalHeaderKey(contextField):
		return "it holds the sharding context"
	case "Content-Type":
		return "use " + PropContentType
	case "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", "Expect", "Http2-Settings", "Accept-Encoding":
		return "it is about the connection"
	}
	if strings.HasPrefix(canonical, "Proxy-") {
		return "it is about the connection"
	}
	return ""
}

// isToken says whether a text is a token of RFC 9110, section 5.6.2.
func isToken(text string) bool {
	for _, c := range []byte(text) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return text != ""
}

// isFieldValue says whether a text can be the value of a header field: with a
// line break it would be two.
func isFieldValue(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// header returns the header for an item, and the host if the job gives one. A
// user in the address becomes a field, as redirects treat fields with care.
func (j *job) header(c spi.ShardingContext, values []string, user *url.Userinfo) (header http.Header, host string, err error) {
	header = http.Header{"User-Agent": {"elasticjob"}}
	if user != nil {
		password, _ := user.Password()
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if j.contentType != "" {
		header.Set("Content-Type", j.contentType)
	}
	for _, f := range j.fields {
		value := f.value.expand(values, asIs)
		switch {
		case !isFieldValue(value):
			return nil, "", spi.NewError(spi.CodeFailed, "the header field "+strconv.Quote(f.name)+" of this item would hold control characters")
		case f.name == "Host":
			host = value
		default:
			header.Set(f.name, value)
		}
	}
	// Properties may be secrets, and a server would refuse a long field.
	c.Props, c.Checkpoint = nil, nil
	header[contextField] = []string{escapeASCII(ops.ContextJSON(c))}
	return header, host, nil
}

// isHarmless says whether a header field may go to another origin than the
// job's: it is none that could be a credential or tell of the job.
func isHarmless(canonical string) bool {
	switch canonical {
	case "Accept", "Accept-Language", "Content-Type", "User-Agent":
		return true
	default:
		return false
	}
}
