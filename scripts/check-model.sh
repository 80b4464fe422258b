#!/usr/bin/env bash
# Checks docs/model with Spin: check-model.sh [quick|whole|broken]. Whole, the model must keep
# its invariants; with one rule taken out it must break the one that is named here.
# quick makes the shortest runs only, whole and broken one half. It uses spin and a C
# compiler, and installs spin where it may: as root, with apt.
set -euo pipefail
model=$(cd "$(dirname "$0")/../docs/model" && pwd)
size=${1:-all}

if ! command -v spin >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing spin"
  apt-get update >/dev/null || true
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends spin >/dev/null || true
fi
if ! command -v spin >/dev/null || ! command -v "${CC:=cc}" >/dev/null; then
  echo "The model needs spin 6.5 and a C compiler: install them (Debian and Ubuntu: apt-get install spin gcc; macOS: brew install spin) and try again." >&2
  exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Of each run: how it searches, which invariant it must break (-: none), and the
# switches. "all" visits every state. "hash" visits as many as fit into a table of bits
# or two minutes, and may miss some.
small="-DNODES=2 -DINSTANTS=2 -DSOME"
once="-DNODES=2 -DINSTANTS=1 -DSOME"
copied="$once -DFAULTS=2 -DMOVES=0 -DPROMOTE -DPROMOTE_FIRST -DLOSES=0 -DLATE"
claimed="$once -DFAULTS=2 -DMOVES=0 -DPROMOTE -DPROMOTE_LAST -DLOSES=1 -DCRASH"
quick=(
  "all  -     $small -DDROP"
  "all  again $small -DFAULTS=0 -DNO_HW"
  "all  one   $small -DFAULTS=0 -DNO_MARKS"
  "all  I4    $small -DFAULTS=0 -DMOVES=2 -DNO_GENERATION"
  "all  one   $claimed -DNO_SEIZURE"
)
whole=(
  "all  -     $small -DFAULTS=0 -DMOVES=2"
  "all  -     -DNODES=2 -DINSTANTS=3 -DSOME -DFAULTS=0"
  "all  -     -DNODES=3 -DINSTANTS=2 -DSOME -DFAULTS=0"
  "all  -     -DNODES=3 -DINSTANTS=2 -DSOME -DCRASH -DMOVES=0"
  "all  -     $small -DCRASH"
  "all  -     $small -DPAUSE -DMOVES=0"
  "all  -     $small -DCUT -DMOVES=0"
  "all  -     $small -DJUMP -DMOVES=0"
  "all  -     $small -DDROP"
  "all  -     $small -DDROP -DJOIN"
  "all  -     $small -DLATE"
  "all  -     $once -DPROMOTE"
  "all  -     $copied"
  "all  -     $claimed"
  "hash -     -DFAULTS=2 -DMOVES=2"
)
broken=(
  "all  again $small -DFAULTS=0 -DNO_FLOORS"
  "all  again $small -DFAULTS=0 -DNO_HW"
  "all  one   $small -DFAULTS=0 -DNO_MARKS"
  "all  one   $small -DCRASH -DNO_QUEUE"
  "all  I1    $small -DCUT -DNO_MARGIN"
  "all  I1    $once -DPROMOTE -DNO_QUARANTINE"
  "all  I1    $small -DJUMP -DNO_GRACE"
  "all  I4    $small -DFAULTS=0 -DMOVES=2 -DNO_GENERATION"
  "all  I1    $small -DPROMOTE -DNO_REASSERTION"
  "all  again $once -DPROMOTE -DNO_DECISION"
  "all  again $small -DPROMOTE -DMOVES=0 -DNO_UNFLAGGING"
  "all  one   $claimed -DNO_SEIZURE"
  "all  I8    $small -DPROMOTE -DNO_ABANDONMENT"
  "all  I4    $once -DPROMOTE -DMOVES=0 -DNO_RETURN"
  "all  I8    $once -DPROMOTE -DMOVES=0 -DNO_LINE"
  "all  I1    $copied -DSTALE_REASSERTION"
  "all  I3    $small -DPROMOTE -DNO_CLOCK"
  "all  I5    $small -DLATE -DNO_ORDER"
  "all  I1    $small -DJUMP -DEARLY_REGISTER"
  "all  I1    $small -DDROP -DJOIN -DNO_EXTENSION"
)
case $size in
  quick) runs=("${quick[@]}") ;;
  whole) runs=("${whole[@]}") ;;
  broken) runs=("${broken[@]}") ;;
  all) runs=("${whole[@]}" "${broken[@]}") ;;
  *) echo "usage: $0 [quick|whole|broken]" >&2; exit 2 ;;
esac

# check makes one run: check NUMBER SEARCH INVARIANT SWITCH...
check() {
  local dir=$work/$1 search=$2 invariant=$3 found states began=$SECONDS level=-O1
  local -a options=(-DSAFETY -DNOREDUCE -DVECTORSZ=512 -DMEMLIM=3000) limits=(-E -m10000)
  shift 3
  # A time limit needs a search that can be interrupted.
  if [ "$search" = hash ]; then options+=(-DBITSTATE); limits+=(-w29 -k3 -Q2); else options+=(-DCOLLAPSE); limits+=(-w22); fi
  # A counterexample comes sooner than a compiler that optimizes.
  if [ "$invariant" != - ]; then level=-O0; fi
  mkdir "$dir" && cp "$model"/*.pml "$dir" && cd "$dir"
  spin "$@" -a marks.pml && "$CC" "$level" -w -o pan pan.c "${options[@]}" && ./pan "${limits[@]}" >out 2>&1 || true
  found=-
  if [ -f marks.pml.trail ]; then
    # The comment on the line of the assertion names the invariant.
    found=$(spin -t "$@" marks.pml | sed -n 's/^spin: \([a-z.]*\):\([0-9]*\), Error: assertion violated.*/\1 \2/p' | head -n 1)
    found=$(sed -n "${found#* }s|.*/\* \([A-Za-z0-9]*\):.*|\1|p" "${found% *}")
  elif ! grep -q 'errors: 0' out || [ "$search" = all ] && grep -q 'Search not completed\|too small\|out of memory' out; then
    found=unfinished
  fi
  states=$(awk '/states, stored/ { print $1 }' out)
  printf '%-4s %-10s %10s %5s %4ss  %s\n' "$search" "${found:-unnamed}" "${states:-0}" \
    "$(sed -n 's/.*depth reached \([0-9]*\),.*/\1/p' out)" "$((SECONDS - began))" "$*"
  if [ "${found:-unnamed}" != "$invariant" ]; then
    echo "     expected $invariant" >&2
    tail -n 3 out >&2
    return 1
  fi
}
export -f check
export work model CC

printf '%-4s %-10s %10s %5s %5s  %s\n' how breaks states depth time switches
number=0
for run in "${runs[@]}"; do
  number=$((number + 1))
  echo "$number $run"
done | xargs -P "$(getconf _NPROCESSORS_ONLN)" -I{} bash -c 'set -eu; check {}'
echo "Every run ended as it must."
