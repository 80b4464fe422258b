// elasticjob.h: plugins for elasticjob in C, as WASM modules.
//
// The header is all there is. It needs clang for wasm32-wasi and wasi-libc, and
// takes nothing else:
//
//   clang --target=wasm32-wasi -mexec-model=reactor -O2 -Wl,--strip-debug,--stack-first,-z,stack-size=262144 -I DIR -o mine.wasm mine.c
//
// A module is a table of plugins, each with the functions of its kind:
//
//   #include "elasticjob.h"
//
//   static int greet(ej_call *call) {
//     ej_log(EJ_INFO, "item %lld", (long long)ej_int(ej_get(call->context, "shardingItem"), 0));
//     return ej_result(call, "hello, %s", ej_text(ej_get(call->context, "shardingParameter")));
//   }
//
//   static const ej_plugin plugins[] = {
//     {.kind = EJ_JOB_TYPE, .type = "GREET", .description = "greets the item's parameter", .execute = greet},
//   };
//   EJ_PLUGINS(plugins)
//
// What a request and a response hold is in docs/plugins/wasm-abi.md. Requests
// are read with ej_get, ej_first and ej_next, responses are written with
// ej_open_..., ej_write_... and ej_close into the object call->response.
//
// All memory that these functions return belongs to the call and is freed at
// the next one, or earlier between ej_mark and ej_release; keep nothing in
// variables, as no host promises state between calls. Where memory is used up
// the module traps, which the host reports as LIMIT. Nothing here may be used by
// two threads at once; a module has one.

#ifndef ELASTICJOB_H
#define ELASTICJOB_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- Constants ------------------------------------------------------------

// What a function of a plugin returns.
#define EJ_OK 0
#define EJ_ERROR 1

// The most bytes of a request or a response.
#define EJ_MAX_MESSAGE (16u << 20)

// The codes of errors. From EJ_FIRST_AUTHOR_CODE on they are yours. A module may
// fail with EJ_FAILED to EJ_NOT_FOUND, EJ_UNAVAILABLE to EJ_RATE_LIMITED, and
// its own; the others come from the host.
enum {
  EJ_FAILED = 1,
  EJ_INVALID_PROPERTIES = 2,
  EJ_UNSUPPORTED = 3,
  EJ_DENIED = 4,
  EJ_NOT_FOUND = 5,
  EJ_TIMEOUT = 6,
  EJ_CANCELLED = 7,
  EJ_LEASE_LOST = 8,
  EJ_LIMIT = 9,
  EJ_TRAP = 10,
  EJ_PROTOCOL = 11,
  EJ_PLUGIN_GONE = 12,
  EJ_UNAVAILABLE = 13,
  EJ_TOO_LARGE = 14,
  EJ_RATE_LIMITED = 15,
  EJ_INTERNAL = 16,
  EJ_FIRST_AUTHOR_CODE = 1000
};

// The levels of the log.
enum { EJ_DEBUG = -4, EJ_INFO = 0, EJ_WARN = 4, EJ_SEVERE = 8 };

// The kinds of plugins.
#define EJ_JOB_TYPE "jobType"
#define EJ_SHARDING_STRATEGY "shardingStrategy"
#define EJ_ERROR_HANDLER "errorHandler"
#define EJ_JOB_LISTENER "jobListener"
#define EJ_TRACING_SINK "tracingSink"

// ---- Types ----------------------------------------------------------------

// ej_value is a JSON value: a part of a message that is not copied. An absent
// value is one too, of which everything read is the fallback.
typedef struct {
  const char *start, *end;       // the value; NULL if absent
  const char *limit;             // the end of the list or object that it is part of
  const char *name, *name_end;   // its name with quotes, in an object
} ej_value;

// ej_writer is JSON that grows. Begin with {0}, and end with ej_discard unless it
// is call->response or went to ej_host.
typedef struct {
  char *data;
  size_t size, capacity;
  unsigned depth;      // of what is open
  uint64_t lists;      // bit n: level n is a list
  bool comma;          // the next one needs a comma before it
} ej_writer;

// ej_call is one call of a plugin.
typedef struct {
  ej_value request;    // all of it
  ej_value context;    // the sharding context, of execute, fetch_data, process_data and handle_error
  ej_value props;      // the properties, defaults included
  ej_writer response;  // an open object, which is closed for you
  int code;            // of the error, set by ej_fail
  const char *message; // of the error
  const char *property;// that was refused, for EJ_INVALID_PROPERTIES
  int retryable;       // 1 or 0 says whether to try again; -1 is the default of the code
} ej_call;

// ej_function is a function of a plugin. It returns EJ_OK, or EJ_ERROR by way of
// ej_fail.
typedef int (*ej_function)(ej_call *call);

// ej_prop is a property that a job can set. Lists of them end with {0}.
typedef struct {
  const char *name;          // such as "batch.size"
  const char *type;          // string int float bool duration size list path url
  const char *description;   // for operators
  const char *default_value; // NULL without one
  bool required;
  bool secret;
  const char *min, *max;     // of the value or the length
  const char *pattern;       // RE2
  const char *example;
  const char *deprecated;    // what to use instead
  const char *const *choices;// NULL-terminated; NULL allows any value
} ej_prop;

// ej_want is an operation that the operator is asked to grant. Lists of them
// end with {0}.
typedef struct {
  const char *op, *value, *why;
} ej_want;

// ej_plugin says what a plugin is and which functions it has. Leave out those
// of other kinds.
typedef struct {
  const char *kind, *type, *version, *description;
  const ej_prop *props;
  const ej_want *wants;
  bool distribute_once;               // of listeners: call once for the whole run
  bool notify;                        // of error handlers that send messages

  ej_function execute;                // of job types
  ej_function fetch_data, process_data; // of job types that are dataflows
  ej_function shard;                  // of sharding strategies
  ej_function handle_error;           // of error handlers
  ej_function before_job, after_job;  // of job listeners
  ej_function trace;                  // of tracing sinks
} ej_plugin;

// ---- The imports of the ABI -----------------------------------------------

#define EJ_IMPORT(name) __attribute__((import_module("elasticjob_v1"), import_name(name)))
#define EJ_EXPORT(name) __attribute__((export_name(name), used, visibility("default")))
#define EJ_UNUSED __attribute__((unused))
#define EJ_FORMAT(at) __attribute__((format(printf, at, at + 1), unused))

EJ_IMPORT("input_read") uint32_t ej_input_read(void *data, uint32_t capacity);
EJ_IMPORT("output_write") void ej_output_write(const void *data, uint32_t length);
EJ_IMPORT("log") void ej_log_write(int32_t level, const void *line, uint32_t length);
EJ_IMPORT("host_call") int32_t ej_host_call(const void *op, uint32_t op_length, const void *request, uint32_t length);
EJ_IMPORT("host_read") uint32_t ej_host_read(void *data, uint32_t capacity);

// ---- Memory ---------------------------------------------------------------

typedef struct ej_block {
  struct ej_block *next;
  max_align_t data[];
} ej_block;

static ej_block *ej_blocks;

// ej_alloc returns memory that lives until the next call.
EJ_UNUSED static void *ej_alloc(size_t size) {
  if (size > SIZE_MAX - sizeof(ej_block)) __builtin_trap();
  ej_block *block = (ej_block *)malloc(sizeof(ej_block) + size);
  if (block == NULL) __builtin_trap();
  block->next = ej_blocks;
  ej_blocks = block;
  return block->data;
}

// ej_mark and ej_release free what was allocated between them, for loops that
// would otherwise collect memory until the end of the call:
//
//   for (...) {
//     void *mark = ej_mark();
//     ...
//     ej_release(mark);
//   }
//
// Keep no text from in between, nor the message of ej_fail. What was written
// with ej_write_... stays.
EJ_UNUSED static void *ej_mark(void) { return ej_blocks; }

EJ_UNUSED static void ej_release(void *mark) {
  while (ej_blocks != NULL && ej_blocks != mark) {
    ej_block *block = ej_blocks;
    ej_blocks = block->next;
    free(block);
  }
}

static char *ej_vformat(const char *format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  int size = vsnprintf(NULL, 0, format, arguments);
  char *text = (char *)ej_alloc(size < 0 ? 1 : (size_t)size + 1);
  if (size < 0 || vsnprintf(text, (size_t)size + 1, format, again) < 0) text[0] = 0;
  va_end(again);
  return text;
}

// ej_format returns text as printf would print it.
EJ_FORMAT(1) static char *ej_format(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *text = ej_vformat(format, arguments);
  va_end(arguments);
  return text;
}

// ---- Reading JSON ---------------------------------------------------------

static const char *ej_space(const char *at, const char *limit) {
  while (at < limit && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
  return at;
}

// ej_find returns the first c, or limit. The host looks at every turn of a loop
// whether to go on, so it takes eight bytes at once.
static const char *ej_find(const char *at, const char *limit, char c) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  for (; limit - at >= 8; at += 8) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    word ^= ones * (unsigned char)c;
    if (((word - ones) & ~word & (ones << 7)) != 0) break; // one of its bytes is 0
  }
  while (at < limit && *at != c) at++;
  return at;
}

// ej_skip_text returns the end of the string that begins at at: the first quote
// behind an even number of backslashes.
static const char *ej_skip_text(const char *at, const char *limit) {
  for (const char *from = at + 1; from < limit; from++) {
    from = ej_find(from, limit, '"');
    if (from == limit) break;
    const char *escapes = from;
    while (escapes > at + 1 && escapes[-1] == '\\') escapes--;
    if ((from - escapes) % 2 == 0) return from + 1;
  }
  return limit;
}

// ej_skip returns the end of the value that begins at at.
static const char *ej_skip(const char *at, const char *limit) {
  size_t depth = 0;
  while (at < limit) {
    char c = *at;
    if (c == '"') {
      at = ej_skip_text(at, limit);
    } else if (c == '{' || c == '[') {
      depth++;
      at++;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return at;
      depth--;
      at++;
    } else if (depth > 0) {
      at++;
      continue;
    } else {
      while (at < limit && strchr(",]} \t\r\n", *at) == NULL) at++;
    }
    if (depth == 0) return at;
  }
  return limit;
}

static ej_value ej_value_at(const char *at, const char *limit, bool named) {
  ej_value value = {0};
  at = ej_space(at, limit);
  if (named) {
    if (at >= limit || *at != '"') return value;
    value.name = at;
    value.name_end = at = ej_skip_text(at, limit);
    at = ej_space(at, limit);
    if (at >= limit || *at != ':') return (ej_value){0};
    at = ej_space(at + 1, limit);
  }
  if (at >= limit || *at == ']' || *at == '}') return (ej_value){0};
  value.start = at;
  value.end = ej_skip(at, limit);
  value.limit = limit;
  return value;
}

// ej_parse returns the JSON value that a text is, such as the body of a
// response. It does not check the text: read from what is no JSON, values are
// absent or odd, and never outside of it.
EJ_UNUSED static ej_value ej_parse(const char *text, size_t size) { return ej_value_at(text, text + size, false); }

// ej_is_present tells whether the value is there and not null.
EJ_UNUSED static bool ej_is_present(ej_value value) {
  return value.start != NULL && !(value.end - value.start == 4 && memcmp(value.start, "null", 4) == 0);
}

// ej_first returns the first element of a list or member of an object.
//
//   for (ej_value v = ej_first(list); v.start != NULL; v = ej_next(v)) ...
EJ_UNUSED static ej_value ej_first(ej_value value) {
  if (value.start == NULL || (*value.start != '{' && *value.start != '[')) return (ej_value){0};
  return ej_value_at(value.start + 1, value.end, *value.start == '{');
}

// ej_next returns what follows an element or member.
EJ_UNUSED static ej_value ej_next(ej_value value) {
  if (value.start == NULL) return value;
  const char *at = ej_space(value.end, value.limit);
  if (at >= value.limit || *at != ',') return (ej_value){0};
  return ej_value_at(at + 1, value.limit, value.name != NULL);
}

// ej_count returns the number of elements or members.
EJ_UNUSED static size_t ej_count(ej_value value) {
  size_t n = 0;
  for (ej_value v = ej_first(value); v.start != NULL; v = ej_next(v)) n++;
  return n;
}

static int ej_hex(const char *at, const char *end) {
  int n = 0;
  if (end - at < 4) return -1;
  for (int i = 0; i < 4; i++) {
    char c = at[i];
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (digit < 0) return -1;
    n = n << 4 | digit;
  }
  return n;
}

static char *ej_put_rune(char *out, uint32_t rune) {
  if (rune < 0x80) {
    *out++ = (char)rune;
  } else if (rune < 0x800) {
    *out++ = (char)(0xC0 | rune >> 6);
    *out++ = (char)(0x80 | (rune & 0x3F));
  } else if (rune < 0x10000) {
    *out++ = (char)(0xE0 | rune >> 12);
    *out++ = (char)(0x80 | (rune >> 6 & 0x3F));
    *out++ = (char)(0x80 | (rune & 0x3F));
  } else {
    *out++ = (char)(0xF0 | rune >> 18);
    *out++ = (char)(0x80 | (rune >> 12 & 0x3F));
    *out++ = (char)(0x80 | (rune >> 6 & 0x3F));
    *out++ = (char)(0x80 | (rune & 0x3F));
  }
  return out;
}

// ej_unquote decodes a JSON string, quotes included, and ends it with a 0 byte.
// Decoded text is never longer than encoded.
static char *ej_unquote(const char *at, const char *end, size_t *size) {
  char *text = (char *)ej_alloc((size_t)(end - at) + 1), *out = text;
  if (at < end) at++;
  if (at < end && end[-1] == '"') end--;
  while (at < end) {
    const char *escape = ej_find(at, end, '\\');
    memcpy(out, at, (size_t)(escape - at));
    out += escape - at;
    if (end - escape < 2) break;
    char c = escape[1];
    at = escape + 2;
    if (c == 'u') {
      int high = ej_hex(at, end);
      if (high < 0) break;
      at += 4;
      uint32_t rune = (uint32_t)high;
      if (rune >= 0xD800 && rune < 0xDC00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
        int low = ej_hex(at + 2, end);
        if (low >= 0xDC00 && low < 0xE000) {
          rune = 0x10000 + ((rune - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
          at += 6;
        }
      }
      out = ej_put_rune(out, rune);
      continue;
    }
    *out++ = c == 'b' ? '\b' : c == 'f' ? '\f' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
  }
  *out = 0;
  if (size != NULL) *size = (size_t)(out - text);
  return text;
}

// ej_sized_text returns a string with its length in bytes, as it may hold 0
// bytes; of what is no string the JSON; of what is absent "".
EJ_UNUSED static const char *ej_sized_text(ej_value value, size_t *size) {
  if (value.start != NULL && *value.start == '"') return ej_unquote(value.start, value.end, size);
  size_t length = value.start == NULL ? 0 : (size_t)(value.end - value.start);
  char *text = (char *)ej_alloc(length + 1);
  if (length > 0) memcpy(text, value.start, length);
  text[length] = 0;
  if (size != NULL) *size = length;
  return text;
}

// ej_text returns a string, of what is no string its JSON, of what is absent "".
EJ_UNUSED static const char *ej_text(ej_value value) { return ej_sized_text(value, NULL); }

// ej_name returns the name of a member.
EJ_UNUSED static const char *ej_name(ej_value value) {
  return value.name == NULL ? "" : ej_unquote(value.name, value.name_end, NULL);
}

// ej_get returns the member of that name, the last if there are several.
EJ_UNUSED static ej_value ej_get(ej_value object, const char *name) {
  ej_value found = {0};
  size_t length = strlen(name);
  if (object.start == NULL || *object.start != '{') return found;
  for (ej_value v = ej_first(object); v.start != NULL; v = ej_next(v)) {
    if (v.name_end - v.name < 2) continue;
    size_t inside = (size_t)(v.name_end - v.name) - 2;
    void *mark = ej_mark();
    bool same = memchr(v.name, '\\', inside + 1) != NULL ? strcmp(ej_name(v), name) == 0
                                                         : inside == length && memcmp(v.name + 1, name, length) == 0;
    ej_release(mark);
    if (same) found = v;
  }
  return found;
}

// ej_int returns a whole number, which may stand in a string as the fencing
// token and all properties do; fallback for everything else.
EJ_UNUSED static int64_t ej_int(ej_value value, int64_t fallback) {
  if (value.start == NULL) return fallback;
  const char *at = value.start, *end = value.end;
  if (end - at >= 2 && *at == '"') {
    at++;
    end--;
  }
  bool negative = at < end && *at == '-';
  if (negative) at++;
  if (at == end) return fallback;
  int64_t n = 0;
  for (; at < end; at++) {
    if (*at < '0' || *at > '9') return fallback;
    if (__builtin_mul_overflow(n, (int64_t)10, &n) || __builtin_sub_overflow(n, (int64_t)(*at - '0'), &n)) return fallback;
  }
  if (negative) return n;
  return n == INT64_MIN ? fallback : -n;
}

// ej_bool returns true or false, which may stand in a string; fallback for
// everything else.
EJ_UNUSED static bool ej_bool(ej_value value, bool fallback) {
  void *mark = ej_mark();
  const char *text = ej_text(value);
  bool result = strcmp(text, "true") == 0 ? true : strcmp(text, "false") == 0 ? false : fallback;
  ej_release(mark);
  return result;
}

// ej_millis returns an instant, such as the member fireTime, in milliseconds
// since 1970; fallback for everything else. The number of the day is that of
// Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms".
EJ_UNUSED static int64_t ej_millis(ej_value value, int64_t fallback) {
  int year, month, day, hour, minute, second, millis;
  void *mark = ej_mark();
  const char *text = ej_text(value);
  bool is_instant = strlen(text) == 24 && text[23] == 'Z' &&
                    sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3d", &year, &month, &day, &hour, &minute, &second, &millis) == 7;
  ej_release(mark);
  if (!is_instant) return fallback;
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400, year_of_era = year - era * 400;
  int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  int64_t days = era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
  return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millis;
}

// ---- Writing JSON ---------------------------------------------------------

static void ej_put(ej_writer *w, const char *data, size_t size) {
  if (size > SIZE_MAX / 2 - w->size) __builtin_trap();
  if (w->size + size > w->capacity) {
    size_t capacity = w->capacity < 256 ? 256 : w->capacity * 2;
    while (capacity < w->size + size) capacity *= 2;
    w->data = (char *)realloc(w->data, capacity);
    if (w->data == NULL) __builtin_trap();
    w->capacity = capacity;
  }
  if (size > 0) memcpy(w->data + w->size, data, size);
  w->size += size;
}

// ej_discard frees what was written.
EJ_UNUSED static void ej_discard(ej_writer *w) {
  free(w->data);
  *w = (ej_writer){0};
}

// ej_rune_size returns the length of the character at at, or 0 if it is not
// UTF-8.
static size_t ej_rune_size(const unsigned char *at, const unsigned char *end) {
  size_t size = at[0] < 0x80 ? 1 : at[0] < 0xC2 ? 0 : at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : at[0] < 0xF5 ? 4 : 0;
  if ((size_t)(end - at) < size) return 0;
  for (size_t i = 1; i < size; i++) {
    if ((at[i] & 0xC0) != 0x80) return 0;
  }
  if ((at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) || (at[0] == 0xF0 && at[1] < 0x90) ||
      (at[0] == 0xF4 && at[1] > 0x8F)) {
    return 0;
  }
  return size;
}

// ej_is_plain tells whether eight bytes are ASCII and need no escape: in none of
// the differences below does a byte go below zero.
static bool ej_is_plain(const unsigned char *at) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  uint64_t word;
  memcpy(&word, at, sizeof word);
  uint64_t from_quote = word ^ (ones * '"'), from_escape = word ^ (ones * '\\');
  return ((word | (word - ones * ' ') | (from_quote - ones) | (from_escape - ones)) & (ones << 7)) == 0;
}

static void ej_put_quoted(ej_writer *w, const char *text, size_t length) {
  const unsigned char *at = (const unsigned char *)text, *end = at + length;
  ej_put(w, "\"", 1);
  while (at < end) {
    const unsigned char *plain = at;
    size_t size = 0;
    while (end - at >= 8 && ej_is_plain(at)) at += 8;
    while (at < end && *at >= ' ' && *at != '"' && *at != '\\' && (size = ej_rune_size(at, end)) > 0) at += size;
    ej_put(w, (const char *)plain, (size_t)(at - plain));
    if (at == end) break;
    char escape[8];
    if (*at == '"' || *at == '\\') {
      escape[0] = '\\';
      escape[1] = (char)*at;
      ej_put(w, escape, 2);
    } else if (*at < ' ') {
      ej_put(w, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", *at));
    } else {
      ej_put(w, "\xEF\xBF\xBD", 3); // U+FFFD
    }
    at++;
  }
  ej_put(w, "\"", 1);
}

static void ej_put_name(ej_writer *w, const char *name) {
  if (w->comma) ej_put(w, ",", 1);
  w->comma = true;
  bool in_list = w->depth > 0 && (w->lists >> (w->depth - 1) & 1) == 1;
  if (w->depth == 0 || in_list) return;
  if (name == NULL) name = "";
  ej_put_quoted(w, name, strlen(name));
  ej_put(w, ":", 1);
}

static void ej_open(ej_writer *w, const char *name, bool is_list) {
  if (w->depth >= 64) __builtin_trap();
  ej_put_name(w, name);
  ej_put(w, is_list ? "[" : "{", 1);
  if (is_list) w->lists |= (uint64_t)1 << w->depth;
  else w->lists &= ~((uint64_t)1 << w->depth);
  w->depth++;
  w->comma = false;
}

// ej_open_object begins an object. The name is that of the member that it is;
// in a list it is not looked at, here and below.
EJ_UNUSED static void ej_open_object(ej_writer *w, const char *name) { ej_open(w, name, false); }

// ej_open_list begins a list.
EJ_UNUSED static void ej_open_list(ej_writer *w, const char *name) { ej_open(w, name, true); }

// ej_close ends the object or list that was begun last.
EJ_UNUSED static void ej_close(ej_writer *w) {
  if (w->depth == 0) __builtin_trap();
  w->depth--;
  ej_put(w, (w->lists >> w->depth & 1) == 1 ? "]" : "}", 1);
  w->comma = true;
}

// ej_write_json writes a JSON value that is ready.
EJ_UNUSED static void ej_write_json(ej_writer *w, const char *name, const char *json, size_t size) {
  ej_put_name(w, name);
  ej_put(w, json, size);
}

// ej_write_value writes a value of the request.
EJ_UNUSED static void ej_write_value(ej_writer *w, const char *name, ej_value value) {
  if (value.start == NULL) ej_write_json(w, name, "null", 4);
  else ej_write_json(w, name, value.start, (size_t)(value.end - value.start));
}

// ej_write_sized_text writes a string of that length in bytes. What is not
// UTF-8 becomes U+FFFD.
EJ_UNUSED static void ej_write_sized_text(ej_writer *w, const char *name, const char *text, size_t size) {
  ej_put_name(w, name);
  ej_put_quoted(w, text, size);
}

// ej_write_text writes a string, or nothing at all for NULL.
EJ_UNUSED static void ej_write_text(ej_writer *w, const char *name, const char *text) {
  if (text != NULL) ej_write_sized_text(w, name, text, strlen(text));
}

// ej_write_int writes a number. Numbers above 2^53 lose digits in many
// languages: write them as text.
EJ_UNUSED static void ej_write_int(ej_writer *w, const char *name, int64_t n) {
  char digits[24];
  int size = snprintf(digits, sizeof digits, "%lld", (long long)n);
  ej_write_json(w, name, digits, (size_t)size);
}

// ej_write_bool writes true or false.
EJ_UNUSED static void ej_write_bool(ej_writer *w, const char *name, bool value) {
  if (value) ej_write_json(w, name, "true", 4);
  else ej_write_json(w, name, "false", 5);
}

// ej_write_bytes writes bytes as base64.
EJ_UNUSED static void ej_write_bytes(ej_writer *w, const char *name, const void *data, size_t size) {
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const unsigned char *at = (const unsigned char *)data;
  ej_put_name(w, name);
  ej_put(w, "\"", 1);
  for (size_t i = 0; i < size; i += 3) {
    size_t left = size - i;
    uint32_t group = (uint32_t)at[i] << 16 | (left > 1 ? (uint32_t)at[i + 1] << 8 : 0) | (left > 2 ? at[i + 2] : 0);
    char four[4] = {alphabet[group >> 18], alphabet[group >> 12 & 63], left > 1 ? alphabet[group >> 6 & 63] : '=',
                    left > 2 ? alphabet[group & 63] : '='};
    ej_put(w, four, 4);
  }
  ej_put(w, "\"", 1);
}

// ej_bytes returns the bytes of a string of base64, NULL of what is absent or
// no base64.
EJ_UNUSED static const unsigned char *ej_bytes(ej_value value, size_t *size) {
  size_t length = 0, n = 0;
  *size = 0;
  if (value.start == NULL || *value.start != '"') return NULL;
  const char *text = ej_sized_text(value, &length);
  if (length % 4 != 0) return NULL;
  unsigned char *data = (unsigned char *)ej_alloc(length / 4 * 3 + 1);
  while (length > 0 && text[length - 1] == '=' && length % 4 != 2) length--;
  uint32_t group = 0;
  for (size_t i = 0; i < length; i++) {
    char c = text[i];
    int digit = c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' ? 62 : c == '/' ? 63 : -1;
    if (digit < 0) return NULL;
    group = group << 6 | (uint32_t)digit;
    if (i % 4 != 0) data[n++] = (unsigned char)(group >> (6 - 2 * (i % 4)));
  }
  *size = n;
  return data;
}

// ---- Results --------------------------------------------------------------

// ej_log writes to the log of the node, at EJ_DEBUG, EJ_INFO, EJ_WARN or
// EJ_SEVERE, each line as a record of its own.
EJ_FORMAT(2) static void ej_log(int level, const char *format, ...) {
  void *mark = ej_mark();
  va_list arguments;
  va_start(arguments, format);
  const char *line = ej_vformat(format, arguments);
  va_end(arguments);
  for (;;) {
    size_t length = strcspn(line, "\n");
    ej_log_write(level, line, (uint32_t)length);
    if (line[length] == 0 || line[length + 1] == 0) break;
    line += length + 1;
  }
  ej_release(mark);
}

// ej_fail says why a call fails:
//
//   return ej_fail(call, EJ_UNAVAILABLE, "no answer from %s", host);
//
// Set call->retryable or call->property as well where they matter.
EJ_FORMAT(3) static int ej_fail(ej_call *call, int code, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  call->message = ej_vformat(format, arguments);
  va_end(arguments);
  call->code = code;
  return EJ_ERROR;
}

// ej_result keeps a text as the result of an item, in execute:
//
//   return ej_result(call, "%d orders", orders);
EJ_FORMAT(2) static int ej_result(ej_call *call, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  ej_write_text(&call->response, "message", ej_vformat(format, arguments));
  va_end(arguments);
  return EJ_OK;
}

// ej_decide answers handle_error: stop disables the job on this instance, from
// its next firing until somebody enables it.
EJ_UNUSED static int ej_decide(ej_call *call, bool stop) {
  ej_write_text(&call->response, "decision", stop ? "stop" : "continue");
  return EJ_OK;
}

// ---- Operations of the host -----------------------------------------------

// ej_request begins a request for ej_host.
EJ_UNUSED static ej_writer ej_request(void) {
  ej_writer w = {0};
  ej_open_object(&w, NULL);
  return w;
}

// ej_host runs an operation of the host and returns 0 with its response, or
// the code of its error, which is the error of the call as well: return
// EJ_ERROR to pass it on. Request and response are JSON objects as
// docs/plugins/wasm-abi.md has them.
EJ_UNUSED static int ej_host(ej_call *call, const char *op, ej_writer *request, ej_value *response) {
  while (request->depth > 0) ej_close(request);
  int32_t result = ej_host_call(op, (uint32_t)strlen(op), request->data, (uint32_t)request->size);
  ej_discard(request);
  uint32_t length = ej_host_read(NULL, 0);
  char *data = (char *)ej_alloc(length);
  ej_host_read(data, length);
  ej_value value = ej_parse(data, length);
  if (response != NULL) *response = value;
  if (result >= 0) return 0;
  call->code = (int)ej_int(ej_get(value, "code"), -(int64_t)result);
  call->message = ej_text(ej_get(value, "message"));
  call->retryable = ej_bool(ej_get(value, "retryable"), false);
  return call->code;
}

// ej_secret returns the secret of that name, or NULL: return EJ_ERROR then.
EJ_UNUSED static const char *ej_secret(ej_call *call, const char *name) {
  ej_writer request = ej_request();
  ej_value response;
  ej_write_text(&request, "name", name);
  if (ej_host(call, "secret.get", &request, &response) != 0) return NULL;
  return ej_text(ej_get(response, "value"));
}

// ej_http_request is a request for ej_http. What is NULL or 0 is left out.
typedef struct {
  const char *method; // GET if NULL
  const char *url;
  const char *const *headers; // names and values in turn, ended by NULL
  const void *body;
  size_t body_size;
  int64_t timeout_millis;
} ej_http_request;

// ej_http sends a request to a granted host. It returns 0 with the status, the
// headers (a list of values for each name) and the body, or the code of its
// error: return EJ_ERROR then.
EJ_UNUSED static int ej_http(ej_call *call, const ej_http_request *r, int *status, ej_value *headers, const unsigned char **body, size_t *body_size) {
  ej_writer request = ej_request();
  ej_value response;
  ej_write_text(&request, "method", r->method);
  ej_write_text(&request, "url", r->url);
  if (r->headers != NULL) {
    ej_open_object(&request, "headers");
    for (const char *const *h = r->headers; h[0] != NULL && h[1] != NULL; h += 2) {
      ej_open_list(&request, h[0]);
      ej_write_text(&request, NULL, h[1]);
      ej_close(&request);
    }
    ej_close(&request);
  }
  if (r->body_size > 0) ej_write_bytes(&request, "body", r->body, r->body_size);
  if (r->timeout_millis > 0) ej_write_int(&request, "timeoutMs", r->timeout_millis);
  int code = ej_host(call, "http.request", &request, &response);
  if (code != 0) return code;
  if (status != NULL) *status = (int)ej_int(ej_get(response, "status"), 0);
  if (headers != NULL) *headers = ej_get(response, "headers");
  if (body != NULL) *body = ej_bytes(ej_get(response, "body"), body_size);
  return 0;
}

// ej_tell runs an operation whose response says nothing.
static int ej_tell(ej_call *call, const char *op, ej_writer *request) {
  void *mark = ej_mark();
  int code = ej_host(call, op, request, NULL);
  if (code == 0) ej_release(mark);
  return code;
}

// ej_save_checkpoint keeps at most 64 KiB for a later attempt at the item,
// which finds them with ej_checkpoint. In this version a node keeps them with
// the running item and forgets both together; a later attempt gets them once
// retries and failover exist. It returns 0, or the code of its error: return
// EJ_ERROR then, as for EJ_LEASE_LOST when this node owns the item no more.
EJ_UNUSED static int ej_save_checkpoint(ej_call *call, const void *data, size_t size) {
  ej_writer request = ej_request();
  ej_write_bytes(&request, "data", data, size);
  return ej_tell(call, "checkpoint.save", &request);
}

// ej_checkpoint returns what an earlier attempt saved, NULL if nothing.
EJ_UNUSED static const unsigned char *ej_checkpoint(ej_call *call, size_t *size) {
  return ej_bytes(ej_get(call->context, "checkpoint"), size);
}

// ej_report_progress tells operators how far the item is. The total may be 0
// and the message NULL. It returns 0, or the code of its error.
EJ_UNUSED static int ej_report_progress(ej_call *call, int64_t done, int64_t total, const char *message) {
  ej_writer request = ej_request();
  ej_write_int(&request, "done", done);
  ej_write_int(&request, "total", total);
  ej_write_text(&request, "message", message == NULL ? "" : message);
  return ej_tell(call, "progress.report", &request);
}

// ej_should_stop returns why the call is to end soon, such as "stopping" or
// "timeout", or NULL. A long computation asks now and then.
EJ_UNUSED static const char *ej_should_stop(ej_call *call) {
  void *mark = ej_mark();
  ej_writer request = ej_request();
  ej_value response;
  ej_call asked = *call; // its failure is no failure of the call
  if (ej_host(&asked, "should_stop", &request, &response) == 0 && ej_bool(ej_get(response, "stop"), false)) {
    return ej_text(ej_get(response, "reason"));
  }
  ej_release(mark);
  return NULL;
}

// ---- Serving --------------------------------------------------------------

static int32_t ej_give_error(int code, const char *message, const char *property, int retryable) {
  ej_writer w = {0};
  ej_open_object(&w, NULL);
  ej_write_int(&w, "code", code);
  ej_write_text(&w, "message", message == NULL ? "" : message);
  ej_write_text(&w, "property", property);
  if (retryable >= 0) ej_write_bool(&w, "retryable", retryable != 0);
  ej_close(&w);
  ej_output_write(w.data, (uint32_t)w.size);
  ej_discard(&w);
  return EJ_ERROR;
}

static void ej_write_prop(ej_writer *w, const ej_prop *p) {
  ej_open_object(w, NULL);
  ej_write_text(w, "name", p->name);
  ej_write_text(w, "type", p->type);
  ej_write_text(w, "description", p->description == NULL ? "" : p->description);
  ej_write_text(w, "default", p->default_value);
  ej_write_bool(w, "required", p->required);
  if (p->choices != NULL) {
    ej_open_list(w, "enum");
    for (const char *const *c = p->choices; *c != NULL; c++) ej_write_text(w, NULL, *c);
    ej_close(w);
  }
  ej_write_text(w, "min", p->min);
  ej_write_text(w, "max", p->max);
  ej_write_text(w, "pattern", p->pattern);
  ej_write_bool(w, "secret", p->secret);
  ej_write_text(w, "example", p->example);
  ej_write_text(w, "deprecated", p->deprecated);
  ej_close(w);
}

// ej_describe answers elasticjob_describe.
EJ_UNUSED static int32_t ej_describe(const ej_plugin *plugins, size_t count) {
  ej_release(NULL);
  ej_writer w = {0};
  ej_open_object(&w, NULL);
  ej_open_list(&w, "plugins");
  for (const ej_plugin *p = plugins; p < plugins + count; p++) {
    ej_open_object(&w, NULL);
    ej_write_text(&w, "kind", p->kind);
    ej_write_text(&w, "type", p->type);
    ej_write_text(&w, "version", p->version == NULL ? "" : p->version);
    ej_write_text(&w, "description", p->description == NULL ? "" : p->description);
    ej_open_list(&w, "props");
    for (const ej_prop *prop = p->props; prop != NULL && prop->name != NULL; prop++) ej_write_prop(&w, prop);
    ej_close(&w);
    ej_open_list(&w, "capabilities");
    if (p->execute != NULL) ej_write_text(&w, NULL, "execute");
    if (p->fetch_data != NULL && p->process_data != NULL) ej_write_text(&w, NULL, "dataflow");
    if (p->distribute_once) ej_write_text(&w, NULL, "distributeOnce");
    if (p->notify) ej_write_text(&w, NULL, "notify");
    ej_close(&w);
    if (p->wants != NULL) {
      ej_open_list(&w, "wants");
      for (const ej_want *want = p->wants; want->op != NULL; want++) {
        ej_open_object(&w, NULL);
        ej_write_text(&w, "op", want->op);
        ej_write_text(&w, "value", want->value == NULL ? "" : want->value);
        ej_write_text(&w, "why", want->why == NULL ? "" : want->why);
        ej_close(&w);
      }
      ej_close(&w);
    }
    ej_close(&w);
  }
  ej_close(&w);
  ej_close(&w);
  ej_output_write(w.data, (uint32_t)w.size);
  ej_discard(&w);
  return EJ_OK;
}

// ej_own_code is the code with which a call may fail: those that only the host
// may say, as when its error is passed on, become EJ_FAILED.
static int ej_own_code(int code) {
  bool is_own = (code >= EJ_FAILED && code <= EJ_NOT_FOUND) || (code >= EJ_UNAVAILABLE && code <= EJ_RATE_LIMITED) ||
                code >= EJ_FIRST_AUTHOR_CODE;
  return is_own ? code : EJ_FAILED;
}

// ej_serve answers the other exports: it finds the plugin of that kind which
// the request names, and its function by where that stands in ej_plugin. A
// listener may lack one of its two.
EJ_UNUSED static int32_t ej_serve(const ej_plugin *plugins, size_t count, const char *kind, size_t where) {
  ej_release(NULL);
  uint32_t length = ej_input_read(NULL, 0);
  char *data = (char *)ej_alloc(length);
  ej_input_read(data, length);
  ej_call call = {.request = ej_parse(data, length), .retryable = -1};
  const char *type = ej_text(ej_get(call.request, "plugin"));
  for (const ej_plugin *p = plugins; p < plugins + count; p++) {
    if (strcmp(p->kind, kind) != 0 || strcmp(p->type, type) != 0) continue;
    ej_function function = *(const ej_function *)(const void *)((const char *)p + where);
    if (function == NULL) {
      if (strcmp(kind, EJ_JOB_LISTENER) == 0) return EJ_OK;
      return ej_give_error(EJ_UNSUPPORTED, ej_format("%s %s does not offer this", kind, type), NULL, -1);
    }
    call.context = ej_get(call.request, "context");
    call.props = ej_get(call.request, "props");
    if (call.props.start == NULL) call.props = ej_get(call.context, "props");
    ej_open_object(&call.response, NULL);
    int result = function(&call);
    while (call.response.depth > 0) ej_close(&call.response);
    if (result == EJ_OK && call.response.size > EJ_MAX_MESSAGE) {
      result = ej_fail(&call, EJ_TOO_LARGE, "the response has more than 16 MiB");
    }
    if (result == EJ_OK) ej_output_write(call.response.data, (uint32_t)call.response.size);
    ej_discard(&call.response);
    if (result == EJ_OK) return EJ_OK;
    return ej_give_error(ej_own_code(call.code), call.message, call.property, call.retryable);
  }
  return ej_give_error(EJ_NOT_FOUND, ej_format("this module has no %s %s", kind, type), NULL, -1);
}

// EJ_PLUGINS makes the module of a table of plugins. It stands once in the
// module, behind the table.
#define EJ_PLUGINS(table)                                                                    \
  EJ_EXPORT("elasticjob_describe") int32_t ej_export_describe(void) {                        \
    return ej_describe(table, sizeof(table) / sizeof(*(table)));                             \
  }                                                                                          \
  EJ_SERVE(table, elasticjob_execute, EJ_JOB_TYPE, execute)                                  \
  EJ_SERVE(table, elasticjob_fetch_data, EJ_JOB_TYPE, fetch_data)                            \
  EJ_SERVE(table, elasticjob_process_data, EJ_JOB_TYPE, process_data)                        \
  EJ_SERVE(table, elasticjob_shard, EJ_SHARDING_STRATEGY, shard)                             \
  EJ_SERVE(table, elasticjob_handle_error, EJ_ERROR_HANDLER, handle_error)                   \
  EJ_SERVE(table, elasticjob_before_job, EJ_JOB_LISTENER, before_job)                        \
  EJ_SERVE(table, elasticjob_after_job, EJ_JOB_LISTENER, after_job)                          \
  EJ_SERVE(table, elasticjob_trace, EJ_TRACING_SINK, trace)

#define EJ_SERVE(table, name, kind, function)                                                \
  EJ_EXPORT(#name) int32_t ej_export_##function(void) {                                      \
    return ej_serve(table, sizeof(table) / sizeof(*(table)), kind, offsetof(ej_plugin, function)); \
  }

#endif // ELASTICJOB_H
