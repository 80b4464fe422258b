package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/config"
)

// BenchmarkParse reads a file of 10,000 jobs.
func BenchmarkParse(b *testing.B) {
	var file strings.Builder
	file.WriteString("elasticjob:\n  jobs:\n")
	for i := range 10_000 {
		fmt.Fprintf(&file, "    job%d: {elasticJobType: FAKE, cron: 0/5 * * * * ?, timeZone: Asia/Shanghai, shardingTotalCount: 3, props: {a: x, b.c: 5}}\n", i)
	}
	data := []byte(file.String())
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if cfg, problems := config.Parse("n.yaml", data, environment); len(problems) > 0 || len(cfg.Jobs) != 10_000 {
			b.Fatal(problems)
		}
	}
}
