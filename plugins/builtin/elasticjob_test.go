package builtin_test

import (
	"slices"
	"testing"

	"github.com/elasticjob-go/elasticjob/core/config"
	"github.com/elasticjob-go/elasticjob/plugins/builtin"
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// handlersAsInTheManual has every property of ElasticJob's error handlers, as
// the chapters of its manual on Spring Boot and on the Spring namespace write
// them: nested or dotted, and the time-outs by both names.
const handlersAsInTheManual = `
elasticjob:
  jobs:
    mailed:
      elasticJobType: FAKE
      cron: 0 0 2 * * ?
      timeZone: GMT+8
      shardingTotalCount: 1
      jobErrorHandlerType: EMAIL
      props:
        email:
          host: smtp.example.com
          port: 465
          username: jobs
          password: hunter2
          useSsl: true
          ssl.trust: smtp.example.com
          subject: ElasticJob error message
          from: jobs@example.com
          to: ann@example.com,bob@example.com
          cc: cid@example.com
          bcc: dan@example.com
          debug: false
    told:
      elasticJobType: FAKE
      every: 1h
      shardingTotalCount: 1
      jobErrorHandlerType: WECHAT
      props:
        wechat:
          webhook: https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=none
          connectTimeout: 3000
          readTimeout: 5000
    toldAsInXML:
      elasticJobType: FAKE
      every: 1h
      shardingTotalCount: 1
      jobErrorHandlerType: WECHAT
      props:
        wechat.webhook: https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=none
        wechat.connectTimeoutMilliseconds: 3000
        wechat.readTimeoutMilliseconds: 5000
    rung:
      elasticJobType: FAKE
      every: 1h
      shardingTotalCount: 1
      jobErrorHandlerType: DINGTALK
      props:
        dingtalk:
          webhook: https://oapi.dingtalk.com/robot/send?access_token=none
          keyword: jobs
          secret: SECnone
          connectTimeout: 3000
          readTimeout: 5000
    rungAsInXML:
      elasticJobType: FAKE
      every: 1h
      shardingTotalCount: 1
      jobErrorHandlerType: DINGTALK
      props:
        dingtalk.webhook: https://oapi.dingtalk.com/robot/send?access_token=none
        dingtalk.connectTimeoutMilliseconds: 3000
        dingtalk.readTimeoutMilliseconds: 5000
    all:
      elasticJobType: FAKE
      every: 1h
      shardingTotalCount: 1
      jobErrorHandlerType: LOG,THROW,IGNORE
`

func TestErrorHandlersTakeTheYAMLOfElasticJob(t *testing.T) {
	t.Parallel()
	file, problems := config.Parse("elasticjob.yaml", []byte(handlersAsInTheManual), func(string) (string, bool) { return "", false })
	if len(problems) > 0 {
		t.Fatalf("Parse() = %v, want no problems", problems)
	}
	handlers := make(map[string]spi.Plugin)
	for _, p := range builtin.All() {
		if p.Descriptor.Kind == spi.KindErrorHandler {
			handlers[p.Descriptor.Type] = p
		}
	}
	made := 0
	for _, job := range file.Jobs {
		var schema props.Schema
		for _, name := range job.ErrorHandlerTypes {
			schema = slices.Concat(schema, handlers[name].Descriptor.Props)
		}
		values, wrong := schema.Resolve(job.Props)
		if len(wrong) > 0 {
			t.Errorf("the properties of %s: %v, want no problems", job.Name, wrong)
		}
		for _, name := range job.ErrorHandlerTypes {
			if _, err := handlers[name].ErrorHandler(t.Context(), values); err != nil {
				t.Errorf("%s of %s cannot be made: %v", name, job.Name, err)
			}
			made++
		}
	}
	if made != 8 {
		t.Errorf("%d handlers were made, want 8", made)
	}
}
