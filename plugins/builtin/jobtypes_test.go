package builtin_test

import (
	"testing"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/spi"
)

// jobsAsInTheManual has every property of ElasticJob's typed jobs, as its manual
// and its examples write them.
const jobsAsInTheManual = `
elasticjob:
  jobs:
    scriptJob:
      elasticJobType: SCRIPT
      cron: 0/10 * * * * ?
      timeZone: GMT+8
      shardingTotalCount: 3
      props:
        script.command.line: "echo SCRIPT Job: "
    httpJob:
      elasticJobType: HTTP
      cron: 0/5 * * * * ?
      timeZone: GMT+8
      shardingTotalCount: 1
      shardingItemParameters: 0=Beijing
      props:
        http.uri: http://xxx.com/execute
        http.method: POST
        http.data: source=ejob
        http.content.type: application/x-www-form-urlencoded
        http.connect.timeout.milliseconds: 3000
        http.read.timeout.milliseconds: 5000
    httpJobByURL:
      elasticJobType: HTTP
      every: 1h
      shardingTotalCount: 1
      props:
        http:
          url: http://xxx.com/execute
          method: GET
`

func TestJobTypesTakeTheYAMLOfElasticJob(t *testing.T) {
	t.Parallel()
	file, problems := config.Parse("elasticjob.yaml", []byte(jobsAsInTheManual), func(string) (string, bool) { return "", false })
	if len(problems) > 0 {
		t.Fatalf("Parse() = %v, want no problems", problems)
	}
	types := make(map[string]spi.Plugin)
	for _, p := range builtin.All() {
		if p.Descriptor.Kind == spi.KindJobType {
			types[p.Descriptor.Type] = p
		}
	}
	for _, job := range file.Jobs {
		values, wrong := types[job.Type].Descriptor.Props.Resolve(job.Props)
		if len(wrong) > 0 {
			t.Errorf("the properties of %s: %v, want no problems", job.Name, wrong)
		}
		if _, err := types[job.Type].JobType(t.Context(), values); err != nil {
			t.Errorf("%s of %s cannot be made: %v", job.Type, job.Name, err)
		}
	}
	if len(file.Jobs) != 3 {
		t.Errorf("there are %d jobs, want 3", len(file.Jobs))
	}
}
