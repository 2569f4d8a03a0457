#!/bin/sh
# Dash appliance @VERSION@ for Linux x86-64, in one file. Unpacks itself once, then runs from there.
#   dash-appliance-@VERSION@-linux-x86_64.run [--extract-to DIR] COMMAND...
#   dash-appliance-@VERSION@-linux-x86_64.run --install [OPTIONS of installer/install.sh, such as --dry-run]
# Without --extract-to it unpacks below $XDG_CACHE_HOME or ~/.cache. The folder is named for the content, so that another
# version never mixes with this one; it is renamed into place when it is whole.
set -eu
umask 022
self=$0
version=@VERSION@
digest=@DIGEST@
decoder_at=@DECODER_AT@ decoder_size=@DECODER_SIZE@
payload_at=@PAYLOAD_AT@ payload_size=@PAYLOAD_SIZE@

fail() {
    code=$1
    shift
    printf 'error: unpacking Dash: %s\n' "$*" >&2
    exit "$code"
}
part() { tail -c "+$1" "$self" | head -c "$2"; }

into='' installing=''
case ${1:-} in
    --install)
        shift
        installing=yes
        into=$(mktemp -d "${TMPDIR:-/var/tmp}/dash-appliance.XXXXXXXX") ||
            fail 73 "${TMPDIR:-/var/tmp} cannot be written; set TMPDIR to a directory with 300 MB"
        trap 'rm -rf "$into"' EXIT
        trap 'exit 130' INT TERM HUP
        ;;
    --extract-to)
        [ $# -ge 2 ] && [ -n "$2" ] || fail 2 "--extract-to needs a directory"
        into=$2
        shift 2
        ;;
    --extract-to=?*)
        into=${1#--extract-to=}
        shift
        ;;
esac
if [ -z "$into" ]; then
    cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
    [ -n "$cache" ] || fail 73 "this user has no home directory; say --extract-to DIR first, a directory it may write"
    into=$cache/dash-appliance
fi
case $into in /*) ;; *) into=$PWD/$into ;; esac
home=$into/dash-appliance-$version-$(printf '%.16s' "$digest")

if [ ! -e "$home/.whole" ]; then
    mkdir -p "$into" 2>/dev/null && [ -w "$into" ] ||
        fail 73 "$into cannot be written; say --extract-to DIR first, with another directory"
    scratch=$(mktemp -d "$into/.unpacking.XXXXXXXX") || fail 73 "$into cannot be written, or is full"
    [ -n "$installing" ] || trap 'rm -rf "$scratch"' EXIT
    trap 'exit 130' INT TERM HUP
    found=$(part "$payload_at" "$payload_size" | sha256sum | cut -d ' ' -f 1)
    [ "$found" = "$digest" ] || fail 1 "$self is damaged (SHA-256 $found, expected $digest); copy it again"
    mkdir "$scratch/decoder"
    part "$decoder_at" "$decoder_size" | gzip -dc | tar -xf - -C "$scratch/decoder" ||
        fail 73 "writing to $into failed; is the disk full?"
    LD_LIBRARY_PATH=$scratch/decoder "$scratch/decoder/xz" --version >/dev/null 2>&1 ||
        fail 73 "programs cannot run from $into (is it mounted noexec?); say --extract-to DIR first, or set TMPDIR"
    part "$payload_at" "$payload_size" | LD_LIBRARY_PATH=$scratch/decoder "$scratch/decoder/xz" -dc |
        tar -xf - -C "$scratch" 2>/dev/null || fail 73 "writing to $into failed; is the disk full?"
    rm -rf "$scratch/decoder"
    [ -x "$scratch/dash-appliance/dash-appliance" ] || fail 73 "writing to $into failed; is the disk full?"
    sync
    : >"$scratch/dash-appliance/.whole"
    # Somebody else may have been quicker: then theirs is as good, and this copy goes.
    mv -T "$scratch/dash-appliance" "$home" 2>/dev/null || [ -e "$home/.whole" ] ||
        fail 73 "$home cannot be made; remove it if it is there"
    rm -rf "$scratch"
    [ -n "$installing" ] || trap - EXIT INT TERM HUP
fi
if [ -n "$installing" ]; then
    code=0
    sh "$home/installer/install.sh" install "$@" || code=$?
    exit "$code"
fi
exec "$home/dash-appliance" "$@"
exit 70
