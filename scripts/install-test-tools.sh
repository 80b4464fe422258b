#!/usr/bin/env bash
# Installs what tests need and a machine with Go only does not have: a C
# compiler for the race detector, redis-server, PostgreSQL, MariaDB, an SMTP server
# in Python, Node.js with npm, Perl, Spin, and a compiler of guests in C. It does so where it
# may: as root, with apt. It fails when one of them is missing in the end.
set -euo pipefail

missing=()
has_c() { [ "$(go env CGO_ENABLED)" = 1 ] && command -v "$(go env CC)" >/dev/null; }
# What counts is whether a program is built: sysroots lie in many places.
has_guest_c() {
  local compiler
  for compiler in clang-19 clang; do
    if echo '#include <stdlib.h>' | "$compiler" --target=wasm32-wasi -mexec-model=reactor -x c - -o /dev/null 2>/dev/null; then return 0; fi
  done
  return 1
}
has_redis() { command -v redis-server >/dev/null; }
# Debian keeps the programs of PostgreSQL away from the PATH.
has_postgres() { command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
has_mariadb() { PATH=$PATH:/usr/sbin command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null; }
# The first python3 of the PATH may be another one than the system's.
has_smtp() { python3 -c 'import aiosmtpd' 2>/dev/null || /usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null; }
has_perl() { perl -e 1 2>/dev/null; }
has_spin() { command -v spin >/dev/null; }
has_node() { command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)' 2>/dev/null; }
has_c || missing+=(gcc libc6-dev)
# Packages that bring a service, and the names of their services.
services=()
has_redis || { missing+=(redis-server); services+=(redis-server); }
has_postgres || { missing+=(postgresql); services+=(postgresql); }
has_mariadb || { missing+=(mariadb-server); services+=(mariadb); }
has_smtp || missing+=(python3-aiosmtpd)
has_perl || missing+=(perl)
has_spin || missing+=(spin)
has_node || missing+=(nodejs npm)
has_guest_c || missing+=(clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32)

# Tests start servers of their own, so the services of packages must not run: not
# now, which a policy of the system forbids as long as packages are installed,
# and not after the next boot. A service that was there before is left alone.
policy=/usr/sbin/policy-rc.d
policy_is_ours=
forbid_services() {
  [ -e "$policy" ] && return
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  policy_is_ours=1
}
allow_services() {
  [ -z "$policy_is_ours" ] || rm -f "$policy"
  policy_is_ours=
}

if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing for the tests: ${missing[*]}"
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  trap allow_services EXIT
  [ ${#services[@]} = 0 ] || forbid_services
  # One by one: what one of them lacks must not keep the others away.
  apt-get update >"$log" 2>&1 || tail -n 5 "$log" >&2
  if ! apt-get install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
    for package in "${missing[@]}"; do
      apt-get install -y --no-install-recommends "$package" >"$log" 2>&1 || tail -n 3 "$log" >&2
    done
  fi
  allow_services
  if command -v systemctl >/dev/null; then
    for service in ${services[@]+"${services[@]}"}; do
      systemctl disable --now "$service" >/dev/null 2>&1 || true
    done
  fi
  rm -f "$log"
fi

status=0
if ! has_c; then
  echo "The race detector needs a C compiler, such as gcc: install one and try again." >&2
  status=1
fi
if ! has_redis; then
  echo "Tests of the registry center need redis-server, 7.0 or later, on the PATH: install it (Debian and Ubuntu: apt-get install redis-server; macOS: brew install redis) and try again." >&2
  status=1
fi
if ! has_postgres; then
  echo "Tests of the job type SQL need the programs of PostgreSQL, 13 or later, on the PATH or in /usr/lib/postgresql: install it (Debian and Ubuntu: apt-get install postgresql; macOS: brew install postgresql) and try again." >&2
  status=1
fi
if ! has_mariadb; then
  echo "Tests of the job type SQL need mariadbd, 10.6 or later, on the PATH: install it (Debian and Ubuntu: apt-get install mariadb-server; macOS: brew install mariadb) and try again." >&2
  status=1
fi
if ! has_smtp; then
  echo "Tests of mails need a python3 with aiosmtpd: install it (Debian and Ubuntu: apt-get install python3-aiosmtpd; elsewhere: pip install aiosmtpd) and try again." >&2
  status=1
fi
if ! has_perl; then
  echo "Tests of scripts need perl on the PATH: install it (Debian and Ubuntu: apt-get install perl) and try again." >&2
  status=1
fi
if ! has_spin; then
  echo "The model in docs/model needs spin 6.5: install it (Debian and Ubuntu: apt-get install spin; macOS: brew install spin) and try again." >&2
  status=1
fi
if ! has_node; then
  echo "Tests of the plugin in JavaScript need Node.js 18 or later with npm on the PATH: install it (Debian and Ubuntu: apt-get install nodejs npm) and try again." >&2
  status=1
fi
if ! has_guest_c; then
  echo "Guests in C need clang for wasm32-wasi with wasi-libc, on the PATH as clang-19 or clang: install it (Debian and Ubuntu: apt-get install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32; elsewhere the wasi-sdk) and try again." >&2
  status=1
fi
exit "$status"
