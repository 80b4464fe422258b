#!/usr/bin/env bash
# Writes the Go files of all .proto files in a folder anew: generate-proto.sh DIR
# Everything that takes part is a Go program of a pinned version; no protoc is
# needed. The generators are those of scripts/protogen/go.mod.
set -euo pipefail
: "${GO:=go}"

target=$(cd "$1" && pwd)
cd "$(dirname "$0")/protogen"
# The settings of a cross compilation are not for the generators.
exec env -u GOOS -u GOARCH "$GO" run . "$target"
