#!/usr/bin/env bash
# Runs inside the old distribution, called by portable.sh: builds OpenSSL, SQLite and CPython from Debian's newer sources
# into /opt/python. The old distribution has the old C library, which decides where the program starts; its own SQLite and
# OpenSSL are too old to carry on, and its Python is 3.9.
set -euo pipefail
into=/opt/python
sources=/usr/src/portable
say() { printf '%s\n' "$*" >&2; }

# A source package, by apt, which proves it by Debian's signature. A mirror may lack the newest: then the one before.
fetch() {
    local package=$1 version
    for version in $(apt-cache showsrc "$package" | sed -n 's/^Version: //p' | sort -Vru); do
        if apt-get source -qq --download-only -o APT::Sandbox::User=root "$package=$version" >/dev/null 2>&1; then
            dpkg-source --no-check -x "${package}_${version#*:}.dsc" "$package" >/dev/null
            return
        fi
    done
    say "Fetching the source of $package: no version of it could be had; is the network there?"
    return 1
}

build_openssl() {
    cd "$sources/openssl"
    # Configuration and roots of the machine it runs on, as Debian and its relatives have them.
    # shellcheck disable=SC2016 # a variable of its makefile
    ./Configure linux-x86_64 --prefix=$into --libdir=lib --openssldir=/etc/ssl shared no-tests no-ssl3 no-legacy \
        -Wl,-rpath,'$(LIBRPATH)' >/dev/null
    make -s -j"${JOBS:-2}" build_sw >/dev/null
    make -s install_sw >/dev/null
    install -Dm 644 LICENSE.txt $into/share/licenses/openssl.txt
}

build_sqlite() {
    cd "$sources/sqlite3"
    CFLAGS="-O2 -DSQLITE_ENABLE_COLUMN_METADATA -DSQLITE_ENABLE_DBSTAT_VTAB -DSQLITE_ENABLE_MATH_FUNCTIONS \
        -DSQLITE_SECURE_DELETE -DSQLITE_THREADSAFE=1" \
        ./configure --prefix=$into --disable-static --disable-tcl --disable-readline --enable-fts5 --enable-rtree >/dev/null
    make -s -j"${JOBS:-2}" >/dev/null
    make -s install >/dev/null
    install -Dm 644 LICENSE.md $into/share/licenses/sqlite.txt
}

build_python() {
    cd "$sources/python3.11"
    # Debian links this module into the interpreter, and mends it with what only a part of the interpreter may include.
    grep -q Py_BUILD_CORE Modules/pyexpat.c || sed -i '1i #define Py_BUILD_CORE_MODULE 1' Modules/pyexpat.c
    # No profile-guided optimisation: what a profile counts is another thing each time, and so would be the bytes.
    # Without interposition, calls within libpython are direct: most of what a profile would give.
    CFLAGS_NODIST=-fno-semantic-interposition LDFLAGS_NODIST="-fno-semantic-interposition -Wl,--build-id=none" \
        LDFLAGS="-L$into/lib -Wl,-rpath,$into/lib" CPPFLAGS="-I$into/include" \
        PKG_CONFIG_PATH=$into/lib/pkgconfig \
        ./configure --prefix=$into --enable-shared --with-openssl=$into --with-openssl-rpath=auto \
        --without-ensurepip --disable-test-modules >/dev/null
    make -s -j"${JOBS:-2}" >/dev/null 2>"$sources/python.log" || { tail -n 20 "$sources/python.log" >&2; exit 1; }
    make -s altinstall >/dev/null 2>&1
    "$into/bin/python3.11" -c '
import bz2, ctypes, lzma, pyexpat, sqlite3, ssl, sys, uuid, zlib, zoneinfo, _elementtree
from _multiprocessing import SemLock  # missing where there was no /dev/shm
print("Python", sys.version.split()[0], "/", ssl.OPENSSL_VERSION, "/ SQLite", sqlite3.sqlite_version)' >&2
}

export SOURCE_DATE_EPOCH=1700000000 DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
mkdir -p "$sources"
cd "$sources"
say "Fetching the sources of OpenSSL, SQLite and Python."
apt-get update -qq
for package in openssl sqlite3 python3.11; do [ -d $package ] || fetch $package; done
for part in openssl sqlite python; do
    [ -e $into/.$part ] || { say "Building $part."; "build_$part"; touch $into/.$part; }
done
