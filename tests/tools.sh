#!/usr/bin/env bash
# Install from the distribution what the tests drive, each only where it is absent:
# Chromium (screens), PostgreSQL (the control plane on its other database), promtool (metrics), nginx and HAProxy (front
# doors), PgBouncer (before a database), and small programs.
# 'tools.sh bench' also installs wrk, the client of the benchmarks.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }
has() { PATH=$PATH:.venv/bin:/usr/sbin command -v "$1" >/dev/null 2>&1; }
# Not named for the programs: 'command -v' finds functions too.
a_database() { has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
a_browser() { has chromium || has chromium-browser || has google-chrome; }
# Debian's interpreter does not need its own shared library; the program that PyInstaller builds does.
libpython() {
    .venv/bin/python -c '
import ctypes, sysconfig
if sysconfig.get_config_var("Py_ENABLE_SHARED"):
    ctypes.CDLL(sysconfig.get_config_var("INSTSONAME"))' 2>/dev/null
}
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif has sudo; then sudo "$@"; else return 1; fi; }

# shellcheck disable=SC1091
distribution=$(. /etc/os-release 2>/dev/null && echo "${ID:-unknown}" || echo unknown)
missing=()
has unshare || missing+=(util-linux)
has ip || missing+=(iproute2)
has xz || missing+=(xz-utils)
has strip || missing+=(binutils)
has shellcheck || missing+=(shellcheck)
has ssh-keygen || missing+=(openssh-client)
has strace || missing+=(strace)
has faketime || missing+=(faketime)
a_database || missing+=(postgresql)
has nginx || missing+=(nginx)
has haproxy || missing+=(haproxy)
has pgbouncer || missing+=(pgbouncer)
libpython || missing+=("libpython$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')")
[ "${1:-}" != bench ] || has wrk || missing+=(wrk)
# Ubuntu's package of that name only fetches a snap, which does not start in a container.
[ "$distribution" = ubuntu ] || a_browser || missing+=(chromium)

if [ ${#missing[@]} -gt 0 ] || ! has promtool; then
    has apt-get || { say "The tests need ${missing[*]} and promtool: install them; this script knows only apt-get."; exit 1; }
    as_root apt-get update -q >&2 || { say "'apt-get update' did not work: run it as root, then this again."; exit 1; }
fi
if [ ${#missing[@]} -gt 0 ]; then
    say "Installing for the tests: ${missing[*]}"
    if [[ " ${missing[*]} " == *" postgresql "* ]] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        # The tests start servers of their own: the package shall not start one at every boot.
        as_root mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}" >&2 || {
        say "Installing ${missing[*]} did not work: install them as root, then run this again."
        exit 1
    }
fi
if [[ " ${missing[*]} " =~ " nginx "|" haproxy "|" pgbouncer " ]] && has systemctl; then
    # The packages start a server each: the tests start their own.
    as_root systemctl disable --now nginx haproxy pgbouncer >/dev/null 2>&1 || true
fi
if ! a_browser; then
    say "Installing for the tests: Chromium through Playwright"
    .venv/bin/python -m playwright install --with-deps chromium >&2
fi
if ! has promtool; then
    # Only the tool: installing the package would start a Prometheus.
    say "Fetching for the tests: promtool"
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    (cd "$scratch" && apt-get download -q prometheus >&2 && dpkg -x prometheus_*.deb .)
    install -m 755 "$scratch/usr/bin/promtool" .venv/bin/promtool
fi
