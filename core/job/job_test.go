package job_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/core/job"
)

// orders returns a definition without a problem, changed by change.
func orders(change func(*job.Config)) job.Config {
	c := job.Defaults("orders")
	c.Type, c.Cron, c.ShardingTotalCount = "ORDERS", "0/5 * * * * ?", 3
	if change != nil {
		change(&c)
	}
	return c
}

func TestParseItemParameters(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/item_parameters.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Input    string
		Expected map[int]string
		Error    string
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) == 0 {
		t.Fatal("no vectors")
	}
	for _, vector := range vectors {
		got, err := job.ParseItemParameters(vector.Input, 3)
		if (err != nil) != (vector.Error != "") {
			t.Errorf("ParseItemParameters(%q, 3) = %v, %v, want %v, error %q", vector.Input, got, err, vector.Expected, vector.Error)
			continue
		}
		if err == nil && !cmp.Equal(got, vector.Expected) {
			t.Errorf("ParseItemParameters(%q, 3) = %v, want %v", vector.Input, got, vector.Expected)
		}
	}
}

func TestParseItemParametersErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]string{ // text, part of the error
		"7=a":                    "no item 7 when shardingTotalCount is 3",
		"3=a":                    "no item 3",
		"0=a,":                   "empty pair",
		",":                      "empty pair",
		"=a":                     `"=a" is not item=value`,
		"0":                      `"0" is not item=value`,
		"0==a":                   "is not item=value",
		"1.5=a":                  "is not a whole number",
		"99999999999999999999=a": "is not a whole number",
		"0=a, 00=b":              "item 0 is given twice",
	}
	for text, want := range tests {
		got, err := job.ParseItemParameters(text, 3)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseItemParameters(%q, 3) = %v, %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	want := job.Config{
		Name: "orders", MonitorExecution: true, Misfire: true, RetryBackoff: time.Second, ConcurrencyPolicy: "SKIP", OnLeaseLoss: "cancel",
		MaxTimeDiffSeconds: -1, ReconcileIntervalMinutes: 10,
		ShardingStrategyType: "AVG_ALLOCATION", PoolType: "CPU", ErrorHandlerTypes: []string{"LOG"}, Props: map[string]string{},
	}
	if diff := cmp.Diff(want, job.Defaults("orders")); diff != "" {
		t.Errorf("Defaults(orders) differs (-want +got):\n%s", diff)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*job.Config)
		want   []string // field and rule of each problem
	}{
		{"sound", nil, nil},
		{"every", func(c *job.Config) { c.Cron, c.Every = "", 30*time.Second }, nil},
		{"at", func(c *job.Config) { c.Cron, c.At = "", time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) }, nil},
		{"zone by name", func(c *job.Config) { c.TimeZone = "Asia/Shanghai" }, nil},
		{"pool by number", func(c *job.Config) { c.PoolType = "12" }, nil},
		{"longest name", func(c *job.Config) { c.Name = strings.Repeat("n", 100) }, nil},
		{"most items", func(c *job.Config) { c.ShardingTotalCount = 10_000 }, nil},
		{"reconcile off as in ElasticJob", func(c *job.Config) { c.ReconcileIntervalMinutes = -1 }, nil},

		{"no name", func(c *job.Config) { c.Name = "" }, []string{"jobName required"}},
		{"name with a slash", func(c *job.Config) { c.Name = "a/b" }, []string{"jobName name"}},
		{"name too long", func(c *job.Config) { c.Name = strings.Repeat("n", 101) }, []string{"jobName name"}},
		{"name ends in a new line", func(c *job.Config) { c.Name = "a\n" }, []string{"jobName name"}},
		{"no type", func(c *job.Config) { c.Type = "" }, []string{"elasticJobType required"}},
		{"a class as type", func(c *job.Config) { c.Type = "org.example.MyJob" }, []string{"elasticJobType type"}},
		{"no items", func(c *job.Config) { c.ShardingTotalCount = 0 }, []string{"shardingTotalCount required"}},
		{"negative items", func(c *job.Config) { c.ShardingTotalCount = -1 }, []string{"shardingTotalCount range"}},
		{"too many items", func(c *job.Config) { c.ShardingTotalCount = 10_001 }, []string{"shardingTotalCount range"}},
		{"item out of range", func(c *job.Config) { c.ShardingItemParameters = "7=a" }, []string{"shardingItemParameters item-parameters"}},
		{"bad cron", func(c *job.Config) { c.Cron = "0 99 * * * ?" }, []string{"cron cron"}},
		{"bad cron and bad zone", func(c *job.Config) { c.Cron, c.TimeZone = "* * *", "Mars/Base" }, []string{"timeZone zone", "cron cron"}},
		{"cron and every", func(c *job.Config) { c.Every = time.Minute }, []string{"every schedule"}},
		{"all schedules", func(c *job.Config) { c.Every, c.At = time.Minute, time.Unix(0, 0) }, []string{"every schedule", "at schedule"}},
		{"no schedule", func(c *job.Config) { c.Cron = "" }, nil},
		{"every too short", func(c *job.Config) { c.Cron, c.Every = "", time.Nanosecond }, []string{"every range"}},
		{"every too long", func(c *job.Config) { c.Cron, c.Every = "", 2*job.MaxInterval }, []string{"every range"}},
		{"every negative", func(c *job.Config) { c.Cron, c.Every = "", -time.Minute }, []string{"every range"}},
		{"at before the epoch", func(c *job.Config) { c.Cron, c.At = "", time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC) }, []string{"at range"}},
		{"negative timeout", func(c *job.Config) { c.Timeout = -1 }, []string{"timeout range"}},
		{"timeout too long", func(c *job.Config) { c.Timeout = job.MaxInterval + 1 }, []string{"timeout range"}},
		{"retries below none", func(c *job.Config) { c.MaxRetries = -1 }, []string{"maxRetries range"}},
		{"too many retries", func(c *job.Config) { c.MaxRetries = 101 }, []string{"maxRetries range"}},
		{"no backoff", func(c *job.Config) { c.RetryBackoff = 0 }, []string{"retryBackoff range"}},
		{"backoff too long", func(c *job.Config) { c.RetryBackoff = job.MaxRetryPause + 1 }, []string{"retryBackoff range"}},
		{"concurrency policy", func(c *job.Config) { c.ConcurrencyPolicy = "cancel_running" }, []string{"concurrencyPolicy type"}},
		{"concurrency policy of nobody", func(c *job.Config) { c.ConcurrencyPolicy = "" }, []string{"concurrencyPolicy type"}},
		{"most retries", func(c *job.Config) { c.MaxRetries, c.RetryBackoff = job.MaxRetries, job.MaxRetryPause }, nil},
		{"a lost lease", func(c *job.Config) { c.OnLeaseLoss = "ignore" }, []string{"onLeaseLoss type"}},
		{"a lost lease and nobody", func(c *job.Config) { c.OnLeaseLoss = "" }, []string{"onLeaseLoss type"}},
		{"go on without a lease", func(c *job.Config) { c.OnLeaseLoss = job.LeaseLossContinue }, nil},
		{"cancel what runs", func(c *job.Config) { c.ConcurrencyPolicy = job.ConcurrencyCancelRunning }, nil},
		{"missed fires run once", func(c *job.Config) { c.MisfirePolicy = job.MisfireOnce }, nil},
		{"no missed fire runs", func(c *job.Config) { c.MisfirePolicy, c.Misfire = job.MisfireSkip, false }, nil},
		{"all missed fires run", func(c *job.Config) { c.MisfirePolicy, c.MisfireLimit = job.MisfireAll, 10_000 }, nil},
		{"misfire says otherwise", func(c *job.Config) { c.MisfirePolicy = job.MisfireSkip }, []string{"misfirePolicy conflict"}},
		{"misfire says otherwise of all", func(c *job.Config) { c.MisfirePolicy, c.Misfire = job.MisfireAll, false }, []string{"misfirePolicy conflict"}},
		{"all without marks", func(c *job.Config) { c.MisfirePolicy, c.MonitorExecution = job.MisfireAll, false }, []string{"misfirePolicy conflict"}},
		{"all that cancel each other", func(c *job.Config) {
			c.MisfirePolicy, c.ConcurrencyPolicy = job.MisfireAll, job.ConcurrencyCancelRunning
		}, []string{"misfirePolicy conflict"}},
		{"misfire policy", func(c *job.Config) { c.MisfirePolicy, c.MisfireLimit = "all", 3 }, []string{"misfirePolicy type"}},
		{"misfire limit", func(c *job.Config) { c.MisfirePolicy, c.MisfireLimit = job.MisfireAll, 10_001 }, []string{"misfireLimit range"}},
		{"misfire limit below none", func(c *job.Config) { c.MisfirePolicy, c.MisfireLimit = job.MisfireAll, -1 }, []string{"misfireLimit range"}},
		{"misfire limit of one", func(c *job.Config) { c.MisfireLimit = 5 }, []string{"misfireLimit conflict"}},
		{"clock difference", func(c *job.Config) { c.MaxTimeDiffSeconds = -2 }, []string{"maxTimeDiffSeconds range"}},
		{"reconcile interval", func(c *job.Config) { c.ReconcileIntervalMinutes = 1 << 30 }, []string{"reconcileIntervalMinutes range"}},
		{"strategy", func(c *job.Config) { c.ShardingStrategyType = "avg" }, []string{"jobShardingStrategyType type"}},
		{"pool of nobody", func(c *job.Config) { c.PoolType = "cpu" }, []string{"jobExecutorThreadPoolSizeProviderType type"}},
		{"pool of zero", func(c *job.Config) { c.PoolType = "0" }, []string{"jobExecutorThreadPoolSizeProviderType type"}},
		{"pool too large", func(c *job.Config) { c.PoolType = "10001" }, []string{"jobExecutorThreadPoolSizeProviderType type"}},
		{"pool with a zero in front", func(c *job.Config) { c.PoolType = "08" }, []string{"jobExecutorThreadPoolSizeProviderType type"}},
		{"no handler", func(c *job.Config) { c.ErrorHandlerTypes = nil }, []string{"jobErrorHandlerType range"}},
		{"handler twice", func(c *job.Config) { c.ErrorHandlerTypes = []string{"LOG", "LOG"} }, []string{"jobErrorHandlerType range"}},
		{"time-outs of listeners", func(c *job.Config) {
			c.StartedTimeoutMilliseconds, c.CompletedTimeoutMilliseconds = 1, 604_800_000
		}, nil},
		{"time-outs for ever as in ElasticJob", func(c *job.Config) {
			c.StartedTimeoutMilliseconds, c.CompletedTimeoutMilliseconds = -1, -1
		}, []string{"startedTimeoutMilliseconds range", "completedTimeoutMilliseconds range"}},
		{"time-outs too long", func(c *job.Config) {
			c.StartedTimeoutMilliseconds, c.CompletedTimeoutMilliseconds = 604_800_001, 604_800_001
		}, []string{"startedTimeoutMilliseconds range", "completedTimeoutMilliseconds range"}},
		{"listener twice", func(c *job.Config) { c.ListenerTypes = []string{"AUDIT", "AUDIT"} }, []string{"jobListenerTypes range"}},
		{"listener misspelt", func(c *job.Config) { c.ListenerTypes = []string{"audit"} }, []string{"jobListenerTypes type"}},
		{"too many listeners", func(c *job.Config) { c.ListenerTypes = slices.Repeat([]string{"A"}, 17) }, []string{"jobListenerTypes range"}},
		{"handler misspelt", func(c *job.Config) { c.ErrorHandlerTypes = []string{"LOG", "e-mail"} }, []string{"jobErrorHandlerType type"}},
		{"failover", func(c *job.Config) { c.Failover = true }, nil},
		{"failover without marks", func(c *job.Config) { c.Failover, c.MonitorExecution = true, false }, []string{"failover conflict"}},
		{"prop without a key", func(c *job.Config) { c.Props[""] = "x" }, []string{"props. name"}},
		{"prop key with a space", func(c *job.Config) { c.Props["a b"] = "x" }, []string{"props.a b name"}},
		{"prop too large", func(c *job.Config) { c.Props["a.b"] = strings.Repeat("x", 65537) }, []string{"props.a.b range"}},
		{"too many props", func(c *job.Config) {
			for i := range 1001 {
				c.Props[strings.Repeat("k", i%250+1)+string(rune('a'+i/250))] = ""
			}
		}, []string{"props range"}},
		{"definition too large", func(c *job.Config) { c.Description = strings.Repeat("x", job.MaxDefinitionSize) }, []string{" size"}},
		{"no UTF-8", func(c *job.Config) { c.JobParameter, c.Props["k"] = "\xff", "\xff" }, []string{"jobParameter type", "props.k type"}},
		{"everything at once", func(c *job.Config) {
			*c = job.Config{Name: "a b", Cron: "x", Every: 1, ShardingItemParameters: "0=a,0=b", Failover: true}
		}, []string{
			"jobName name", "elasticJobType required", "shardingTotalCount required", "retryBackoff range", "concurrencyPolicy type", "onLeaseLoss type",
			"jobShardingStrategyType required",
			"jobExecutorThreadPoolSizeProviderType required", "jobErrorHandlerType range", "every schedule", "cron cron", "every range",
			"shardingItemParameters item-parameters", "shardingItemParameters item-parameters", "failover conflict",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, p := range orders(test.change).Validate() {
				got = append(got, p.Field+" "+p.Rule)
				if p.Message == "" || strings.HasPrefix(p.Message, "breaks the rule") {
					t.Errorf("problem %+v has no sentence of ours", p)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Validate() differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProblemNamesRuleAndBound(t *testing.T) {
	t.Parallel()
	tests := []struct {
		change func(*job.Config)
		want   string
	}{
		{func(c *job.Config) { c.ShardingTotalCount = 10_001 }, "shardingTotalCount must be at most 10000, not \"10001\""},
		{func(c *job.Config) { c.Timeout = -time.Second }, "timeout must be more than 0 and at most 87600h, not \"-1s\""},
		{func(c *job.Config) { c.RetryBackoff = time.Microsecond }, "retryBackoff must be at least 1ms and at most 5m, not \"1µs\""},
		{func(c *job.Config) { c.ConcurrencyPolicy = "QUEUE" }, "concurrencyPolicy must be SKIP or CANCEL_RUNNING, not \"QUEUE\""},
		{func(c *job.Config) { c.OnLeaseLoss = "CONTINUE" }, "onLeaseLoss must be cancel or continue, not \"CONTINUE\""},
		{func(c *job.Config) { c.MisfirePolicy = "LAST" }, "misfirePolicy must be ONCE, SKIP or ALL, not \"LAST\""},
		{func(c *job.Config) { c.MisfirePolicy, c.MisfireLimit = job.MisfireAll, -3 }, "misfireLimit must be at least 0, not \"-3\""},
		{func(c *job.Config) { c.PoolType = "few" }, "jobExecutorThreadPoolSizeProviderType must be CPU, SINGLE_THREAD or a number from 1 to 10000, not \"few\""},
		{func(c *job.Config) { c.Every = time.Minute }, "every cannot be given together with cron: a job has at most one of cron, every and at"},
	}
	for _, test := range tests {
		problems := orders(test.change).Validate()
		if len(problems) != 1 || problems[0].String() != test.want {
			t.Errorf("Validate() = %v, want one problem %q", problems, test.want)
		}
	}
}

func TestEveryWrongPairIsReported(t *testing.T) {
	t.Parallel()
	got := orders(func(c *job.Config) { c.ShardingItemParameters = "7=a, x=b,0=é, 0=c,," }).Validate()
	want := []struct {
		column  int
		message string
	}{
		{1, "there is no item 7 when shardingTotalCount is 3: items count from 0"},
		{6, `"x" in "x=b" is not a whole number`},
		{15, "item 0 is given twice"},
		{19, `there is an empty pair in "7=a, x=b,0=é, 0=c,,"`},
		{20, `there is an empty pair in "7=a, x=b,0=é, 0=c,,"`},
	}
	if len(got) != len(want) {
		t.Fatalf("Validate() = %v, want %d problems", got, len(want))
	}
	for i, w := range want {
		if message := "must be item=value pairs such as 0=A,1=B: " + w.message; got[i].Column != w.column || got[i].Message != message {
			t.Errorf("Validate()[%d] = %d, %q, want %d, %q", i, got[i].Column, got[i].Message, w.column, message)
		}
	}
	_, err := job.ParseItemParameters("7=a,x=b", 3)
	if want := want[0].message + `; ` + want[1].message; err == nil || err.Error() != want {
		t.Errorf("ParseItemParameters() = %v, want %q", err, want)
	}
}

func TestCronProblemHasColumn(t *testing.T) {
	t.Parallel()
	problems := orders(func(c *job.Config) { c.Cron = "0 99 * * * ?" }).Validate()
	if len(problems) != 1 || problems[0].Column != 3 {
		t.Errorf("Validate() = %+v, want one problem in column 3", problems)
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	at := start.Add(time.Hour)
	shanghai := time.FixedZone("", 8*3600)
	tests := []struct {
		name   string
		change func(*job.Config)
		zone   *time.Location
		want   time.Time
	}{
		{"every", func(c *job.Config) { c.Cron, c.Every = "", 90*time.Second }, nil, start.Add(90 * time.Second)},
		{"at", func(c *job.Config) { c.Cron, c.At = "", at }, nil, at},
		{"one-off", func(c *job.Config) { c.Cron = "" }, nil, time.Time{}},
		{"cron in the zone of the caller", func(c *job.Config) { c.Cron = "0 0 9 * * ?" }, shanghai, start.Add(time.Hour)},
		{"cron in its own zone", func(c *job.Config) { c.Cron, c.TimeZone = "0 0 9 * * ?", "GMT+8" }, nil, start.Add(time.Hour)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			schedule, err := orders(test.change).Schedule(test.zone)
			if err != nil {
				t.Fatal(err)
			}
			if got := schedule.Next(start); !got.Equal(test.want) {
				t.Errorf("Next(%v) = %v, want %v", start, got, test.want)
			}
		})
	}
	for name, change := range map[string]func(*job.Config){
		"no zone":     func(*job.Config) {},
		"bad zone":    func(c *job.Config) { c.TimeZone = "Mars/Base" },
		"bad cron":    func(c *job.Config) { c.Cron, c.TimeZone = "x", "UTC" },
		"short every": func(c *job.Config) { c.Cron, c.Every = "", 1 },
	} {
		if got, err := orders(change).Schedule(nil); err == nil {
			t.Errorf("%s: Schedule(nil) = %v, want an error", name, got)
		}
	}
}

func TestRetryPauseDoublesToItsBound(t *testing.T) {
	t.Parallel()
	c := job.Config{RetryBackoff: 70 * time.Second}
	for i, want := range []time.Duration{70 * time.Second, 140 * time.Second, 280 * time.Second, job.MaxRetryPause, job.MaxRetryPause} {
		if got := c.RetryPause(i + 1); got != want {
			t.Errorf("RetryPause(%d) = %v, want %v", i+1, got, want)
		}
	}
	if got := c.RetryPause(job.MaxRetries); got != job.MaxRetryPause {
		t.Errorf("RetryPause(%d) = %v, want %v", job.MaxRetries, got, job.MaxRetryPause)
	}
}

func TestValidateLeavesNothingOut(t *testing.T) {
	t.Parallel()
	// Every rule in the tags must have words of ours: an unknown tag would show as "breaks the rule".
	c := job.Config{Timeout: -1, MaxTimeDiffSeconds: -5, ReconcileIntervalMinutes: -5, ErrorHandlerTypes: slices.Repeat([]string{"LOG"}, 17)}
	for _, p := range c.Validate() {
		if strings.HasPrefix(p.Message, "breaks the rule") {
			t.Errorf("problem %+v has no sentence of ours", p)
		}
	}
}

func TestTimeoutsOfListeners(t *testing.T) {
	t.Parallel()
	c := job.Defaults("orders")
	if got, want := [2]time.Duration{c.StartedTimeout(), c.CompletedTimeout()}, [2]time.Duration{job.DefaultStartedTimeout, job.DefaultCompletedTimeout}; got != want {
		t.Errorf("time-outs by default = %v, want %v", got, want)
	}
	c.StartedTimeoutMilliseconds, c.CompletedTimeoutMilliseconds = 1500, 2
	if got, want := [2]time.Duration{c.StartedTimeout(), c.CompletedTimeout()}, [2]time.Duration{1500 * time.Millisecond, 2 * time.Millisecond}; got != want {
		t.Errorf("time-outs = %v, want %v", got, want)
	}
}
