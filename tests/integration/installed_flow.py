"""Installs the .run file in a clean system, uses it, and takes it away; prints what was seen as one JSON object.

    installed_flow.py SYSTEM RUN_FILE

In namespaces of its own, made by test_installed.py: no route out, and what is mounted or left over goes with them.
"""

import json
import os
import shutil
import signal
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
HERE = ("opt", "usr", "etc", "var/lib/dash-appliance")
seen: dict[str, Any] = {}


def inside(*command: str, user: str | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    as_user = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs"] if user else []
    return subprocess.run(
        ["chroot", str(SYSTEM), *as_user, *command],
        capture_output=True, text=True, timeout=300, env=ENVIRONMENT, check=False, **options,
    )  # fmt: skip


def told(answer: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return {"code": answer.returncode, "out": answer.stdout, "err": answer.stderr}


def tree() -> list[str]:
    """Return every file below what an installer may touch, with its size and when it was changed."""
    found = [path for name in HERE for path in (SYSTEM / name).rglob("*")]
    return sorted(f"{path} {path.lstat().st_size} {path.lstat().st_mtime_ns}" for path in found if not path.is_dir())


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


def served(began: float) -> None:
    """Serve as the service's user and look at it from outside, as a browser would."""
    command = ["chroot", str(SYSTEM), "setpriv", "--reuid", "dash-appliance", "--regid", "dash-appliance"]
    command += ["--clear-groups", "--no-new-privs", "dash-appliance", "serve"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        seen["readyz"] = until("/readyz", 60)
        seen["page"] = until("/sign-in", 30)
        seen["secs_to_page"] = time.monotonic() - began
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
        seen["stopped"] = process.returncode
        seen["log"] = "" if seen["page"] == 200 else log[-3000:]


def main() -> None:
    shutil.copy(RUN_FILE, SYSTEM / "srv" / "dash.run")
    before = tree()
    seen["dry"] = told(inside("/srv/dash.run", "--install", "--dry-run"))
    seen["dry_changed"] = tree() != before
    began = time.monotonic()
    seen["first"] = told(inside("/srv/dash.run", "--install"))
    seen["secs_to_install"] = time.monotonic() - began
    (SYSTEM / "srv" / "password").write_text("correct horse battery staple\n")
    os.chmod(SYSTEM / "srv" / "password", 0o644)
    setup = ("dash-appliance", "setup", "--admin-email", "ada@example.org", "--admin-password-file", "/srv/password")
    seen["setup"] = told(inside(*setup, user="dash-appliance"))
    served(began)
    installed = tree()
    seen["again"] = told(inside("/srv/dash.run", "--install"))
    seen["again_changed"] = tree() != installed
    uninstall = "/opt/dash-appliance/current/installer/install.sh"
    seen["removed"] = told(inside("sh", uninstall, "uninstall"))
    seen["program_left"] = (SYSTEM / "opt/dash-appliance").exists()
    seen["data_left"] = (SYSTEM / "var/lib/dash-appliance/control.sqlite3").exists()
    inside("/srv/dash.run", "--install")
    seen["purged"] = told(inside("sh", uninstall, "uninstall", "--purge"))
    seen["left"] = [str(path) for name in HERE for path in (SYSTEM / name).rglob("*dash-appliance*")]
    seen["user_left"] = "dash-appliance" in (SYSTEM / "etc/passwd").read_text()
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
