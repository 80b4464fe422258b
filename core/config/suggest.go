package config

import "github.com/elasticjob-go/elasticjob/spi/props"

// Suggest returns the one of the known words that is most likely meant by what
// was written, and whether one is near enough; see [props.Suggest].
func Suggest(written string, known []string) (string, bool) { return props.Suggest(written, known) }
