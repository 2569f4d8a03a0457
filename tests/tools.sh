#!/usr/bin/env bash
# Install from the distribution what the tests drive, each only where it is absent:
# Chromium (screens), PostgreSQL (the control plane's models on their other database), promtool (metrics).
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }
postgresql() { compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || has initdb; }
chromium() { has chromium || has chromium-browser || has google-chrome; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif has sudo; then sudo "$@"; else return 1; fi; }

# shellcheck disable=SC1091
distribution=$(. /etc/os-release 2>/dev/null && echo "${ID:-unknown}" || echo unknown)
missing=()
postgresql || missing+=(postgresql)
has promtool || missing+=(prometheus)
has unshare || missing+=(util-linux)
has ip || missing+=(iproute2)
has xz || missing+=(xz-utils)
has strip || missing+=(binutils)
# Ubuntu's package of that name only fetches a snap, which does not start in a container.
[ "$distribution" = ubuntu ] || chromium || missing+=(chromium)

if [ ${#missing[@]} -gt 0 ]; then
    has apt-get || { say "The tests need ${missing[*]}: install them; this script knows only apt-get."; exit 1; }
    say "Installing for the tests: ${missing[*]}"
    # Services must not start beside the tests: they start their own.
    as_root mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy \
        --no-install-recommends "${missing[@]}"; } >&2 || {
        say "Installing ${missing[*]} did not work: install them as root, then run this again."
        exit 1
    }
fi
if ! chromium; then
    say "Installing for the tests: Chromium through Playwright"
    .venv/bin/python -m playwright install --with-deps chromium >&2
fi
