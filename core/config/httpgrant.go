package config

import (
	"errors"
)

// checkHTTPGrant seam.
func checkHTTPGrant(text string) error {
	if text == "" {
		return errors.New("empty")
	}
	return nil
}
