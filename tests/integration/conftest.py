"""A PostgreSQL of the distribution, of its own, on a Unix socket only; gone after the tests."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def _programs() -> Path:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    assert versions, "there is no PostgreSQL to test with: run 'make tools'"
    return versions[-1].parent


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of an empty database. Its server refuses to run as root, so that then it runs as postgres."""
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="dash-postgresql-") as name:
        folder = Path(name)
        prefix: list[str] = []
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        data = folder / "data"

        def run(program: str, *arguments: str) -> None:
            command = [*prefix, str(programs / program), *arguments]
            answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
            assert answer.returncode == 0, answer.stderr + answer.stdout

        run("initdb", "-D", str(data), "-U", "dash", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            yield f"postgresql+psycopg://dash@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
