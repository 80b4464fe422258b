#!/usr/bin/env bash
# Checks what tests do not: that the module files are tidy, that generated files
# are as their generators write them, that the tree compiles and passes vet on
# all platforms, and that the links of the documentation lead somewhere.
set -euo pipefail
: "${GO:=go}"
: "${PLATFORMS:?is set by the Makefile}"

echo "== go.mod and go.sum are tidy"
"$GO" mod tidy -diff
if [ -f bench/go.mod ]; then
  (cd bench && "$GO" mod tidy -diff)
fi

echo "== generated files are up to date"
tree() { git status --porcelain && git diff; }
before=$(tree)
"$GO" generate ./...
if [ "$(tree)" != "$before" ]; then
  git status --short
  echo "go generate changes files: commit what it writes." >&2
  exit 1
fi

for platform in $PLATFORMS; do
  echo "== go vet for $platform"
  CGO_ENABLED=0 GOOS=${platform%/*} GOARCH=${platform#*/} "$GO" vet ./...
done

echo "== links and references of the documentation"
"$GO" test -run 'Links|Architecture|Dependency|Documented' ./docs
