#!/usr/bin/env bash
# Installs what some tests can use and a machine with Go only does not have: a C
# compiler for the race detector, and one that compiles guests in C. It does so
# where it may: as root, with apt. It never fails for lack of the second, as
# those tests then use the prebuilt guest.
set -euo pipefail

missing=()
has_c() { [ "$(go env CGO_ENABLED)" = 1 ] && command -v "$(go env CC)" >/dev/null; }
has_guest_c() { command -v clang-19 >/dev/null && command -v wasm-ld-19 >/dev/null && [ -d /usr/include/wasm32-wasi ]; }
has_c || missing+=(gcc libc6-dev)
has_guest_c || missing+=(clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32)

if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing for the tests: ${missing[*]}"
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "Not all of them could be installed." >&2
  fi
  rm -f "$log"
fi

if ! has_c; then
  echo "The race detector needs a C compiler, such as gcc: install one and try again." >&2
  exit 1
fi
has_guest_c || echo "No clang for wasm32: tests use the prebuilt guest in C."
