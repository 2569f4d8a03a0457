"""What ``doctor`` looks at. Each examination answers findings and changes nothing that stays."""

import ctypes
import http.client
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from appliance.cli.airgap import ways_out
from appliance.cli.data_dir import owned, owner
from appliance.cli.exits import Unavailable
from appliance.cli.keys import ring_of_keys
from appliance.cli.serve import taken_port
from appliance.domain.finding import Examined
from appliance.domain.quantity import format_size
from appliance.errors import ConfigError, DashError
from appliance.observe.machine import memory_bytes
from appliance.settings import Settings

GIB: Final = 1 << 30
SLOW_SYNC_SECS: Final = 0.1
_CLOCK_ERROR: Final = 5  # TIME_ERROR of adjtimex(2): the kernel's clock is not synchronised


def everything(settings: Settings) -> list[Examined]:
    """Examine all there is, the running appliance included if there is one."""
    data_dir = settings.server.data_dir
    pid = owner(data_dir)
    findings = [*permissions(data_dir), *disk(settings), *memory(settings), *clock(data_dir)]
    if pid is None:
        findings += [Examined("process", "fine", "no appliance runs on this data directory"), *port(settings)]
        findings += [*databases(settings), *rows(settings)]
    else:
        findings += [Examined("process", "fine", f"process {pid} runs on this data directory"), *health(settings)]
    beside = (*database(settings), *archive(settings), *backup(settings), *licence(settings))
    return [*findings, *beside, *ways_out(settings)]


def permissions(data_dir: Path) -> Iterator[Examined]:
    """Can this user use the data directory, and can nobody else?"""
    if not data_dir.exists():
        yield Examined("permissions", "fine", f"{data_dir} is not there yet; the first start makes it")
        return
    if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
        yield Examined(
            "permissions",
            "bad",
            f"uid {os.getuid()} may not read and write {data_dir}",
            f"chown it to that user, or run as its owner, uid {data_dir.stat().st_uid}",
        )
    elif data_dir.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = stat.filemode(data_dir.stat().st_mode)
        yield Examined("permissions", "warning", f"others may look into {data_dir} ({mode})", f"chmod 700 {data_dir}")
    else:
        yield Examined("permissions", "fine", f"{data_dir} is for its owner only")


def disk(settings: Settings) -> Iterator[Examined]:
    """Is there room, and does the disk do what a durable write needs?"""
    data_dir, marks = settings.server.data_dir, settings.disk
    place = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    usage = shutil.disk_usage(place)
    used = 100 * usage.used / ((usage.used + usage.free) or 1)
    told = f"{usage.free / GIB:.1f} GiB free, {used:.0f} % in use; receiving stops at {marks.stop} %"
    told += f" or under {format_size(marks.stop_free)} free" if marks.stop_free else ""
    remedy = "free some space, shorten a retention, or move the data directory to a larger disk"
    if usage.free < marks.stop_free or used >= marks.stop:
        yield Examined("disk", "bad", told, remedy)
    elif used >= marks.warn:
        yield Examined("disk", "warning", told, remedy)
    else:
        yield Examined("disk", "fine", told)
    if place == data_dir and os.access(data_dir, os.W_OK):
        yield from _sync(data_dir)


def memory(settings: Settings) -> Iterator[Examined]:
    """What may DuckDB use of what there is?"""
    from appliance.silvers import memory_of

    machine, share = memory_bytes(), memory_of(settings)
    told = f"{machine >> 20} MiB for this process, {share >> 20} MiB of it for each organisation's rows"
    if share > machine // 2:
        yield Examined("memory", "warning", told, "lower silver.memory_limit, or set it to auto")
    else:
        yield Examined("memory", "fine", told)


def archive(settings: Settings) -> Iterator[Examined]:
    """Does the archive store, read, list and delete?"""
    from appliance import archiving

    for tried in archiving.try_archive(settings):
        state: Literal["fine", "warning", "bad"] = "bad" if tried.trouble else "warning" if tried.remedy else "fine"
        yield Examined("archive", state, tried.message, tried.remedy)
    if (settings.archive.endpoint or "").startswith("http://"):
        told = f"{settings.archive.endpoint} is asked without TLS: whoever is on the way can read what is archived"
        yield Examined("archive", "warning", told, "use an https address")


def licence(settings: Settings) -> Iterator[Examined]:
    """Is there one, does it count, and how long?"""
    from appliance import licensing

    yield from licensing.examine(settings, ring_of_keys())


def backup(settings: Settings) -> Iterator[Examined]:
    """Is there a place for backups, does it work, and has one succeeded lately?"""
    from appliance.backups.judging import judge

    yield from judge(settings)


def _sync(data_dir: Path) -> Iterator[Examined]:
    took = []
    try:
        with tempfile.TemporaryFile(dir=data_dir) as file:
            for _ in range(5):
                file.write(b"x" * 4096)
                file.flush()
                began = time.perf_counter()
                os.fdatasync(file.fileno())
                took.append(time.perf_counter() - began)
    except OSError as error:
        yield Examined("disk", "bad", f"writing a file failed: {error.strerror}", "look at dmesg and the file system")
        return
    median = sorted(took)[2]
    told = f"a synced write takes {median * 1000:.1f} ms"
    slow = median > SLOW_SYNC_SECS
    remedy = "every acknowledgement waits for that: use a faster or less busy disk"
    yield Examined("disk", "warning" if slow else "fine", told, remedy if slow else None)


def clock(data_dir: Path) -> Iterator[Examined]:
    """Has the clock been set back, and does anybody keep it right?"""
    newest = max((path.stat().st_mtime for path in data_dir.glob("*")), default=0.0) if data_dir.is_dir() else 0.0
    back = newest - time.time()
    if back > 60:
        yield Examined(
            "clock",
            "bad",
            f"the clock is {back:.0f} s behind the newest file in the data directory",
            "set the clock: signatures, sessions and retention depend on it",
        )
        return
    buffer = ctypes.create_string_buffer(512)  # struct timex, all zero: only asks
    synchronised = ctypes.CDLL(None).adjtimex(buffer) != _CLOCK_ERROR
    if synchronised:
        yield Examined("clock", "fine", "synchronised")
    else:
        remedy = "run chrony or systemd-timesyncd: a webhook's signature is refused when clocks differ by 5 minutes"
        yield Examined("clock", "warning", "nobody synchronises this machine's clock", remedy)


def port(settings: Settings) -> Iterator[Examined]:
    """Could a stopped appliance listen where it should?"""
    server = settings.server
    try:
        taken_port(settings).close()
    except Unavailable as error:
        yield Examined("port", "bad", str(error), "stop that program, or set server.port")
    except ConfigError as error:
        yield Examined("port", "bad", error.problems[0].message, error.problems[0].hint)
    else:
        yield Examined("port", "fine", f"{server.host} port {server.port} is free")


def health(settings: Settings) -> Iterator[Examined]:
    """What does the running appliance say of itself?"""
    server = settings.server
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)  # noqa: S104 - compared, not bound
    connection = http.client.HTTPConnection(host, server.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read(1 << 20).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        message = f"the appliance does not answer on {host} port {server.port}: {error}"
        yield Examined("health", "bad", message, "say the same --port and --config as for serve; look at its log")
        return
    finally:
        connection.close()
    ready = answer.status == http.client.OK
    told, remedy = ("every part is ready", None) if ready else (_not_ready(body), "see the reasons")
    yield Examined("health", "fine" if ready else "bad", told, remedy)


def _not_ready(body: str) -> str:
    """Return which parts are not ready, and why."""
    try:
        parts = msgspec.json.decode(body)["parts"]
        return "; ".join(f"{name}: {part['reason']}" for name, part in parts.items() if not part["ready"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return body.strip()


def databases(settings: Settings) -> Iterator[Examined]:
    """Do the databases of a stopped appliance open, and are they whole?"""
    from appliance import compose

    for name, trouble in compose.examine_databases(settings):
        if trouble is None:
            yield Examined("database", "fine", f"{name} opens and is whole")
        else:
            yield Examined("database", "bad", f"{name}: {trouble}", _remedy(name))


def rows(settings: Settings) -> Iterator[Examined]:
    """Has a stopped appliance the rows of what it received, where they are in a database?"""
    from appliance import compose
    from appliance.observe import logs

    if settings.database.url is None or not settings.server.data_dir.is_dir():
        return
    logs.configure("error", settings.log.format.value)
    try:
        with owned(settings.server.data_dir):
            found = compose.examine_rows(settings)
    except DashError:
        return  # what is wrong with the database is told by looking at that
    for one in found:
        if one.lost_up_to:
            told = f"{one.name}: rows of events {one.refined + 1} to {one.lost_up_to} are missing, and Bronze has those"
            remedy = "move the rows too: 'dash-appliance database move'; or 'dash-appliance database accept-loss'"
            yield Examined("rows", "bad", f"{told} events no more: it does not start", remedy)
        else:
            told = f"{one.name}: the next start makes the rows of {one.again} events again"
            yield Examined("rows", "warning", told, "to bring rows along, use 'dash-appliance database move'")


def database(settings: Settings) -> list[Examined]:
    """Is the database of the settings what Dash needs, if there is one?"""
    if settings.database.url is None:
        return []
    from appliance.placing import access_to, need_of, replicas_of
    from appliance.storage.control.examination import examine

    return examine(access_to(settings.database.url, settings), need_of(settings), replicas_of(settings)).findings


def _remedy(name: str) -> str:
    """Only Silver can be made again from Bronze; what people entered is nowhere else."""
    if name.endswith(".duckdb"):
        return "keep a copy of the data directory, then start Dash: it is filled again from Bronze"
    return f"put {name} back from a copy or a backup; Bronze is not touched by this"
