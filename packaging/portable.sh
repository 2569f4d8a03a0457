#!/usr/bin/env bash
# Build dist/ so that it runs on every x86-64 Linux with glibc 2.31 or newer (Debian 11, Ubuntu 20.04, RHEL 9).
# The program needs at least the C library that it was linked with, so it is built in Debian 11, by a CPython that is
# built there too. Needs root, debootstrap and the package sources of Debian and PyPI. The first time takes a quarter of
# an hour; the old system is kept in $DASH_PORTABLE_ROOT (build/portable), and later builds take as long as 'make binary'.
set -euo pipefail
cd "$(dirname "$0")/.."

floor=2.31
suite=bullseye
old=$(realpath -m "${DASH_PORTABLE_ROOT:-build/portable}")
packages=(
    binutils bzip2 ca-certificates dpkg-dev file g++ gcc libbz2-dev libc6-dev libffi-dev liblzma-dev make
    patch perl pkg-config tcl uuid-dev xz-utils zlib1g-dev
)

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "error: building for older systems: $*"
    exit 1
}
inside() { # in the old system, with /proc and with /dev/shm for semaphores; nothing stays mounted
    # shellcheck disable=SC2016 # for the inner shell
    unshare --mount --pid --fork --kill-child sh -c '
        mount --make-rprivate / && mount -t proc proc "$0/proc" &&
            mount -t tmpfs tmpfs "$0/dev/shm" && exec chroot "$0" "$@"' "$old" "$@"
}

[ "$(id -u)" = 0 ] || fail "this makes a system of its own and enters it: run it as root"
[ "$(uname -m)" = x86_64 ] || fail "this is for x86-64, and this machine is $(uname -m)"
command -v debootstrap >/dev/null || fail "debootstrap is missing (Debian: apt-get install debootstrap)"

if [ ! -e "$old/.complete" ]; then
    say "Making Debian 11 in $old."
    mkdir -p "$old"
    list=$(IFS=,; echo "${packages[*]}")
    debootstrap --variant=minbase --include="$list" "$suite" "$old" ${DASH_DEBIAN_MIRROR:+"$DASH_DEBIAN_MIRROR"} \
        >"$old.log" 2>&1 || fail "debootstrap did not work: $old.log"
    read -r _ mirror _ <"$old/etc/apt/sources.list"
    printf 'deb-src %s bookworm main\ndeb-src %s-security bookworm-security main\n' "$mirror" "$mirror" \
        >"$old/etc/apt/sources.list.d/newer.list"
    touch "$old/.complete"
fi
cp packaging/portable-python.sh "$old/usr/local/sbin/"
[ -e "$old/opt/python/.python" ] || inside /bin/bash /usr/local/sbin/portable-python.sh || fail "its Python could not be built"

# Exactly what is locked, and only wheels that such an old system can load: another one would be refused here.
libraries=$old/opt/libraries # Debian's Python would not look into its own site-packages
wanted=$(.venv/bin/python packaging/wanted.py)
digest=$(sha256sum <<<"$wanted" | cut -d ' ' -f 1)
if [ "$(cat "$old/opt/.libraries" 2>/dev/null)" != "$digest" ]; then
    say "Installing what is locked."
    rm -rf "$libraries"
    .venv/bin/uv pip install --no-config --quiet --target "$libraries" --python .venv/bin/python --python-version 3.11 \
        --python-platform "x86_64-manylinux_${floor/./_}" --only-binary :all: --require-hashes -r - <<<"$wanted"
    echo "$digest" >"$old/opt/.libraries"
fi

say "Building."
rm -rf "$old/src"
mkdir "$old/src"
git ls-files -z | tar -c --null -T - | tar -x -C "$old/src"
when=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
inside /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C.UTF-8 SOURCE_DATE_EPOCH="$when" \
    PYTHONPATH=/opt/libraries sh -c "cd /src && exec /opt/python/bin/python3.11 packaging/build.py --floor $floor"
mkdir -p dist build
rm -rf dist/dash-appliance
cp -a "$old"/src/dist/. dist/
cp -a "$old"/src/build/{contents,inventory}.json "$old"/src/build/glibc.txt build/
