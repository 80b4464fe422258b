// A reactor that brings two job types. types.wasm is made of it:
//
//   clang-19 --target=wasm32-wasi -Os -s -mexec-model=reactor -o types.wasm types.c

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("elasticjob_v1"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

IMPORT(input_read) uint32_t input_read(void *ptr, uint32_t cap);
IMPORT(output_write) void output_write(const void *ptr, uint32_t len);
IMPORT(log) void host_log(int32_t level, const void *ptr, uint32_t len);
IMPORT(host_call) int32_t host_call(const void *op, uint32_t op_len, const void *req, uint32_t req_len);
IMPORT(host_read) uint32_t host_read(void *ptr, uint32_t cap);

static char input[1 << 14], answer[1 << 10], output[1 << 12];

static int has(const char *member) { return strstr(input, member) != NULL; }

static int write_output(const char *text, int result) {
  output_write(text, strlen(text));
  return result;
}

EXPORT(elasticjob_describe) int32_t describe(void) {
  return write_output(
      "{\"plugins\":[{\"kind\":\"jobType\",\"type\":\"CITY\",\"version\":\"1.2\",\"description\":\"Looks \\u001b[31mat a city.\","
      "\"props\":["
      "{\"name\":\"country\",\"type\":\"string\",\"description\":\"where it is\",\"required\":true,\"example\":\"CN\"},"
      "{\"name\":\"depth\",\"type\":\"int\",\"description\":\"how closely\",\"default\":\"2\",\"min\":\"1\",\"max\":\"9\"},"
      "{\"name\":\"mode\",\"type\":\"string\",\"description\":\"in which way\",\"default\":\"slow\",\"enum\":[\"slow\",\"fast\"]},"
      "{\"name\":\"key\",\"type\":\"string\",\"description\":\"what opens it\",\"secret\":true}],"
      "\"capabilities\":[\"execute\"],\"wants\":[{\"op\":\"http.request\",\"value\":\"api.example.com\",\"why\":\"to see it\"}]},"
      "{\"kind\":\"jobType\",\"type\":\"PING\",\"version\":\"\",\"description\":\"Answers.\",\"props\":[],\"capabilities\":[]}]}",
      0);
}

EXPORT(elasticjob_execute) int32_t execute(void) {
  uint32_t n = input_read(input, sizeof input - 1);
  if (n >= sizeof input) return write_output("{\"code\":14,\"message\":\"the request is too large\"}", 1);
  input[n] = 0;
  if (has("\"plugin\":\"PING\"")) return write_output("{\"message\":\"pong\"}", 0);
  if (has("\"shardingParameter\":\"loop\"")) for (volatile int i = 0;; i++) {}
  if (has("\"shardingParameter\":\"trap\"")) __builtin_trap();
  if (has("\"shardingParameter\":\"nowhere\"")) return write_output("{\"code\":5,\"message\":\"there is no such city\"}", 1);
  host_log(4, "looking around", 14);
  int32_t r = host_call("should_stop", 11, "{}", 2);
  if (r < 0 || (uint32_t)r >= sizeof answer) return write_output("{\"code\":1,\"message\":\"should_stop failed\"}", 1);
  answer[host_read(answer, sizeof answer - 1)] = 0;
  int32_t refused = host_call("secret.get", 10, "{\"name\":\"key\"}", 14);
  snprintf(output, sizeof output, "{\"message\":\"stop is %s, secrets are %d, depth 2 is %s\"}",
           strstr(answer, "true") ? "true" : "false", (int)refused, has("\"depth\":\"2\"") ? "given" : "missing");
  return write_output(output, 0);
}
