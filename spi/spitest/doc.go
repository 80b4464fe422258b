// Package spitest is the conformance suite of the SPI: it holds that a plugin
// behaves the same wherever it runs.
//
// There is one table of calls for each kind of plugin, and one that all kinds
// share: errors, panics, the log, host operations, cancellation. [Run] makes
// all these calls to the plugins of package subject, as a host has loaded them,
// and compares results, error codes, messages, log records and host operations
// with those of the table. Where hosts cannot agree by their nature, the
// difference is listed with its reason in one place, differences.go; what is
// not in that list is the same everywhere.
//
// A host that passes:
//
//	func TestConformance(t *testing.T) {
//		bundle := load(t, "the program of testdata/plugin, built for the host")
//		spitest.Run(t, spitest.Host{Kind: bundle.Provenance.Host, Plugins: bundle.Plugins})
//	}
//
// [Contract] is for any plugin: what it owes its host whatever it does. The
// built-in ones are held to it.
//
// Calls are made as the engine makes them: a panic of a built-in plugin is
// caught, errors become an [*spi.Error], texts are bounded.
package spitest
