// A module in C with a job type and an error handler, written with the header
// of the sdk.

#include "elasticjob.h"

// The job counts the primes of its part of the numbers up to "limit": of four
// items, item 0 looks at 0, 4, 8…, item 1 at 1, 5, 9…. A checkpoint lets
// a later attempt go on where this one has stopped, once nodes hand it on:
// see ej_save_checkpoint.

typedef struct {
  int64_t next, found;
} progress;

static bool is_prime(int64_t n) {
  if (n < 2) return false;
  for (int64_t d = 2; d * d <= n; d++) {
    if (n % d == 0) return false;
  }
  return true;
}

static int count_primes(ej_call *call) {
  int64_t item = ej_int(ej_get(call->context, "shardingItem"), 0);
  int64_t total = ej_int(ej_get(call->context, "shardingTotalCount"), 1);
  int64_t limit = ej_int(ej_get(call->props, "limit"), 0);

  progress at = {.next = item};
  size_t size;
  const unsigned char *saved = ej_checkpoint(call, &size);
  if (saved != NULL && size == sizeof at) {
    memcpy(&at, saved, sizeof at);
    ej_log(EJ_INFO, "going on at %lld", (long long)at.next);
  }

  for (int64_t steps = 1; at.next <= limit; steps++) {
    if (is_prime(at.next)) at.found++;
    at.next += total;
    if (steps % 10000 != 0) continue;
    const char *reason = ej_should_stop(call);
    if (ej_save_checkpoint(call, &at, sizeof at) != 0) return EJ_ERROR;
    if (reason != NULL) return ej_fail(call, EJ_FAILED, "stopped at %lld: %s", (long long)at.next, reason);
    if (ej_report_progress(call, at.next, limit, NULL) != 0) return EJ_ERROR;
  }
  return ej_result(call, "%lld primes", (long long)at.found);
}

// The handler stops a job after an error of one of the codes in "stop.codes",
// and lets it go on after all others.

static int stop_on_codes(ej_call *call) {
  int64_t code = ej_int(ej_get(ej_get(call->request, "error"), "code"), EJ_FAILED);
  const char *at = ej_text(ej_get(call->props, "stop.codes"));
  while (*at != 0) {
    char *end;
    long long listed = strtoll(at, &end, 10);
    if (end == at) {
      call->property = "stop.codes";
      return ej_fail(call, EJ_INVALID_PROPERTIES, "stop.codes holds %s, which is no number", at);
    }
    if (listed == code) {
      ej_log(EJ_WARN, "stopping %s after code %lld", ej_text(ej_get(call->context, "jobName")), listed);
      return ej_decide(call, true);
    }
    at = end + strspn(end, ", ");
  }
  return ej_decide(call, false);
}

static const ej_prop primes_props[] = {
  {.name = "limit", .type = "int", .description = "the largest number to look at", .default_value = "100000", .min = "1", .max = "100000000"},
  {0},
};

static const ej_prop stop_props[] = {
  {.name = "stop.codes", .type = "list", .description = "codes of errors that stop the job", .required = true, .example = "1001,1002"},
  {0},
};

static const ej_plugin plugins[] = {
  {
    .kind = EJ_JOB_TYPE,
    .type = "PRIMES",
    .version = "1.0.0",
    .description = "counts primes, each item its part of the numbers",
    .props = primes_props,
    .execute = count_primes,
  },
  {
    .kind = EJ_ERROR_HANDLER,
    .type = "STOP_ON_CODES",
    .version = "1.0.0",
    .description = "stops a job after errors of some codes",
    .props = stop_props,
    .handle_error = stop_on_codes,
  },
};

EJ_PLUGINS(plugins)
