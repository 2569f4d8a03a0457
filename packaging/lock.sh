#!/usr/bin/env bash
# Write the lock files anew from pyproject.toml (make lock). Arguments go to uv, e.g. --upgrade or -P name.
# One file serves CPython 3.11 and later on Linux; every wheel and sdist of a version is listed by hash.
set -euo pipefail
cd "$(dirname "$0")/.."
lock() { # output, then what to resolve
    local output=$1
    shift
    .venv/bin/uv pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-annotate --no-header --no-strip-markers \
        --output-file "$output" "$@" >/dev/null
    # What only other systems need is never looked at here, and would not be tested.
    python3 - "$output" <<'PY'
import re, sys
path = sys.argv[1]
text = open(path).read()
text = re.sub(r"(?m)^\S+ ; [^\n]*sys_platform == 'win32'[^\n]*\\\n(?:    --hash=\S+(?: \\)?\n)+", "", text)
open(path, "w").write(text)
PY
}
lock packaging/requirements.txt pyproject.toml "$@"
lock packaging/requirements-dev.txt pyproject.toml --group dev -c packaging/requirements.txt "$@"
