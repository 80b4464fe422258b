package job

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"time"
)

// definition is Config as JSON: the same keys, durations and instants as text.
type definition struct {
	plain
	Every             string `json:"every,omitempty"`
	At                string `json:"at,omitempty"`
	Timeout           string `json:"timeout,omitempty"`
	RetryBackoff      string `json:"retryBackoff,omitempty"`
	ConcurrencyPolicy string `json:"concurrencyPolicy,omitempty"`
	OnLeaseLoss       string `json:"onLeaseLoss,omitempty"`
}

// plain has the fields of Config without its methods; those that definition
// names again are hidden by it.
type plain Config

// Encode returns the JSON of a definition, as the registry keeps it. Equal
// definitions give equal bytes: keys have a fixed order, props are sorted, At is
// in UTC. The error says that the definition is larger than MaxDefinitionSize or
// holds an instant that RFC 3339 cannot write. What is new since the first version
// and has its default is left out, so that definitions stay as they were stored.
func Encode(c Config) ([]byte, error) {
	d := definition{plain: plain(c)}
	if c.Every != 0 {
		d.Every = c.Every.String()
	}
	if c.Timeout != 0 {
		d.Timeout = c.Timeout.String()
	}
	if c.RetryBackoff != DefaultRetryBackoff {
		d.RetryBackoff = c.RetryBackoff.String()
	}
	if c.ConcurrencyPolicy != DefaultConcurrencyPolicy {
		d.ConcurrencyPolicy = c.ConcurrencyPolicy
	}
	if c.OnLeaseLoss != DefaultOnLeaseLoss {
		d.OnLeaseLoss = c.OnLeaseLoss
	}
	if !c.At.IsZero() {
		at := c.At.UTC()
		if at.Year() < 0 || at.Year() > 9999 {
			return nil, fmt.Errorf("encoding job %q: the year of at is %d", c.Name, at.Year())
		}
		d.At = at.Format(time.RFC3339Nano)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		return nil, fmt.Errorf("encoding job %q: %w", c.Name, err)
	}
	data := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	if len(data) > MaxDefinitionSize {
		return nil, fmt.Errorf("encoding job %q: %w", c.Name, sizeError(len(data)))
	}
	return data, nil
}

// Decode reads what Encode wrote. Keys that are absent have their defaults.
// Refused are: more than MaxDefinitionSize bytes, keys that this version does
// not know or that are there twice or in other case, null, values of the wrong
// type, and anything after the object. Decode does not validate: an old
// definition may break a new rule, and the caller decides what that means.
func Decode(data []byte) (Config, error) {
	var c Config
	if err := c.decode(data); err != nil {
		return Config{}, fmt.Errorf("decoding a job definition: %w", err)
	}
	return c, nil
}

// MarshalJSON returns what Encode returns.
func (c Config) MarshalJSON() ([]byte, error) { return Encode(c) }

// UnmarshalJSON sets c to what Decode returns.
func (c *Config) UnmarshalJSON(data []byte) error {
	decoded, err := Decode(data)
	if err != nil {
		return err
	}
	*c = decoded
	return nil
}

func (c *Config) decode(data []byte) error {
	if len(data) > MaxDefinitionSize {
		return sizeError(len(data))
	}
	if err := checkKeys(data); err != nil {
		return err
	}
	d := definition{plain: plain(Defaults(""))}
	d.ErrorHandlerTypes = nil
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the object")
	}
	decoded := Config(d.plain)
	if decoded.ErrorHandlerTypes == nil {
		decoded.ErrorHandlerTypes = []string{DefaultErrorHandlerType}
	}
	for i, d := range decoded.DependsOn {
		if d.On == "" {
			decoded.DependsOn[i].On = OnSuccess
		}
	}
	if len(decoded.DependsOn) == 0 {
		decoded.DependsOn = nil // as if the key were absent
	}
	if len(decoded.ListenerTypes) == 0 {
		decoded.ListenerTypes = nil // as if the key were absent
	}
	var err error
	if d.Every != "" {
		if decoded.Every, err = time.ParseDuration(d.Every); err != nil {
			return fmt.Errorf("reading every: %w", err)
		}
	}
	if d.Timeout != "" {
		if decoded.Timeout, err = time.ParseDuration(d.Timeout); err != nil {
			return fmt.Errorf("reading timeout: %w", err)
		}
	}
	if d.RetryBackoff != "" {
		if decoded.RetryBackoff, err = time.ParseDuration(d.RetryBackoff); err != nil {
			return fmt.Errorf("reading retryBackoff: %w", err)
		}
	}
	if d.ConcurrencyPolicy != "" {
		decoded.ConcurrencyPolicy = d.ConcurrencyPolicy
	}
	if d.OnLeaseLoss != "" {
		decoded.OnLeaseLoss = d.OnLeaseLoss
	}
	if d.At != "" {
		if decoded.At, err = time.Parse(time.RFC3339, d.At); err != nil {
			return fmt.Errorf("reading at: %w", err)
		}
		decoded.At = decoded.At.UTC()
	}
	*c = decoded
	return nil
}

// checkKeys refuses what encoding/json lets pass: keys given twice, keys in
// other case, and null, each of which would drop or alter a setting silently.
func checkKeys(data []byte) error {
	known := map[string]bool{}
	for field := range reflect.TypeFor[Config]().Fields() {
		known[jsonName(field)] = true
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if first, err := dec.Token(); err != nil {
		return err
	} else if first != json.Delim('{') {
		return errors.New("it is not a JSON object")
	}
	return eachKey(dec, func(key string) error {
		if !known[key] {
			return fmt.Errorf("unknown key %s", quote(key))
		}
		value, err := dec.Token()
		switch {
		case err != nil:
			return err
		case value == nil:
			return fmt.Errorf("%s is null", key)
		case value == json.Delim('{'):
			return eachText(dec, key)
		case value == json.Delim('['):
			for dec.More() {
				if err := checkElement(dec, key); err != nil {
					return err
				}
			}
			_, err = dec.Token()
		}
		return err
	})
}

// checkElement reads an element of a list, which is text or, of dependsOn, an object.
func checkElement(dec *json.Decoder, key string) error {
	value, err := dec.Token()
	if err != nil {
		return err
	}
	if value == json.Delim('{') && key == "dependsOn" {
		return eachText(dec, key)
	}
	if _, text := value.(string); !text {
		return fmt.Errorf("an element of %s is not text", key)
	}
	return nil
}

// eachText reads the rest of an object whose values are text.
func eachText(dec *json.Decoder, key string) error {
	return eachKey(dec, func(name string) error {
		if value, err := dec.Token(); err != nil {
			return err
		} else if _, text := value.(string); !text {
			return fmt.Errorf("%s of %s is not text", quote(name), key)
		}
		return nil
	})
}

// eachKey calls read for every key of the object that dec stands in, and leaves
// the object. read consumes the value.
func eachKey(dec *json.Decoder, read func(key string) error) error {
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		if seen[key] {
			return fmt.Errorf("key %s is given twice", quote(key))
		}
		seen[key] = true
		if err := read(key); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

func sizeError(size int) error {
	return fmt.Errorf("%d bytes are more than the %d of a definition", size, MaxDefinitionSize)
}
