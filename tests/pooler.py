"""PgBouncer before a server of the tests, on a free port of the loopback."""

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.postgres import OWNER, PostgresServer
from tests.programs import proxy
from tests.running import free_port, until

_SETTINGS = """
[databases]
* = host={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = 10
logfile = {folder}/log
"""


@contextmanager
def pooled(server: PostgresServer, url: str, mode: str) -> Iterator[str]:
    """Give the URL of the database at ``url`` by a pooler in ``mode``: ``transaction`` or ``session``."""
    port, database = free_port(), url.split("?")[0].rpartition("/")[2]
    with tempfile.TemporaryDirectory(prefix="dash-pooler-") as name:
        folder = Path(name)
        (folder / "users").write_text(f'"{OWNER}" ""\n')
        (folder / "ini").write_text(_SETTINGS.format(server=server.folder, port=port, folder=folder, mode=mode))
        command = [proxy("pgbouncer"), "-q", str(folder / "ini")]
        if os.getuid() == 0:  # it refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            command = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *command]
        with subprocess.Popen(command) as running:
            through = f"postgresql://{OWNER}@127.0.0.1:{port}/{database}"
            until(lambda: _answers(through))
            try:
                yield through
            finally:
                running.terminate()


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True
