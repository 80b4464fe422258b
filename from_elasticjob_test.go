//go:build unix

package elasticjob_test

import (
	"context"
	"strings"
	"testing"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/core/registry/redistest"
)

// foo is the class of the data in ElasticJob's manual.
type foo struct{ Name string }

// manualDataflow is the job of its chapter on Spring Boot.
func manualDataflow() elasticjob.Option {
	return elasticjob.WithDataflow("dataflowJob",
		func(_ context.Context, job *elasticjob.Job, _ string) ([]foo, string, error) {
			return []foo{{job.ShardingParameter}}, "", nil
		},
		func(_ context.Context, job *elasticjob.Job, data []foo) error {
			job.Info("processing " + data[0].Name)
			return nil
		})
}

// TestTheFileOfTheSpringBootChapterRuns takes the file of that chapter, with
// another regCenter and another class.
func TestTheFileOfTheSpringBootChapterRuns(t *testing.T) {
	t.Parallel()
	c := load(t, `elasticjob:
  regCenter:
    serverLists: `+redistest.Start(t).Addr()+`
    namespace: elasticjob-lite-springboot
    sessionTimeoutMilliseconds: 3000
  jobs:
    dataflowJob:
      elasticJobClass: DATAFLOW
      cron: 0/5 * * * * ?
      shardingTotalCount: 3
      shardingItemParameters: 0=Beijing,1=Shanghai,2=Guangzhou
    scriptJob:
      elasticJobType: SCRIPT
      cron: 0/10 * * * * ?
      shardingTotalCount: 3
      props:
        script.command.line: "echo SCRIPT Job: "
`)
	_, log := start(t, c, manualDataflow())
	for _, name := range []string{"dataflowJob", "scriptJob"} {
		if got := log.waitFor(t, "items assigned", name, 1)[0]["items"]; got != "0-2" {
			t.Errorf("the node has items %v of %s, want all three", got, name)
		}
	}
	for _, r := range log.waitFor(t, "item finished", "dataflowJob", 3) {
		if r["outcome"] != "success" || r["result"] != "batches: 1, data: 1" {
			t.Errorf("item %v of dataflowJob ended with %v %v (%v), want a success", r["item"], r["outcome"], r["result"], r["err"])
		}
	}
	// Nobody waits ten seconds for the other one.
	items, err := elasticjob.RunLocal(t.Context(), c, elasticjob.LocalRun{Job: "scriptJob"}, manualDataflow(), elasticjob.WithLogger(log.logger()))
	if err != nil || len(items) != 3 {
		t.Fatalf("RunLocal() = %+v, %v, want three items", items, err)
	}
	for _, item := range items {
		if item.Outcome != elasticjob.OutcomeSuccess {
			t.Errorf("item %d of scriptJob ended with %s: %v", item.Item, item.Outcome, item.Error)
		}
	}
	said := 0
	for _, r := range log.with(t, "plugin output", "scriptJob") {
		if line, _ := r["line"].(string); strings.HasPrefix(line, `SCRIPT Job: {"jobName":"scriptJob"`) {
			said++
		}
	}
	if said < 3 {
		t.Errorf("the script was heard %d times, want it once for each item, with its context", said)
	}
}

// TestTheHandlersOfTheSpringBootChapterAreTaken takes what that chapter says of
// error handlers, below the job that it is about.
func TestTheHandlersOfTheSpringBootChapterAreTaken(t *testing.T) {
	t.Parallel()
	for _, handler := range []string{"LOG", "THROW", "IGNORE", `EMAIL
      props:
        email:
          host: host
          port: 465
          username: username
          password: password
          useSsl: true
          subject: ElasticJob error message
          from: from@xxx.xx
          to: to1@xxx.xx,to2@xxx.xx
          cc: cc@xxx.xx
          bcc: bcc@xxx.xx
          debug: false`, `WECHAT
      props:
        wechat:
          webhook: https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=key
          connectTimeout: 3000
          readTimeout: 5000`, `DINGTALK
      props:
        dingtalk:
          webhook: https://oapi.dingtalk.com/robot/send?access_token=token
          keyword: you_keyword
          secret: you_secret
          connectTimeout: 3000
          readTimeout: 5000`} {
		name, _, _ := strings.Cut(handler, "\n")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := load(t, `elasticjob:
  jobs:
    dataflowJob:
      elasticJobClass: DATAFLOW
      cron: 0/5 * * * * ?
      shardingTotalCount: 3
      jobErrorHandlerType: `+handler+"\n")
			if problems := elasticjob.Lint(t.Context(), c, true, manualDataflow()); len(problems) > 0 {
				t.Errorf("Lint() = %v, want no problem", problems)
			}
		})
	}
}
