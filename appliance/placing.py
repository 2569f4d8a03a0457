"""Where the control plane is, by the settings; and that none is begun anew beside what another one knows."""

from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.clock import utc_now
from appliance.domain.database.access import Access
from appliance.domain.database.dsn import Dsn
from appliance.domain.database.findings import Need
from appliance.errors import DashError, FatalError
from appliance.observe.masking import conceal
from appliance.settings import Settings
from appliance.storage.control import schema, transfer
from appliance.storage.control import vault as keys
from appliance.storage.control.plane import ControlPlane, Threads
from appliance.storage.control.tables import OrganisationRow
from appliance.storage.control.vault import Vault

CONTROL_FILE: Final = "control.sqlite3"
ORDERED: Final = "move.ordered"  # while it is there, whoever serves receives, and moves
ELSEWHERE: Final = "control.elsewhere"  # in a data directory whose control plane is in a database: which one
_SHARE: Final = 4  # of the connections this part is the control plane's, the rest is for rows


def access_of(settings: Settings) -> Access | None:
    """Return how the database of the settings is reached; None: everything is embedded."""
    return None if settings.database.url is None else access_to(settings.database.url, settings)


def access_to(dsn: Dsn, settings: Settings) -> Access:
    """Return how ``dsn`` would be reached under these settings."""
    conceal(*dsn.secrets)
    database = settings.database
    return Access(
        dsn=dsn,
        password_file=database.password_file,
        schema=database.schema,
        connections=max(2, database.connections // _SHARE),
        connect_timeout=database.connect_timeout,
    )


def replicas_of(settings: Settings) -> list[Access]:
    """Return how each read replica is reached."""
    return [access_to(dsn, settings) for dsn in settings.database.replicas]


def need_of(settings: Settings) -> Need:
    """Return what this appliance wants of its database."""
    database = settings.database
    return Need(
        connections=database.connections,
        max_lag_secs=database.max_replica_lag.total_seconds(),
        head=schema.HEAD,
        known=schema.KNOWN,
    )


def place_of(settings: Settings) -> Path | Access:
    """Return where the control plane is or will be."""
    return access_of(settings) or settings.server.data_dir / CONTROL_FILE


def open_control(settings: Settings, threads: Threads) -> tuple[ControlPlane, Vault]:
    """Open the control plane and the key to its secrets, each made where nothing is there yet; blocking.

    Raises:
        ConfigError: the database cannot be used as it is, or the key is missing or another one's.
        FatalError: there are events, or another control plane, that this one knows nothing of.
    """
    data_dir, place = settings.server.data_dir, place_of(settings)
    if isinstance(place, Path):
        new = _is_new(data_dir)
        vault = Vault.open(data_dir, create=new)
        return ControlPlane.open(place, threads), vault
    plane = ControlPlane.open(place, threads)
    try:
        return plane, _shared(plane, place, data_dir)
    except BaseException:
        plane.close()
        raise


def is_set_up(tx: Session) -> bool:
    """Return whether anybody lives in this control plane."""
    return tx.scalar(select(OrganisationRow.id).limit(1)) is not None


def _is_new(data_dir: Path) -> bool:
    """Return whether a control plane is to be made.

    Raises:
        FatalError: it is gone, and there are events: whoever came first would be made the administrator.
    """
    if (elsewhere := data_dir / ELSEWHERE).exists():
        raise FatalError(
            f"opening {data_dir}: its control plane is in {elsewhere.read_text('utf-8').strip()}, no database is set",
            hint=f"set database.url again, or move it back by 'dash-appliance database move --to embedded'; "
            f"to begin with what is here instead, remove {ELSEWHERE}",
        )
    control = data_dir / CONTROL_FILE
    if control.exists() and control.stat().st_size:
        return False
    if _has_events(data_dir):
        raise FatalError(
            f"opening {control}: it is missing or empty, and there are events in {data_dir / 'bronze'}",
            hint="put control.sqlite3 back from a copy, or move bronze/ away to begin anew",
        )
    return not control.exists()


def _shared(plane: ControlPlane, access: Access, data_dir: Path) -> Vault:
    known, lived_in, moving = plane.read_now(lambda tx: (keys.known_key(tx), is_set_up(tx), transfer.under_way(tx)))
    if moving is not None:
        raise FatalError(
            f"opening the control plane in {access.dsn}: a move of {moving} to it was begun and not ended",
            hint="run the same 'dash-appliance database move' again; the place it comes from is as it was",
        )
    if not lived_in:
        _refuse_to_forget(access, data_dir)
    vault = Vault.open(data_dir, create=known is None and not lived_in)
    plane.write_now(lambda tx: keys.agree(tx, vault, utc_now()))
    if lived_in:
        (data_dir / ELSEWHERE).write_text(f"{access.dsn}\n", "utf-8")
    return vault


def _refuse_to_forget(access: Access, data_dir: Path) -> None:
    """An empty database beside what somebody entered or received: whoever came first would be the administrator."""
    where = f"opening the control plane in {access.dsn}: schema {access.schema!r} is empty"
    if _lives_in_file(data_dir / CONTROL_FILE):
        raise FatalError(
            f"{where}, and {data_dir / CONTROL_FILE} is not",
            hint="move it there by 'dash-appliance database move --to DSN', or unset database.url to use the file",
        )
    if _has_events(data_dir):
        raise FatalError(
            f"{where}, and there are events in {data_dir / 'bronze'}",
            hint="name the database that knows them, restore its backup, or move bronze/ away to begin anew",
        )


def _lives_in_file(path: Path) -> bool:
    """Return whether the SQLite file is lived in; one that cannot be read counts as lived in."""
    if not path.exists() or not path.stat().st_size:
        return False
    plane = ControlPlane.look(path)
    try:
        return plane.read_now(is_set_up)
    except DashError:
        return True
    finally:
        plane.close()


def _has_events(data_dir: Path) -> bool:
    return any((data_dir / "bronze").glob("*/*.jsonl*"))
