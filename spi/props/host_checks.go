//go:build !wasip1

package props

import (
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"strconv"
)

func checkPattern(pattern string) error {
	if pattern == "" {
		return nil
	}
	if _, err := regexp.Compile(anchored(pattern)); err != nil {
		return errors.New("pattern " + strconv.Quote(clip(pattern)) + " is not a regular expression")
	}
	return nil
}

func matchesPattern(pattern, value string) bool {
	re, err := regexp.Compile(anchored(pattern))
	return err == nil && re.MatchString(value)
}

func anchored(pattern string) string { return `^(?:` + pattern + `)$` }

func checkURL(value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return errors.New("is not an absolute URL")
	}
	return nil
}

// jsonSchemaProperty is the part of JSON Schema draft 2020-12 that describes a
// property. All values are strings, as they are on the wire.
type jsonSchemaProperty struct {
	Type        string   `json:"type"`
	Format      string   `json:"format,omitempty"`
	Description string   `json:"description"`
	Default     string   `json:"default,omitempty"`
	Enum        []string `json:"enum,omitempty"`
	Pattern     string   `json:"pattern,omitempty"`
	Examples    []string `json:"examples,omitempty"`
	Minimum     string   `json:"x-minimum,omitempty"`
	Maximum     string   `json:"x-maximum,omitempty"`
	WriteOnly   bool     `json:"writeOnly,omitempty"`
	Deprecated  bool     `json:"deprecated,omitempty"`
}

// JSONSchema returns the schema as a JSON Schema object.
func (s Schema) JSONSchema() ([]byte, error) {
	properties := make(map[string]jsonSchemaProperty, len(s))
	patterns := make(map[string]jsonSchemaProperty)
	required := []string{}
	for _, f := range s {
		p := jsonSchemaProperty{
			Type: "string", Description: f.Description, Default: f.Default, Enum: f.Enum,
			Minimum: f.Min, Maximum: f.Max, WriteOnly: f.Secret, Deprecated: f.Deprecated != "",
		}
		if f.Pattern != "" {
			p.Pattern = anchored(f.Pattern)
		}
		if f.Example != "" {
			p.Examples = []string{f.Example}
		}
		if f.Type != String {
			p.Format = string(f.Type)
		}
		if n := len(f.Name); f.Name[n-1] == '*' {
			patterns["^"+regexp.QuoteMeta(f.Name[:n-1])] = p
			continue
		}
		properties[f.Name] = p
		if f.Required {
			required = append(required, f.Name)
		}
	}
	schema := map[string]any{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"type":                 "object",
		"properties":           properties,
		"required":             required,
		"additionalProperties": false,
	}
	if len(patterns) > 0 {
		schema["patternProperties"] = patterns
	}
	return json.Marshal(schema)
}
