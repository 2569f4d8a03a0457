"""A PostgreSQL of the distribution, of its own, on a Unix socket only; gone after the tests."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg

OWNER = "dash"
BIN = "DASH_TEST_POSTGRES_BIN"  # names the folder of another PostgreSQL's programs
SETTINGS = {"listen_addresses": "", "fsync": "off", "max_connections": "200"}


def programs() -> Path:
    """Return the folder of ``initdb`` and ``pg_ctl``; without a word of the environment the newest that is there."""
    if named := os.environ.get(BIN):
        assert (Path(named) / "initdb").exists(), f"{BIN} names {named!r}, and there is no initdb in it"
        return Path(named)
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    assert versions, "there is no PostgreSQL to test with: run 'make tools'"
    return versions[-1].parent


class PostgresServer:
    """A server on ``folder``. It refuses to run as root, so that then it runs as postgres."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder, self.data = folder, folder / "data"
        self.settings = {**SETTINGS, "unix_socket_directories": str(folder), **(settings or {})}
        self._names = count(1)
        self._prefix: list[str] = []
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self._prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]

    def run(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs as the server's user."""
        command = [*self._prefix, str(programs() / program), *arguments]
        answer = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120)
        assert not check or answer.returncode == 0, answer.stderr + answer.stdout
        return answer

    def init(self) -> None:
        """Make the cluster, owned by ``OWNER``, without a password on its socket."""
        arguments = ("-U", OWNER, "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions")
        self.run("initdb", "-D", str(self.data), *arguments)

    def put(self, name: str, content: bytes) -> None:
        """Write a file of the data directory, for the server's user only."""
        path = self.data / name
        path.write_bytes(content)
        path.chmod(0o600)
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(path, user.pw_uid, user.pw_gid)

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        options = " ".join(f"-c {name}='{value}'" for name, value in self.settings.items())
        self.run("pg_ctl", "-D", str(self.data), "-o", options, "-l", str(self.folder / "log"), "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server; ``immediate`` is how a crash looks to its clients. One that is down already stays so."""
        self.run("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop", check=False)

    @property
    def pid(self) -> int:
        """The postmaster's."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def url(self, database: str = "postgres", user: str = OWNER) -> str:
        """Return the URL of a database of this server, as an administrator would write it."""
        port = f"&port={self.settings['port']}" if "port" in self.settings else ""
        return f"postgresql://{user}@/{database}?host={self.folder}{port}"

    def new_database(self, options: str = "") -> str:
        """Make an empty database and return its URL. ``options``: of CREATE DATABASE."""
        name = f"test_{next(self._names)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} {options}")
        return self.url(name)


@contextmanager
def postgres_server(settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """Give a running server, and remove it with all it holds at the end."""
    with tempfile.TemporaryDirectory(prefix="dash-postgresql-") as name:
        server = PostgresServer(Path(name), settings)
        server.init()
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def standby_of(primary: PostgresServer, settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """Give a running standby that streams from ``primary``."""
    with tempfile.TemporaryDirectory(prefix="dash-standby-") as name:
        standby = PostgresServer(Path(name), settings)
        arguments = ("-h", str(primary.folder), "-U", OWNER, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        standby.run("pg_basebackup", "-D", str(standby.data), *arguments)
        standby.start()
        try:
            yield standby
        finally:
            standby.stop()


def caught_up(standby: PostgresServer, url: str) -> None:
    """Return when the standby shows what the primary at ``url`` has; the server itself waits."""
    with psycopg.connect(url, autocommit=True) as connection:
        name = _receiver(connection)
        connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '\"{name}\"'")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("SET synchronous_commit = remote_apply")
        connection.execute("CREATE TABLE public.mark ()")
        connection.execute("DROP TABLE public.mark")
        connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
        connection.execute("SELECT pg_reload_conf()")


def _receiver(connection: psycopg.Connection) -> str:
    """Return what the standby calls itself, as soon as it streams: one that has just started does a moment later."""
    deadline = time.monotonic() + 30
    while not (found := connection.execute("SELECT application_name FROM pg_stat_replication").fetchall()):
        assert time.monotonic() < deadline, "no standby streams from this server"
        time.sleep(0.05)
    return str(found[0][0])
