#!/bin/sh
# Installs Dash on this machine, or takes it away. Needs no network. Running it again changes nothing that is right.
#
#   install.sh [install]     [--bundle PATH] [--no-start] [--root DIR] [--dry-run]
#   install.sh refresh       [--root DIR] [--dry-run]
#   install.sh uninstall     [--purge] [--root DIR] [--dry-run]
#
#   refresh         only what this release has outside of its folder: units, completions, manual page. Upgrades do it
#   --bundle PATH   the program: its folder, or the .tar.xz. Without it: the folder that this script came in
#   --no-start      do not start the service, and leave a running one as it is
#   --root DIR      install below DIR, for an image; makes no user and starts nothing
#   --dry-run       only say what would be done
#   --purge         also remove data, configuration, secrets and the user. Nothing brings them back
set -eu
umask 022
PATH=$PATH:/usr/sbin:/sbin

name=dash-appliance
program=/opt/$name
data=/var/lib/$name
config=/etc/$name
units=/etc/systemd/system
unit=$units/$name.service
least_kib=700000

action='' bundle='' root='' dry='' purge='' start=yes left_out=''

say() { printf '%s\n' "$*"; }
fail() {
    code=$1
    shift
    printf 'error: %s\n' "$*" >&2
    exit "$code"
}
leave_out() { left_out="$left_out
  - $*"; }
has() { command -v "$1" >/dev/null 2>&1; }
booted() { [ -z "$root" ] && [ -d /run/systemd/system ] && has systemctl; }

# Everything that changes something goes through here: a dry run says it instead.
run() {
    if [ -n "$dry" ]; then say "would run: $*"; else "$@"; fi
}

arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
            install | refresh | uninstall)
                [ -z "$action" ] || fail 2 "'$1': one of install, refresh and uninstall at a time"
                action=$1
                ;;
            --bundle | --root)
                [ $# -ge 2 ] && [ -n "$2" ] || fail 2 "$1 needs a path"
                if [ "$1" = --root ]; then root=$2; else bundle=$2; fi
                shift
                ;;
            --dry-run) dry=yes ;;
            --no-start) start='' ;;
            --purge) purge=yes ;;
            -h | --help)
                sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$0"
                exit 0
                ;;
            *) fail 2 "there is no option '$1'; see --help" ;;
        esac
        shift
    done
    action=${action:-install}
    [ -z "$purge" ] || [ "$action" = uninstall ] || fail 2 "--purge belongs to uninstall"
    [ -z "$bundle" ] || [ "$action" = install ] || fail 2 "--bundle belongs to install"
    case $root in
        '') ;;
        /) root='' ;;
        /*) root=${root%/} ;;
        *) root=$PWD/${root%/} ;;
    esac
    [ -n "$root" ] || [ -n "$dry" ] || [ "$(id -u)" = 0 ] || fail 1 "installing for the whole machine needs root: sudo $0"
    [ -n "$root" ] || ! has dpkg-query || ! dpkg-query -W -f '${db:Status-Status}' $name 2>/dev/null | grep -qx installed ||
        fail 1 "$name is here as a package; use apt for it (apt install ./…deb, apt remove $name)"
}

# --- install ---------------------------------------------------------------------------------------------------------

find_bundle() { # sets bundle to a folder, scratch to what is to be removed at the end
    scratch=
    [ -n "$bundle" ] || bundle=$(cd "$(dirname "$0")/.." && pwd)
    if [ -f "$bundle" ]; then
        has tar && has xz || fail 69 "unpacking $bundle needs tar and xz; run the .run file instead, which brings its own"
        scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/$name.XXXXXXXX")
        trap 'rm -rf "$scratch"' EXIT
        trap 'exit 130' INT TERM HUP
        tar -xJf "$bundle" -C "$scratch" || fail 1 "$bundle cannot be unpacked: is it whole, and is there room in $scratch?"
        bundle=$scratch/$name
    fi
    [ -x "$bundle/$name" ] && [ -d "$bundle/installer" ] ||
        fail 1 "there is no program in $bundle; say where it is: --bundle PATH"
    version=$("$bundle/$name" version 2>/dev/null) || {
        "$bundle/$name" version >&2 || true
        fail 1 "the program in $bundle does not run here: its message is above this line"
    }
    version=${version##* }
}

room() {
    at=$root/opt
    while [ ! -d "$at" ]; do at=$(dirname "$at"); done
    free=$(df -Pk "$at" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge $least_kib ] || fail 73 "$at has $((free / 1024)) MiB free, and $((least_kib / 1024)) MiB are needed"
}

make_user() {
    if [ -n "$root" ]; then
        leave_out "no user: '$name' is made when this script runs in that system, or by its image"
        return
    fi
    if ! getent group $name >/dev/null; then
        if has groupadd; then run groupadd --system $name; else run addgroup -S $name; fi
    fi
    getent passwd $name >/dev/null && return
    nologin=/usr/sbin/nologin
    [ -x $nologin ] || nologin=/sbin/nologin
    if has useradd; then
        run useradd --system --gid $name --home-dir $data --no-create-home --shell $nologin --comment 'Dash appliance' $name
    else
        run adduser -S -D -H -G $name -h $data -s $nologin $name
    fi
}

# A directory, its mode and its owner. Owners are left alone below --root: the users of that system are not ours.
directory() {
    [ -d "$root$1" ] || run mkdir -p "$root$1"
    own "$1" "$2" "$3"
}
own() {
    if [ -n "$dry" ] && [ ! -e "$root$1" ]; then return; fi
    [ "$(stat -c %a "$root$1")" = "$2" ] || run chmod "$2" "$root$1"
    if [ -z "$root" ] && [ "$(stat -c %U:%G "$1")" != "$3" ]; then run chown "$3" "$1"; fi
}

# A file as it is in the bundle, written beside its place and renamed into it.
file() { # from, to, mode
    cmp -s "$1" "$root$2" && return
    run mkdir -p "$root$(dirname "$2")"
    run cp "$1" "$root$2.new"
    run chmod "$3" "$root$2.new"
    run mv -f "$root$2.new" "$root$2"
    changed=yes
}

# Where a path leads is changed in one step: nobody sees it missing.
link() { # target, path
    [ "$(readlink "$root$2" 2>/dev/null)" = "$1" ] && return
    [ ! -e "$root$2" ] || [ -L "$root$2" ] || fail 1 "$2 is not a link of ours; move it away first"
    run mkdir -p "$root$(dirname "$2")"
    run ln -sfn "$1" "$root$2.new"
    run mv -fT "$root$2.new" "$root$2"
    changed=yes
}

release() {
    home=$program/releases/$version
    directory $program 755 root:root
    directory $program/releases 755 root:root
    if [ -f "$root$home/release.json" ] && cmp -s "$bundle/release.json" "$root$home/release.json"; then
        say "Release $version is here already."
    else
        say "Installing release $version into $root$home."
        run rm -rf "$root$home.new" "$root$home.old"
        run cp -a "$bundle" "$root$home.new"
        run rm -f "$root$home.new/.whole"
        [ "$(id -u)" != 0 ] || run chown -R -h 0:0 "$root$home.new"
        run chmod -R u=rwX,go=rX "$root$home.new"
        run sync
        # Another build of this version: what runs has its files open, and goes on until it is started again.
        [ ! -e "$root$home" ] || run mv -T "$root$home" "$root$home.old"
        run mv -T "$root$home.new" "$root$home"
        run rm -rf "$root$home.old"
        changed=yes
    fi
    link "releases/$version" $program/current
    link $program/current/$name /usr/bin/$name
}

configuration() {
    directory $data 700 $name:$name
    directory $config 750 root:$name
    directory $config/credentials 700 root:root
    for secret in database.url archive.secret_key; do
        [ -e "$root$config/credentials/$secret" ] || run touch "$root$config/credentials/$secret"
        own "$config/credentials/$secret" 600 root:root
    done
    if cmp -s "$bundle/installer/$name.toml" "$root$config/$name.toml"; then
        :
    elif [ -e "$root$config/$name.toml" ]; then
        # What an administrator wrote stays; what this release would have written lies beside it.
        file "$bundle/installer/$name.toml" "$config/$name.toml.example" 644
    else
        file "$bundle/installer/$name.toml" "$config/$name.toml" 640
    fi
    own "$config/$name.toml" 640 root:$name
}

extras() {
    complete=$bundle/installer/completion
    file "$complete/$name.bash" /usr/share/bash-completion/completions/$name 644
    file "$complete/_$name" /usr/share/zsh/site-functions/_$name 644
    file "$complete/$name.fish" /usr/share/fish/vendor_completions.d/$name.fish 644
    file "$bundle/installer/$name.1" /usr/share/man/man1/$name.1 644
}

service() {
    if [ -z "$root" ] && ! has systemctl; then
        leave_out "no systemd here, so no service: start it with
      setpriv --reuid $name --regid $name --clear-groups $name serve
    or from whatever starts programs here; it logs to standard error and stops on SIGTERM"
        return
    fi
    was=$changed
    changed=
    unit_files
    if booted; then
        [ -z "$changed" ] || run systemctl daemon-reload
        systemctl is-enabled --quiet $name 2>/dev/null || run systemctl enable --quiet $name
        systemctl is-enabled --quiet $name-resume 2>/dev/null || run systemctl enable --quiet $name-resume
        # Waits for an upgrade that is asked for on screen; it costs nothing until then.
        systemctl is-active --quiet $name-upgrade.path || run systemctl enable --quiet --now $name-upgrade.path
    else
        for wanted in $name.service $name-resume.service $name-upgrade.path; do
            link "$units/$wanted" "$units/multi-user.target.wants/$wanted"
        done
        leave_out "systemd does not run here: the service is enabled, and begins when this system is started"
    fi
    changed=$was$changed
}

unit_files() {
    for one in $name.service $name-resume.service $name-upgrade.service $name-upgrade.path; do
        file "$bundle/installer/$one" "$units/$one" 644
    done
}

begin() {
    booted || return 0
    if [ -z "$start" ]; then
        leave_out "the service was not started (--no-start): systemctl restart $name"
    elif ! systemctl is-active --quiet $name; then
        run systemctl start $name || fail 69 "the service did not start: journalctl -u $name -n 50 says why"
    elif [ -n "$changed" ]; then
        run systemctl restart $name || fail 69 "the service did not start again: journalctl -u $name -n 50 says why"
    fi
}

setting() { # a value of [server] as it is in the file
    sed -n "/^\[server\]/,/^\[[^s]/s/^$1 *= *\"\{0,1\}\([^\"#]*[^\"# ]\).*/\1/p" "$root$config/$name.toml" 2>/dev/null | head -n 1
}

hints() {
    host=$(setting host) port=$(setting port)
    host=${host:-127.0.0.1} port=${port:-8080}
    say "Dash is at http://$host:$port/ - open it to make the first administrator, or see '$name setup --help'."
    case $host in
        127.* | ::1 | localhost)
            say "Only this machine reaches it. For others: a front door with TLS, or server.host in $config/$name.toml." ;;
        *)
            if has firewall-cmd && firewall-cmd --state >/dev/null 2>&1; then
                say "Firewall: firewall-cmd --permanent --add-port=$port/tcp && firewall-cmd --reload"
            elif has ufw && ufw status 2>/dev/null | grep -q '^Status: active'; then
                say "Firewall: ufw allow $port/tcp"
            elif has nft && nft list ruleset 2>/dev/null | grep -q 'hook input'; then
                say "Firewall: this machine filters with nftables; let TCP port $port in."
            fi ;;
    esac
    if booted; then say "Its log: journalctl -u $name"; fi
}

install() {
    find_bundle
    room
    changed=
    make_user
    release
    configuration
    extras
    service
    begin
    if [ -n "$dry" ]; then
        say "That was a dry run: nothing was changed."
        return
    fi
    hints
    if [ -n "$changed" ]; then say "Installed: $name $version."; else say "Nothing to do: $name $version is installed."; fi
    [ -z "$left_out" ] || say "Left out:$left_out"
}

# A release that takes the place of another: whoever switched a unit off finds it off, and a new one is switched on.
refresh() {
    find_bundle
    changed='' news=''
    for one in $name-resume.service $name-upgrade.path; do
        [ -e "$root$units/$one" ] || news="$news $one"
    done
    extras
    unit_files
    booted || return 0
    [ -z "$changed" ] || run systemctl daemon-reload
    for one in $news; do
        case $one in *.path) run systemctl enable --quiet --now "$one" ;; *) run systemctl enable --quiet "$one" ;; esac
    done
}

# --- uninstall -------------------------------------------------------------------------------------------------------

ours() { # a link that leads to us
    case $(readlink "$root$1" 2>/dev/null) in "$program"/* | "$units/$name"*) return 0 ;; esac
    return 1
}

gone() { # paths
    for path; do
        if [ -e "$root$path" ] || [ -L "$root$path" ]; then run rm -rf "$root$path"; fi
    done
}

empty_gone() { # folders that we may have made, innermost first
    for path; do
        if [ -d "$root$path" ] && [ -z "$(ls -A "$root$path")" ]; then run rmdir "$root$path"; fi
    done
}

uninstall() {
    take_away
    [ -z "$dry" ] || say "That was a dry run: nothing was changed."
}

take_away() {
    if booted && [ -e $unit ]; then
        run systemctl disable --quiet --now $name-upgrade.path $name-resume $name
    fi
    for wants in $name.service $name-resume.service $name-upgrade.path; do
        ! ours "$units/multi-user.target.wants/$wants" || gone "$units/multi-user.target.wants/$wants"
    done
    gone $unit $units/$name-resume.service $units/$name-upgrade.service $units/$name-upgrade.path
    ! booted || run systemctl daemon-reload
    ! ours /usr/bin/$name || gone /usr/bin/$name
    gone /usr/share/bash-completion/completions/$name /usr/share/zsh/site-functions/_$name \
        /usr/share/fish/vendor_completions.d/$name.fish /usr/share/man/man1/$name.1 $program
    empty_gone /usr/share/fish/vendor_completions.d /usr/share/fish /usr/share/zsh/site-functions /usr/share/zsh
    if [ -n "$purge" ]; then
        gone $data $config
        if [ -z "$root" ] && getent passwd $name >/dev/null; then
            if has userdel; then run userdel $name; else run deluser $name; fi
        fi
        if [ -z "$root" ] && getent group $name >/dev/null; then
            if has groupdel; then run groupdel $name; else run delgroup $name; fi
        fi
        [ -n "$dry" ] || say "Removed: $name, its data, its configuration and its user."
    elif [ -z "$dry" ]; then
        say "Removed: $name. Kept: $data, $config and the user $name ('uninstall --purge' removes them for good)."
    fi
}

arguments "$@"
$action
