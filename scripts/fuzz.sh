#!/usr/bin/env bash
# Runs every fuzz target of the tree, one after the other: fuzz.sh TIME
set -euo pipefail
: "${GO:=go}"

found=0
for package in $("$GO" list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do
  targets=$("$GO" test -list '^Fuzz' "$package" | grep '^Fuzz' || true)
  for target in $targets; do
    found=$((found + 1))
    echo "== $target of $package for $1"
    "$GO" test -run '^$' -fuzz "^$target\$" -fuzztime "$1" "$package"
  done
done
if [ "$found" = 0 ]; then
  echo "There is no fuzz target." >&2
  exit 1
fi
echo "$found fuzz targets ran for $1 each."
