// A module that uses everything of the header, for its tests.

#include "elasticjob.h"

// ECHO returns what it was given.
static int echo(ej_call *call) {
  size_t size;
  const unsigned char *checkpoint = ej_checkpoint(call, &size);
  ej_log(EJ_INFO, "first\nsecond");
  ej_log(EJ_SEVERE, "%s", "");
  return ej_result(call, "%s|%lld|%s|%lld|%lld|%s|%d|%.*s|%s|%zu", ej_text(ej_get(call->context, "jobName")),
                   (long long)ej_int(ej_get(call->context, "shardingItem"), -1), ej_text(ej_get(call->context, "shardingParameter")),
                   (long long)ej_int(ej_get(call->context, "fencingToken"), -1), (long long)ej_millis(ej_get(call->context, "fireTime"), -1),
                   ej_text(ej_get(call->props, "batch.size")), ej_bool(ej_get(call->props, "deep"), false), checkpoint == NULL ? 4 : (int)size,
                   checkpoint == NULL ? "none" : (const char *)checkpoint, ej_is_present(ej_get(call->context, "deadline")) ? "bounded" : "unbounded",
                   ej_count(call->props));
}

static void copy(ej_writer *w, const char *name, ej_value value, int depth) {
  size_t size;
  if (value.start == NULL || depth == 60) {
    ej_write_json(w, name, "null", 4);
  } else if (*value.start == '{' || *value.start == '[') {
    if (*value.start == '{') ej_open_object(w, name);
    else ej_open_list(w, name);
    for (ej_value v = ej_first(value); v.start != NULL; v = ej_next(v)) copy(w, *value.start == '{' ? ej_name(v) : NULL, v, depth + 1);
    ej_close(w);
  } else if (*value.start == '"') {
    const char *text = ej_sized_text(value, &size);
    ej_write_sized_text(w, name, text, size);
  } else {
    ej_write_value(w, name, value);
  }
}

// COPY reads its job parameter as JSON and logs it as written anew.
static int copies(ej_call *call) {
  size_t size;
  const char *text = ej_sized_text(ej_get(call->context, "jobParameter"), &size);
  ej_writer w = {0};
  copy(&w, NULL, ej_parse(text, size), 0);
  ej_log(EJ_INFO, "%.*s", (int)w.size, w.data);
  ej_discard(&w);
  return EJ_OK;
}

// LONG does what long jobs do all the time, and fails if that keeps memory.
static int lasts(ej_call *call) {
  char data[1024] = {0};
  for (int64_t i = 0; i < 10; i++) {
    void *before = ej_mark();
    if (ej_should_stop(call) != NULL || ej_save_checkpoint(call, data, sizeof data) != 0 || ej_report_progress(call, i, 10, "on") != 0) return EJ_ERROR;
    if (ej_bool(ej_get(call->context, "attempt"), true) && ej_millis(ej_get(call->context, "fireTime"), 0) < 0) return EJ_ERROR;
    ej_log(EJ_DEBUG, "round %lld", (long long)i);
    if (ej_mark() != before) return ej_fail(call, EJ_FAILED, "round %lld keeps memory", (long long)i);
    if (strlen(ej_text(ej_get(call->context, "jobName"))) == 0 || ej_mark() == before) return EJ_ERROR;
    ej_release(before);
    if (ej_mark() != before) return ej_fail(call, EJ_FAILED, "round %lld frees too little", (long long)i);
  }
  return EJ_OK;
}

// NUMBERS logs how the elements of its job parameter are read.
static int numbers(ej_call *call) {
  ej_value list = ej_parse(ej_text(ej_get(call->context, "jobParameter")), strlen(ej_text(ej_get(call->context, "jobParameter"))));
  for (ej_value v = ej_first(list); v.start != NULL; v = ej_next(v)) {
    ej_log(EJ_INFO, "%s %lld %d %lld", ej_text(v), (long long)ej_int(v, -1), ej_bool(v, false), (long long)ej_millis(v, -1));
  }
  return EJ_OK;
}

// OPERATES uses every operation of the host.
static int operates(ej_call *call) {
  const char *token = ej_secret(call, "token");
  if (token == NULL) return EJ_ERROR;
  const char *headers[] = {"Authorization", token, NULL};
  ej_http_request request = {.method = "POST", .url = "https://example.com/", .headers = headers, .body = "h\xC3\xA9llo", .body_size = 6, .timeout_millis = 1500};
  int status;
  size_t size;
  ej_value answers;
  const unsigned char *body;
  if (ej_http(call, &request, &status, &answers, &body, &size) != 0) return EJ_ERROR;
  if (ej_save_checkpoint(call, body, size) != 0) return EJ_ERROR;
  if (ej_report_progress(call, 1, 2, "half") != 0) return EJ_ERROR;
  const char *reason = ej_should_stop(call);
  return ej_result(call, "%d %s %.*s %s", status, ej_text(ej_first(ej_get(answers, "A"))), (int)size, (const char *)body, reason == NULL ? "goes on" : reason);
}

// FAILS fails as its job parameter says.
static int fails(ej_call *call) {
  const char *how = ej_text(ej_get(call->context, "jobParameter"));
  if (strcmp(how, "property") == 0) {
    call->property = "batch.size";
    return ej_fail(call, EJ_INVALID_PROPERTIES, "too large");
  }
  if (strcmp(how, "own") == 0) {
    call->retryable = 1;
    return ej_fail(call, 1001, "own \"code\" \xFF\x01");
  }
  if (strcmp(how, "host") == 0) return ej_fail(call, EJ_TIMEOUT, "late");
  if (strcmp(how, "memory") == 0) {
    for (;;) memset(ej_alloc(1 << 20), 1, 1 << 20);
  }
  if (strcmp(how, "huge") == 0) {
    size_t size = EJ_MAX_MESSAGE;
    char *text = (char *)ej_alloc(size);
    memset(text, 'x', size);
    ej_write_sized_text(&call->response, "message", text, size);
    return EJ_OK;
  }
  return EJ_ERROR;
}

// FLOW fetches two batches.
static int fetch(ej_call *call) {
  int64_t at = ej_int(ej_get(call->request, "cursor"), 0);
  ej_open_list(&call->response, "data");
  for (int64_t i = at; i < 3 && i < at + 2; i++) {
    ej_open_object(&call->response, NULL);
    ej_write_int(&call->response, "id", i);
    ej_write_bool(&call->response, "odd", i % 2 == 1);
    ej_close(&call->response);
  }
  ej_close(&call->response);
  if (at < 3) ej_write_text(&call->response, "cursor", ej_format("%lld", (long long)at + 2));
  return EJ_OK;
}

static int process(ej_call *call) {
  for (ej_value v = ej_first(ej_get(call->request, "data")); v.start != NULL; v = ej_next(v)) {
    ej_log(EJ_DEBUG, "processing %lld", (long long)ej_int(ej_get(v, "id"), -1));
  }
  return EJ_OK;
}

// FIRST gives every item to the first instance.
static int shard(ej_call *call) {
  ej_open_object(&call->response, "assignment");
  ej_open_list(&call->response, ej_text(ej_get(ej_first(ej_get(call->request, "instances")), "id")));
  for (ej_value v = ej_first(ej_get(call->request, "items")); v.start != NULL; v = ej_next(v)) {
    ej_write_value(&call->response, NULL, ej_get(v, "item"));
  }
  return EJ_OK; // what is open is closed
}

// STOPS stops after errors with a code of an author.
static int handle(ej_call *call) {
  return ej_decide(call, ej_int(ej_get(ej_get(call->request, "error"), "code"), 0) >= EJ_FIRST_AUTHOR_CODE);
}

// ONCE hears of the end of runs.
static int after(ej_call *call) {
  ej_value run = ej_get(call->request, "run");
  ej_log(EJ_WARN, "%s of %zu items, once %d", ej_text(ej_get(run, "jobName")), ej_count(ej_get(run, "items")), ej_bool(ej_get(call->request, "once"), false));
  return EJ_OK;
}

// SINK counts events.
static int trace(ej_call *call) {
  return ej_fail(call, EJ_UNAVAILABLE, "%zu events", ej_count(ej_get(call->request, "events")));
}

static const char *const depths[] = {"true", "false", NULL};
static const ej_prop props[] = {
  {.name = "batch.size", .type = "int", .description = "any", .default_value = "100", .min = "1", .max = "1000", .example = "10"},
  {.name = "deep", .type = "string", .description = "any", .default_value = "false", .choices = depths, .pattern = "[a-z]+", .deprecated = "use depth"},
  {.name = "token", .type = "string", .description = "any", .required = false, .secret = true},
  {0},
};
static const ej_want wants[] = {{.op = "http.request", .value = "example.com", .why = "to try it"}, {.op = "secret.get", .value = "token"}, {0}};

static const ej_plugin plugins[] = {
  {.kind = EJ_JOB_TYPE, .type = "ECHO", .version = "1.2.0", .description = "returns its \"context\"", .props = props, .wants = wants, .execute = echo},
  {.kind = EJ_JOB_TYPE, .type = "COPY", .execute = copies},
  {.kind = EJ_JOB_TYPE, .type = "NUMBERS", .execute = numbers},
  {.kind = EJ_JOB_TYPE, .type = "LONG", .execute = lasts},
  {.kind = EJ_JOB_TYPE, .type = "OPERATES", .execute = operates},
  {.kind = EJ_JOB_TYPE, .type = "FAILS", .execute = fails},
  {.kind = EJ_JOB_TYPE, .type = "FLOW", .fetch_data = fetch, .process_data = process},
  {.kind = EJ_SHARDING_STRATEGY, .type = "FIRST", .shard = shard},
  {.kind = EJ_ERROR_HANDLER, .type = "STOPS", .notify = true, .handle_error = handle},
  {.kind = EJ_JOB_LISTENER, .type = "ONCE", .distribute_once = true, .after_job = after},
  {.kind = EJ_TRACING_SINK, .type = "SINK", .trace = trace},
};

EJ_PLUGINS(plugins)
