// The guest as a module that describes a plugin of every kind. Each export logs
// its request, and does what the property "do" of the request says.

#include "guest.c"

#define PLUGIN(kind, type, capabilities) \
  "{\"kind\":\"" kind "\",\"type\":\"" type "\",\"version\":\"1\",\"description\":\"does as told\",\"props\":[" \
  "{\"name\":\"do\",\"type\":\"string\",\"description\":\"what to do\",\"required\":false,\"secret\":false}],\"capabilities\":[" capabilities "]}"

EXPORT(elasticjob_describe) int32_t elasticjob_describe(void) {
  static const char text[] = "{\"plugins\":["
    PLUGIN("jobType", "PLAIN", "") ","
    PLUGIN("jobType", "FLOW", "\"dataflow\"") ","
    PLUGIN("jobType", "BOTH", "\"execute\",\"dataflow\"") ","
    PLUGIN("shardingStrategy", "SPREAD", "") ","
    PLUGIN("errorHandler", "HANDLE", "") ","
    PLUGIN("jobListener", "LISTEN", "\"distributeOnce\"") ","
    PLUGIN("tracingSink", "SINK", "") "]}";
  output_write(text, sizeof text - 1);
  return 0;
}

static int32_t told(void) {
  uint32_t n = input_read(input, sizeof input - 1);
  if (n >= sizeof input) return message("too long");
  input[n] = 0;
  calls++;
  host_log(0, input, n);
  member("do", parameter, sizeof parameter);
  return run(parameter);
}

EXPORT(elasticjob_fetch_data) int32_t elasticjob_fetch_data(void) { return told(); }
EXPORT(elasticjob_process_data) int32_t elasticjob_process_data(void) { return told(); }
EXPORT(elasticjob_shard) int32_t elasticjob_shard(void) { return told(); }
EXPORT(elasticjob_handle_error) int32_t elasticjob_handle_error(void) { return told(); }
EXPORT(elasticjob_before_job) int32_t elasticjob_before_job(void) { return told(); }
EXPORT(elasticjob_after_job) int32_t elasticjob_after_job(void) { return told(); }
EXPORT(elasticjob_trace) int32_t elasticjob_trace(void) { return told(); }
