#!/usr/bin/env bash
# The private environment of this checkout.
#   environment.sh create PYTHON VENV           make it; installs the distribution's venv module if that is missing
#   environment.sh install VENV REQUIREMENTS    install exactly what the lock file lists, each by its hash
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else return 1; fi
}

create() {
    local python=$1 venv=$2 version
    command -v "$python" >/dev/null || {
        say "Making $venv: there is no $python; install Python 3.11 or newer, or say 'make PYTHON=/path/to/python3'."
        exit 1
    }
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        say "Making $venv: $python is version $version, 3.11 or newer is needed; say 'make PYTHON=/path/to/python3'."
        exit 1
    }
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        say "Making $venv: $python lacks the venv module, installing python3-venv from the distribution."
        { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
            python3-venv "python$version-venv"; } >&2 || {
            say "Making $venv: installing python3-venv did not work; install it as root (apt-get install python3-venv)."
            exit 1
        }
    fi
    say "Making $venv with Python $version."
    "$python" -m venv "$venv"
}

install() {
    local venv=$1 requirements=$2
    say "Installing $requirements into $venv (once; a few minutes on a slow line)."
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r "$requirements"
}

case ${1:-} in
    create) create "$2" "$3" ;;
    install) install "$2" "$3" ;;
    *) say "usage: environment.sh create PYTHON VENV | install VENV REQUIREMENTS"; exit 2 ;;
esac
