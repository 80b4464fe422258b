package httpjob

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// clip shortens text to at most most bytes, with a mark.
func clip(text string, most int) string {
	const mark = "…"
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len(mark)], "") + mark
}

// quote returns the beginning of a body as it may stand in a message.
func quote(body []byte, secrets []string) string {
	text := string(body)
	if len(text) > maxShown {
		text = withoutPart(text[:maxShown], secrets) + "…"
	}
	return clip(hide(harmless(text), secrets), maxShown)
}

// withoutPart leaves out what a text that was cut has of a secret at its end.
func withoutPart(text string, secrets []string) string {
	end := len(text)
	for _, secret := range secrets {
		for n := min(len(secret)-1, len(text)); n > 0; n-- {
			if strings.HasSuffix(text, secret[:n]) {
				end = min(end, len(text)-n)
				break
			}
		}
	}
	return text[:end]
}

// harmless returns text as one line: what a terminal or a reader of logs could
// mistake for something else becomes a space.
func harmless(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return strings.Join(strings.Fields(text), " ")
}

// secrets are what a server may repeat of a request and no message shows: the
// values of header fields that the job gives as they are, and of the query.
func (j *job) secrets(address *url.URL, header http.Header) []string {
	var secrets []string
	if authorization := header.Get("Authorization"); authorization != "" {
		secrets = append(secrets, authorization)
	}
	for _, f := range j.fields {
		if f.value.isConstant() {
			secrets = append(secrets, header.Get(f.name))
		}
	}
	for _, secret := range secrets {
		if _, token, found := strings.Cut(secret, " "); found {
			secrets = append(secrets, token)
		}
	}
	if _, password, ok := (&http.Request{Header: header}).BasicAuth(); ok {
		secrets = append(secrets, password)
	}
	for pair := range strings.SplitSeq(address.RawQuery, "&") {
		_, value, _ := strings.Cut(pair, "=")
		secrets = append(secrets, value)
		if plain, err := url.QueryUnescape(value); err == nil {
			secrets = append(secrets, plain)
		}
	}
	// The longest first: what is part of another must not leave its rest.
	slices.SortStableFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	return secrets
}

// hide keeps secrets out of a text that somebody else has written.
func hide(text string, secrets []string) string {
	const shortest = 6 // shorter ones are words and numbers of any text
	for _, secret := range secrets {
		if len(secret) >= shortest {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return text
}
