// Package plugintest runs an author's plugin through the real hosts of
// elasticjob, as a process and as a WASM module, in the author's own go test.
//
//	func TestOrders(t *testing.T) {
//		plugintest.Each(t, ".", func(t *testing.T, h *plugintest.Host) {
//			services := h.Services(t)
//			job := h.JobType(t, "ORDERS", map[string]string{"batch.size": "2"})
//			response, err := job.Execute(t.Context(), spi.ExecuteRequest{Context: plugintest.Context(), Services: services})
//			…
//		})
//	}
//
// [Each] builds the main package of a directory twice, loads both, looks at what
// every plugin says of itself, and calls the function once for each host: a test
// that passes on both holds that a node's operator can choose either.
//
// No code of the plugin is called but what the test calls: the conformance checks
// of Each call plugins with contexts that have ended only, for which a host does
// not run any code. What a test calls with a sample, [WithSample], is compared
// between the hosts.
package plugintest
