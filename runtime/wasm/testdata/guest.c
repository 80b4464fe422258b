// A reactor written from the ABI page alone: no header, no sdk. What it does
// is chosen by the job parameter, so that a test can ask for every behaviour,
// good and bad. Built by the tests when clang can make wasm32-wasi; guest.wasm
// is the same, built before:
//
//   clang-19 --target=wasm32-wasi -O2 -mexec-model=reactor -Wl,--strip-debug -o guest.wasm guest.c
//   clang-19 --target=wasm32-wasi -O2 -mexec-model=reactor -Wl,--strip-debug -o kinds.wasm kinds.c

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define IMPORT(name) __attribute__((import_module("elasticjob_v1"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

IMPORT(input_read) uint32_t input_read(void *ptr, uint32_t cap);
IMPORT(output_write) void output_write(const void *ptr, uint32_t len);
IMPORT(log) void host_log(int32_t level, const void *ptr, uint32_t len);
IMPORT(host_call) int32_t host_call(const void *op, uint32_t op_len, const void *req, uint32_t req_len);
IMPORT(host_read) uint32_t host_read(void *ptr, uint32_t cap);

static char input[1 << 16];
static char parameter[1 << 12];
static char output[1 << 16];
static int calls;
static volatile int sink;
static void *volatile kept;  // keeps the compiler from leaving allocations out

static int write_output(int result) {
  output_write(output, strlen(output));
  return result;
}

static int message(const char *text) {
  snprintf(output, sizeof output, "{\"message\":\"%s\"}", text);
  return write_output(0);
}

// member copies the value of a string member without escapes.
static void member(const char *name, char *to, size_t cap) {
  char key[64];
  snprintf(key, sizeof key, "\"%s\":\"", name);
  const char *at = strstr(input, key);
  size_t n = 0;
  if (at != NULL)
    for (at += strlen(key); *at != '"' && *at != 0 && n + 1 < cap; at++) to[n++] = *at;
  to[n] = 0;
}

// fib calls itself and has no loop; with a sum instead of the difference, clang
// would make one.
__attribute__((noinline)) static int fib(int n) { return n < 2 ? n : fib(n - 1) - fib(n - 2); }

// dive uses up the stack.
__attribute__((noinline)) static int dive(int n) {
  volatile char frame[256];
  frame[n & 255] = (char)n;
  return dive(n + 1) + frame[n & 255];
}

// A tower of functions that each call the next one twice: without a loop and
// without recursion it takes 2^40 steps.
#define TOWER(a, b) __attribute__((noinline)) static void a(void) { b(); b(); }
__attribute__((noinline)) static void t0(void) { sink++; }
TOWER(t1, t0) TOWER(t2, t1) TOWER(t3, t2) TOWER(t4, t3) TOWER(t5, t4) TOWER(t6, t5) TOWER(t7, t6) TOWER(t8, t7)
TOWER(t9, t8) TOWER(t10, t9) TOWER(t11, t10) TOWER(t12, t11) TOWER(t13, t12) TOWER(t14, t13) TOWER(t15, t14) TOWER(t16, t15)
TOWER(t17, t16) TOWER(t18, t17) TOWER(t19, t18) TOWER(t20, t19) TOWER(t21, t20) TOWER(t22, t21) TOWER(t23, t22) TOWER(t24, t23)
TOWER(t25, t24) TOWER(t26, t25) TOWER(t27, t26) TOWER(t28, t27) TOWER(t29, t28) TOWER(t30, t29) TOWER(t31, t30) TOWER(t32, t31)
TOWER(t33, t32) TOWER(t34, t33) TOWER(t35, t34) TOWER(t36, t35) TOWER(t37, t36) TOWER(t38, t37) TOWER(t39, t38) TOWER(t40, t39)

static int bad_pointer(const char *import) {
  void *far = (void *)0xfffffff0u;
  if (!strcmp(import, "input_read")) input_read(far, 64);
  else if (!strcmp(import, "output_write")) output_write(far, 64);
  else if (!strcmp(import, "log")) host_log(0, far, 64);
  else if (!strcmp(import, "host_call.op")) host_call(far, 64, "{}", 2);
  else if (!strcmp(import, "host_call.request")) host_call("should_stop", 11, far, 64);
  else if (!strcmp(import, "host_read")) host_read(far, 64);
  else if (!strcmp(import, "input_read.huge")) input_read(input, 0xffffffffu);
  else return message("unknown import");
  return message("still alive");
}

static int call_host(const char *op) {
  int32_t r = host_call(op, strlen(op), "{}", 2);
  static char response[1 << 12];
  uint32_t n = host_read(response, sizeof response - 1);
  response[n < sizeof response ? n : 0] = 0;
  char quoted[1 << 12];
  size_t k = 0;
  for (uint32_t i = 0; response[i] != 0 && k + 2 < sizeof quoted; i++) {
    if (response[i] == '"') quoted[k++] = '\\';
    quoted[k++] = response[i];
  }
  quoted[k] = 0;
  snprintf(output, sizeof output, "{\"message\":\"%d %u %s\"}", (int)r, (unsigned)n, quoted);
  return write_output(0);
}

// opened reads the beginning of what is open.
static int opened(int fd) {
  static char content[256];
  ssize_t n = fd < 0 ? -1 : read(fd, content, sizeof content - 1);
  if (fd >= 0) close(fd);
  if (n < 0) return message(strerror(errno));
  content[n] = 0;
  return message(content);
}

static int said(int result) { return message(result < 0 ? strerror(errno) : "ok"); }

static int listing(const char *path) {
  static char names[1 << 12];
  DIR *d = opendir(path);
  if (d == NULL) return said(-1);
  names[0] = 0;
  for (int round = 0; round < 2; round++) {
    int n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
      if (e->d_name[0] == '.') continue;
      n++;
      if (round == 0 && strlen(names) + strlen(e->d_name) + 2 < sizeof names) strcat(strcat(names, e->d_name), e->d_type == DT_DIR ? "/ " : " ");
    }
    if (round == 1) snprintf(names + strlen(names), 16, "%d", n);
    rewinddir(d);
  }
  closedir(d);
  return message(names);
}

// part copies what stands before the next bar, and goes on behind it.
static void part(const char **from, char *to, size_t cap) {
  size_t n = 0;
  for (; **from != 0 && **from != '|'; ++*from)
    if (n + 1 < cap) to[n++] = **from;
  to[n] = 0;
  if (**from == '|') ++*from;
}

// files does one thing to files: op|path|more.
static int files(const char *what) {
  static char op[64], a[1 << 11], b[1 << 11];
  part(&what, op, sizeof op);
  part(&what, a, sizeof a);
  part(&what, b, sizeof b);
  if (!strcmp(op, "read")) return opened(open(a, O_RDONLY));
  if (!strcmp(op, "nofollow")) return opened(open(a, O_RDONLY | O_NOFOLLOW));
  if (!strcmp(op, "within")) return opened(openat(open(a, O_RDONLY | O_DIRECTORY), b, O_RDONLY));
  if (!strcmp(op, "list")) return listing(a);
  if (!strcmp(op, "write") || !strcmp(op, "append") || !strcmp(op, "create") || !strcmp(op, "update")) {
    int flags = op[0] == 'w' ? O_WRONLY | O_CREAT | O_TRUNC : op[0] == 'a' ? O_WRONLY | O_APPEND : op[0] == 'c' ? O_WRONLY | O_CREAT | O_EXCL : O_RDWR;
    int fd = open(a, flags, 0600);
    if (fd < 0) return said(-1);
    int result = write(fd, b, strlen(b)) < 0 || fsync(fd) < 0 ? -1 : 0;
    close(fd);
    return said(result);
  }
  if (!strcmp(op, "truncate")) return said(truncate(a, 3));
  if (!strcmp(op, "mkdir")) return said(mkdir(a, 0700));
  if (!strcmp(op, "rmdir")) return said(rmdir(a));
  if (!strcmp(op, "unlink")) return said(unlink(a));
  if (!strcmp(op, "rename")) return said(rename(a, b));
  if (!strcmp(op, "link")) return said(link(a, b));
  if (!strcmp(op, "symlink")) return said(symlink(a, b));
  if (!strcmp(op, "readlink")) {
    ssize_t n = readlink(a, b, sizeof b - 1);
    b[n < 0 ? 0 : n] = 0;
    return n < 0 ? said(-1) : message(b);
  }
  if (!strcmp(op, "stat") || !strcmp(op, "lstat")) {
    struct stat st;
    if ((op[0] == 's' ? stat(a, &st) : lstat(a, &st)) < 0) return said(-1);
    snprintf(b, sizeof b, "%s %d", S_ISDIR(st.st_mode) ? "directory" : S_ISLNK(st.st_mode) ? "link" : "file", S_ISREG(st.st_mode) ? (int)st.st_size : 0);
    return message(b);
  }
  if (!strcmp(op, "times")) {
    struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};
    return said(utimensat(AT_FDCWD, a, times, 0));
  }
  if (!strcmp(op, "futimes")) {
    struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};
    return said(futimens(open(a, O_RDONLY), times));
  }
  if (!strcmp(op, "long")) {
    char *name = malloc(200000);
    memset(name, 'n', 199999);
    memcpy(name, a, strlen(a));
    name[199999] = 0;
    return said(open(name, O_RDONLY));
  }
  if (!strcmp(op, "keep"))  // leaves files open
    for (int i = 0;; i++)
      if (i == 10 || open(a, O_RDONLY) < 0) return said(i == 10 ? 0 : -1);
  if (!strcmp(op, "keep all"))
    for (;;)
      if (open(a, O_RDONLY) < 0) return said(-1);
  return message("unknown operation");
}

// number reads a number of up to 32 bits that is followed by a comma or the end.
static uint32_t number(const char **at) {
  uint32_t n = 0;
  for (; **at >= '0' && **at <= '9'; ++*at) n = 10 * n + (uint32_t)(**at - '0');
  if (**at == ',') ++*at;
  return n;
}

// import calls an import with the arguments after its name.
static int import(const char *what) {
  const char *at = strchr(what, ',');
  if (at++ == NULL) return message("no arguments");
  uint32_t p[4];
  for (int i = 0; i < 4; i++) p[i] = number(&at);
  if (!strncmp(what, "input_read,", 11)) input_read((void *)p[0], p[1]);
  else if (!strncmp(what, "output_write,", 13)) output_write((void *)p[0], p[1]);
  else if (!strncmp(what, "log,", 4)) host_log((int32_t)p[0], (void *)p[1], p[2]);
  else if (!strncmp(what, "host_call,", 10)) host_call((void *)p[0], p[1], (void *)p[2], p[3]);
  else if (!strncmp(what, "host_read,", 10)) host_read((void *)p[0], p[1]);
  else return message("unknown import");
  // The call may have written anywhere, also over what message uses.
  output_write("{}", 2);
  return 0;
}

static int run(const char *what) {
  char text[256];
  if (!strncmp(what, "files:", 6)) return files(what + 6);
  if (!strncmp(what, "import:", 7)) return import(what + 7);
  if (!strncmp(what, "env:", 4)) {
    const char *value = getenv(what + 4);
    return message(value == NULL ? "not set" : value);
  }
  if (!strcmp(what, "time")) {
    snprintf(text, sizeof text, "%lld", (long long)time(NULL));
    return message(text);
  }
  if (!strcmp(what, "memory")) {
    snprintf(text, sizeof text, "%zu", __builtin_wasm_memory_size(0) * 65536);
    return message(text);
  }
  if (!strcmp(what, "")) return 0;
  if (!strncmp(what, "say:", 4)) return message(what + 4);
  if (!strcmp(what, "plugin")) {
    member("plugin", text, sizeof text);
    return message(text);
  }
  if (!strcmp(what, "deadline")) {
    member("deadline", text, sizeof text);
    return message(text);
  }
  if (!strcmp(what, "count")) {
    snprintf(text, sizeof text, "%d", calls);
    return message(text);
  }
  if (!strcmp(what, "input")) {
    uint32_t n = input_read(NULL, 0);
    char *twice = malloc(n + 1);
    memset(twice, 'x', n + 1);
    uint32_t small = input_read(twice, n - 1);
    int untouched = twice[0] == 'x' && twice[n - 1] == 'x';
    uint32_t again = input_read(twice, n + 1);
    snprintf(text, sizeof text, "%d %d %d %d", n == small, untouched, n == again, memcmp(twice, input, n) == 0 && twice[n] == 'x');
    return message(text);
  }
  if (!strcmp(what, "output twice")) {
    output_write("{\"message\":\"first, and longer\"}", 31);
    return message("second");
  }
  if (!strncmp(what, "raw:", 4)) {  // the output as it is, single quotes for double ones
    size_t n = strlen(what + 4);
    for (size_t i = 0; i <= n; i++) output[i] = what[4 + i] == '\'' ? '"' : what[4 + i];
    return write_output(0);
  }
  if (!strncmp(what, "error:", 6)) {
    snprintf(output, sizeof output, "{\"code\":%s,\"message\":\"code %s\"}", what + 6, what + 6);
    return write_output(1);
  }
  if (!strcmp(what, "bad error")) {
    output_write("oops", 4);
    return 1;
  }
  if (!strncmp(what, "return:", 7)) return atoi(what + 7);
  if (!strcmp(what, "trap")) __builtin_trap();
  if (!strncmp(what, "exit:", 5)) _Exit(atoi(what + 5));
  if (!strcmp(what, "abort")) {
    fputs("about to abort\n", stderr);
    abort();
  }
  if (!strcmp(what, "loop")) for (;;) sink++;
  if (!strcmp(what, "fib")) sink = fib(60);
  if (!strcmp(what, "tower")) t40();
  if (!strcmp(what, "dive")) sink = dive(0);
  if (!strcmp(what, "sleep")) {
    sleep(3600);
    return message("slept");
  }
  if (!strcmp(what, "nap")) {
    struct timespec a, b, pause = {0, 20000000};
    clock_gettime(CLOCK_MONOTONIC, &a);
    nanosleep(&pause, NULL);
    clock_gettime(CLOCK_MONOTONIC, &b);
    long long ns = (b.tv_sec - a.tv_sec) * 1000000000ll + b.tv_nsec - a.tv_nsec;
    snprintf(text, sizeof text, "%d %d", ns >= 20000000, time(NULL) > 1700000000);
    return message(text);
  }
  if (!strcmp(what, "random")) {
    unsigned char r[8];
    getentropy(r, sizeof r);
    for (int i = 0; i < 8; i++) snprintf(text + 2 * i, 3, "%02x", r[i]);
    return message(text);
  }
  if (!strcmp(what, "bomb"))
    for (;;) {
      char *p = malloc(1 << 20);
      if (p == NULL) __builtin_trap();
      kept = p;
      memset(p, 1, 1 << 20);
    }
  if (!strcmp(what, "careful")) {  // lives with a refused allocation
    while ((kept = malloc(1 << 20)) != NULL) {}
    return message("out of memory, and fine");
  }
  if (!strcmp(what, "log")) {
    for (int level = -9; level <= 12; level++) {
      int n = snprintf(text, sizeof text, "level %d", level);
      host_log(level, text, n);
    }
    host_log(0, "\xff" "bad", 4);
    host_log(0, "two\nlines", 9);
    return 0;
  }
  if (!strcmp(what, "streams")) {
    setvbuf(stdout, NULL, _IONBF, 0);
    fputs("out 1\nout ", stdout);
    fputs("err 1\r\nerr ", stderr);
    fputs("2", stdout);
    fputs("2", stderr);
    return 0;
  }
  if (!strcmp(what, "long line")) {
    char *line = malloc(200000);
    memset(line, 'a', 200000);
    host_log(0, line, 200000);
    return 0;
  }
  if (!strcmp(what, "flood")) {
    char line[1000];
    memset(line, 'f', sizeof line);
    for (int i = 0; i < 5000; i++) host_log(0, line, sizeof line);
    return message("done");
  }
  if (!strcmp(what, "huge output")) {
    output_write(output, (16u << 20) + 1);
    return 0;
  }
  if (!strcmp(what, "large output")) {
    size_t n = 16u << 20;
    char *big = malloc(n);
    memset(big, ' ', n);
    big[0] = '{';
    big[n - 1] = '}';
    output_write(big, n);
    return 0;
  }
  if (!strncmp(what, "pointer:", 8)) return bad_pointer(what + 8);
  if (!strcmp(what, "empty ranges")) {
    input_read(NULL, 0);
    host_log(0, NULL, 0);
    output_write(NULL, 0);
    return 0;
  }
  if (!strcmp(what, "host_read before")) {
    snprintf(text, sizeof text, "%u", (unsigned)host_read(text, sizeof text));
    return message(text);
  }
  if (!strncmp(what, "host:", 5)) return call_host(what + 5);
  if (!strncmp(what, "exchange:", 9)) {  // a request of n bytes, and all of the response
    size_t n = atoi(what + 9);
    char *big = malloc(n);
    memset(big, 'q', n);
    int32_t r = host_call("http.request", 12, big, n);
    uint32_t length = host_read(NULL, 0);
    char *answer = malloc(length + 1);
    memset(answer, 'x', length + 1);
    uint32_t small = host_read(answer, length - 1);
    int untouched = length == 0 || answer[0] == 'x';
    uint32_t again = host_read(answer, length);
    snprintf(text, sizeof text, "%d %d %d %c%c", (int)r, small == length && again == length, untouched, answer[0], answer[length - 1]);
    return message(text);
  }
  if (!strcmp(what, "until stop")) {
    for (;;) {
      host_call("should_stop", 11, "{}", 2);
      uint32_t n = host_read(text, sizeof text - 1);
      text[n < sizeof text ? n : 0] = 0;
      if (strstr(text, "true") != NULL) {
        snprintf(output, sizeof output, "{\"code\":1,\"message\":\"stopping as asked\"}");
        return write_output(1);
      }
    }
  }
  return message("unknown behaviour");
}

EXPORT(elasticjob_execute) int32_t elasticjob_execute(void) {
  uint32_t n = input_read(input, sizeof input - 1);
  if (n >= sizeof input) return 2;
  input[n] = 0;
  calls++;
  member("jobParameter", parameter, sizeof parameter);
  return run(parameter);
}
