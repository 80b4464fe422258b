// A WASI command whose item does what its parameter says. command.wasm is made
// of it:
//
//   clang-19 --target=wasm32-wasi -Os -s -o command.wasm command.c

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char context[1 << 14];

static int is(const char *parameter) {
  char member[128];
  snprintf(member, sizeof member, "\"shardingParameter\":\"%s\"", parameter);
  return strstr(context, member) != NULL;
}

int main(int argc, char **argv) {
  fread(context, 1, sizeof context - 1, stdin);
  if (strcmp(context, argv[argc - 1]) != 0) {
    fprintf(stderr, "stdin and the last argument differ\n");
    return 9;
  }
  if (is("fail")) {
    fprintf(stderr, "this city is unknown\n");
    return 3;
  }
  if (is("sleep")) {
    printf("sleeping\n");
    fflush(stdout);
    sleep(3600);
  }
  printf("%s\n", context);
  return 0;
}
