"""Installs the .run file in a clean system, uses it, and takes it away; prints what was seen as one JSON object.

    installed_flow.py SYSTEM RUN_FILE

In namespaces of its own, made by test_installed.py: no route out, and what is mounted or left over goes with them.
"""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

SYSTEM, RUN_FILE = Path(sys.argv[1]), Path(sys.argv[2])
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
URL = "http://127.0.0.1:8080"
PASSING = {"proc", "sys", "dev", "tmp", "run", "srv"}  # srv: what the test itself puts there
seen: dict[str, Any] = {}


def inside(*command: str, user: str | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    as_user = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs"] if user else []
    return subprocess.run(
        ["chroot", str(SYSTEM), *as_user, *command],
        capture_output=True, text=True, timeout=300, env=ENVIRONMENT, check=False, **options,
    )  # fmt: skip


def told(answer: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return {"code": answer.returncode, "out": answer.stdout, "err": answer.stderr}


def tree() -> dict[str, str]:
    """Return everything in the system: owner and mode, and of what is no directory its size and when it was changed."""
    found = {}
    for folder, folders, files in os.walk(SYSTEM):
        if Path(folder) == SYSTEM:
            folders[:] = [name for name in folders if name not in PASSING]
        for path in (Path(folder) / name for name in (*folders, *files)):
            told = path.lstat()
            what = "" if stat.S_ISDIR(told.st_mode) else f" {told.st_size} {told.st_mtime_ns}"
            found[str(path.relative_to(SYSTEM))] = f"{told.st_uid}:{told.st_gid} {told.st_mode:o}{what}"
    return found


def status(path: str) -> int:
    try:
        with urlopen(URL + path, timeout=5) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except (URLError, OSError):
        return 0


def until(path: str, secs: float) -> int:
    deadline = time.monotonic() + secs
    while time.monotonic() < deadline and status(path) != 200:
        time.sleep(0.05)
    return status(path)


def served() -> dict[str, Any]:
    """Serve as the service's user and look at it from outside, as a browser would."""
    command = ["chroot", str(SYSTEM), "setpriv", "--reuid", "dash-appliance", "--regid", "dash-appliance"]
    command += ["--clear-groups", "--no-new-privs", "dash-appliance", "serve"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        told: dict[str, Any] = {"readyz": until("/readyz", 60), "page": until("/sign-in", 30)}
        told["at"] = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
        return told | {"stopped": process.returncode, "log": "" if told["page"] == 200 else log[-3000:]}


def installed() -> None:
    """Look first, install, make an administrator, serve, install again."""
    before = tree()
    seen["dry"] = told(inside("/srv/dash.run", "--install", "--dry-run"))
    seen["dry_changed"] = differing(before, tree())
    began = time.monotonic()
    seen["first"] = told(inside("/srv/dash.run", "--install"))
    seen["secs_to_install"] = time.monotonic() - began
    (SYSTEM / "srv" / "password").write_text("correct horse battery staple\n")
    os.chmod(SYSTEM / "srv" / "password", 0o644)
    setup = ("dash-appliance", "setup", "--admin-email", "ada@example.org", "--admin-password-file", "/srv/password")
    seen["setup"] = told(inside(*setup, user="dash-appliance"))
    seen["served"] = served()
    seen["secs_to_page"] = seen["served"].pop("at") - began
    whole = tree()
    seen["again"] = told(inside("/srv/dash.run", "--install"))
    seen["again_changed"] = differing(whole, tree())


def newer() -> None:
    """Install a release of another version over it: the same program, which says another version."""
    newer = SYSTEM / "srv" / "newer"
    shutil.copytree(SYSTEM / "opt/dash-appliance/current", newer, symlinks=True)
    (newer / "dash-appliance").rename(newer / "program")
    says = '#!/bin/sh\n[ "$1" != version ] || { echo dash-appliance 99.0.0; exit; }\n'
    (newer / "dash-appliance").write_text(says + 'exec "$(dirname "$(readlink -f "$0")")/program" "$@"\n')
    (newer / "dash-appliance").chmod(0o755)
    manifest = json.loads((newer / "release.json").read_text())
    (newer / "release.json").write_text(json.dumps(manifest | {"version": "99.0.0"}))
    settings = SYSTEM / "etc/dash-appliance/dash-appliance.toml"
    settings.write_text(settings.read_text().replace('level = "info"', 'level = "warning"'))
    seen["over"] = told(inside("sh", "/srv/newer/installer/install.sh"))
    seen["current"] = os.readlink(SYSTEM / "opt/dash-appliance/current")
    seen["releases"] = sorted(os.listdir(SYSTEM / "opt/dash-appliance/releases"))
    seen["settings_kept"] = 'level = "warning"' in settings.read_text()
    seen["served_over"] = served()
    del seen["served_over"]["at"]


def taken_away() -> None:
    uninstall = "/opt/dash-appliance/current/installer/install.sh"
    seen["removed"] = told(inside("sh", uninstall, "uninstall"))
    seen["program_left"] = (SYSTEM / "opt/dash-appliance").exists()
    seen["data_left"] = (SYSTEM / "var/lib/dash-appliance/control.sqlite3").exists()
    inside("/srv/dash.run", "--install")
    seen["purged"] = told(inside("sh", uninstall, "uninstall", "--purge"))
    seen["user_left"] = "dash-appliance" in (SYSTEM / "etc/passwd").read_text()


def differing(one: dict[str, str], other: dict[str, str]) -> list[str]:
    return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))


def main() -> None:
    shutil.copy(RUN_FILE, SYSTEM / "srv" / "dash.run")
    before = tree()
    installed()
    newer()
    taken_away()
    seen["left"] = sorted(tree().keys() - before.keys())
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
