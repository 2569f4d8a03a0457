"""Every setting of Dash, declared once: name, type, default, bounds, and what it is for.

A default or bound that has a unit is written as people write it (``64 MiB``, ``1h``) and parsed by the same code as a
value from a file.
"""

from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated

import msgspec

from appliance.domain.database.dsn import Dsn
from appliance.settings.backup_section import Backup
from appliance.settings.object_storage import ObjectStorage
from appliance.settings.setting import setting
from appliance.settings.telemetry_section import Telemetry

MIB = 1 << 20


class NodeRole(Enum):
    """What this process does."""

    ALL = "all"  # receives, refines and serves people
    INGESTOR = "ingestor"  # receives, polls, refines and does jobs; no screens
    WEB = "web"  # screens, API and feed; keeps no events


class TimescaleUse(Enum):
    """What is made of TimescaleDB."""

    AUTO = "auto"  # used where the database has it
    OFF = "off"


class LogLevel(Enum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(Enum):
    AUTO = "auto"  # text on a terminal, JSON otherwise
    TEXT = "text"
    JSON = "json"


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where Dash listens, and where it keeps what it knows."""

    host: Annotated[str, setting("Address to listen on. `0.0.0.0` or `::` listens on every interface.")] = "127.0.0.1"
    port: Annotated[int, setting("Port to listen on; `0` takes a free one.", least="0", most="65535")] = 8080
    data_dir: Annotated[
        Path, setting("Directory of everything Dash stores. Without it: the user's data directory of this system.")
    ]
    role: Annotated[NodeRole, setting("What this process does; `ingestor` and `web` need `database.url`.")] = (
        NodeRole.ALL
    )
    base_url: Annotated[
        str | None,
        setting(
            "Address under which people and senders reach Dash, where that differs from host and port.", kind="url"
        ),
    ] = None
    drain_timeout: Annotated[
        timedelta, setting("How long open requests may take to finish after SIGTERM.", least="0s", most="10m")
    ] = timedelta(seconds=20)


class Bronze(msgspec.Struct, frozen=True, kw_only=True):
    """The log of everything that was received."""

    segment_size: Annotated[
        int, setting("A segment is closed when it has grown to this.", least="1 MiB", most="4 GiB", kind="size")
    ] = 64 * MIB
    segment_age: Annotated[
        timedelta, setting("A segment is closed when its first event is this old.", least="10s", most="30d")
    ] = timedelta(hours=1)


class Archive(ObjectStorage, frozen=True, kw_only=True):
    """Where closed segments of Bronze go, so that a lost machine loses only what had not been closed (see
    `bronze.segment_age`). Nothing is asked of the environment or of a cloud's metadata address: what is not set here is
    not used."""

    name: Annotated[
        str | None,
        setting(
            "Name of this installation in the archive: the folder that holds its segments. Without it, one is made at "
            "the first start. It cannot be changed afterwards.",
            kind="name",
        ),
    ] = None
    local_cache: Annotated[
        int | None,
        setting(
            "Archived segments kept on this disk too, at most; others are fetched when they are read. Without it all "
            "are, until the disk reaches `disk.slow`.",
            least="0 B", most="1024 TiB", kind="size",
        ),
    ] = None  # fmt: skip
    keep: Annotated[
        timedelta | None,
        setting(
            "How long what expires from Bronze is kept in the archive, by its age. Without it, it goes there too.",
            least="1h", most="36500d",
        ),
    ] = None  # fmt: skip


class Silver(msgspec.Struct, frozen=True, kw_only=True):
    """The typed rows, in DuckDB."""

    memory_limit: Annotated[
        int | None,
        setting(
            "Memory that DuckDB may use for one organisation. `auto`: an eighth of the machine's memory (or of the "
            "control group's) over all organisations, at least 64 MiB and at most 512 MiB for each.",
            least="64 MiB", most="1 TiB", kind="auto_size",
        ),
    ] = None  # fmt: skip
    threads: Annotated[int, setting("Threads that DuckDB may use for one organisation.", least="1", most="256")] = 2
    query_timeout: Annotated[timedelta, setting("A query that takes longer is stopped.", least="100ms", most="1h")] = (
        timedelta(seconds=15)
    )
    undo_window: Annotated[
        timedelta,
        setting(
            "How long the former rows are kept after a replay, so that it can be undone. They take their space until "
            "then.",
            least="1m", most="90d",
        ),
    ] = timedelta(hours=24)  # fmt: skip
    compact_above: Annotated[
        int,
        setting(
            "Per cent of a file in free blocks from which it is written anew without them, in a quiet moment.",
            least="5", most="95",
        ),
    ] = 30  # fmt: skip
    timescale: Annotated[
        TimescaleUse,
        setting(
            "Whether rows go into hypertables where the database has TimescaleDB. It counts for generations to come: "
            "rows that are there move with the next replay.",
        ),
    ] = TimescaleUse.AUTO  # fmt: skip
    chunk_interval: Annotated[
        timedelta,
        setting(
            "With TimescaleDB: how much time one chunk of rows is for; best some millions of rows. It counts for "
            "chunks to come, of pipelines that say nothing else.",
            least="1h", most="365d",
        ),
    ] = timedelta(days=1)  # fmt: skip
    compress_after: Annotated[
        timedelta | None,
        setting(
            "With TimescaleDB: how long after its end a chunk is put into the columnstore. Empty: never. A pipeline "
            "may say otherwise.",
            least="1h", most="3650d",
        ),
    ] = timedelta(days=7)  # fmt: skip
    continuous_aggregates: Annotated[
        bool,
        setting(
            "With TimescaleDB: whether rollups are kept as continuous aggregates too, for tools that ask the database "
            "directly. Dash does not read them. A pipeline may say otherwise.",
        ),
    ] = False  # fmt: skip


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """Your own PostgreSQL 15 to 18, with TimescaleDB or without, in place of the embedded stores. See the handbook's
    page *Database*."""

    url: Annotated[
        Dsn | None,
        setting(
            "Where it is: a URL such as `postgresql://dash@db.example.org/dash` or keywords such as `host=db1,db2 "
            "dbname=dash user=dash`, as libpq reads them; of several hosts the one that takes writes is used. Without "
            "it: SQLite and DuckDB in the data directory. A password in it is shown nowhere.",
            kind="dsn",
        ),
    ] = None
    password_file: Annotated[
        Path | None,
        setting(
            "File whose first line is the password, such as a credential of systemd; read at every connection. It "
            "counts where `url` has none."
        ),
    ] = None
    replicas: Annotated[
        tuple[Dsn, ...],
        setting(
            "Read replicas, each like `url`: streaming standbys, which answer screens, API and exports while they are "
            "near enough. In the environment they are URLs, separated by spaces.",
            kind="dsns",
        ),
    ] = ()
    schema: Annotated[
        str,
        setting(
            "Schema of what people entered. The rows of an organisation are in a schema of their own: this name, `_` "
            "and the organisation's id.",
            kind="schema",
        ),
    ] = "dash"
    connections: Annotated[
        int,
        setting(
            "Connections that this process may hold to the database at a time; to each replica at most half.",
            least="4",
            most="1000",
        ),
    ] = 20
    connect_timeout: Annotated[
        timedelta, setting("How long connecting to one host may take.", least="2s", most="2m")
    ] = timedelta(seconds=5)
    max_replica_lag: Annotated[
        timedelta,
        setting(
            "What people are shown lacks nothing that is older than this: a replica further behind is not read from. "
            "Below about a second hardly any is.",
            least="0s",
            most="1h",
        ),
    ] = timedelta(seconds=10)


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How often what has grown old is removed. How long it is kept is said by organisation and by pipeline."""

    every: Annotated[timedelta, setting("Time between two rounds.", least="10s", most="1d")] = timedelta(minutes=10)


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """What happens when the disk of the data directory fills. Each mark is released two per cent below it."""

    warn: Annotated[int, setting("Per cent in use from which it is told.", least="1", most="100")] = 80
    slow: Annotated[
        int,
        setting(
            "Per cent in use from which acknowledgements are held back, replays wait and Silver is compacted.",
            least="1", most="100",
        ),
    ] = 90  # fmt: skip
    stop: Annotated[
        int, setting("Per cent in use from which nothing is received (503) or refined.", least="1", most="100")
    ] = 95
    stop_free: Annotated[
        int,
        setting(
            "Free space under which nothing is received either; `0 B` on a small disk, where `stop` is enough.",
            least="0 B", most="1 TiB", kind="size",
        ),
    ] = 2048 * MIB  # fmt: skip
    reserve: Annotated[
        int,
        setting(
            "Size of a file that is given up at the stop mark, so that deleting, signing in and audit work on a full "
            "disk; less on a small disk.",
            least="0 B", most="16 GiB", kind="size",
        ),
    ] = 64 * MIB  # fmt: skip


class Ingest(msgspec.Struct, frozen=True, kw_only=True):
    """What may be posted to `/in/`."""

    max_body: Annotated[
        int, setting("Greatest body of one request, after decompression.", least="1 KiB", most="1 GiB", kind="size")
    ] = 10 * MIB
    max_inflight_bytes: Annotated[
        int,
        setting(
            "Bodies held in memory at a time, over all requests; beyond it the answer is 503.",
            least="1 MiB", most="64 GiB", kind="size",
        ),
    ] = 64 * MIB  # fmt: skip


class Egress(msgspec.Struct, frozen=True, kw_only=True):
    """Where Dash may connect to. Public addresses are allowed; private ones only if listed here."""

    allow: Annotated[
        tuple[str, ...],
        setting(
            "Private networks that sources may poll, each `CIDR` or `CIDR:port`. Link-local and cloud metadata "
            "addresses are refused even so.",
            kind="targets",
        ),
    ] = ()
    ca_file: Annotated[
        Path | None,
        setting(
            "Certificates (PEM) of further authorities to trust, such as a company's own: for what is polled, and for "
            "providers by which people sign in. Read again on SIGHUP."
        ),
    ] = None


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    """Signing in."""

    session_idle: Annotated[
        timedelta, setting("A session ends when it was not used for this long.", least="5m", most="90d")
    ] = timedelta(hours=12)
    session_max: Annotated[timedelta, setting("A session ends at this age, used or not.", least="5m", most="365d")] = (
        timedelta(days=30)
    )


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """What is logged, to standard error."""

    level: Annotated[LogLevel, setting("Least level that is logged. Read again on SIGHUP.")] = LogLevel.INFO
    format: Annotated[LogFormat, setting("`auto`: text on a terminal, JSON otherwise.")] = LogFormat.AUTO


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. A section is a table in the file, a key in it is one setting."""

    server: Server
    bronze: Bronze = Bronze()
    archive: Archive = Archive()
    backup: Backup = Backup()
    silver: Silver = Silver()
    database: Database = Database()
    retention: Retention = Retention()
    disk: Disk = Disk()
    ingest: Ingest = Ingest()
    egress: Egress = Egress()
    auth: Auth = Auth()
    log: Log = Log()
    telemetry: Telemetry = Telemetry()
