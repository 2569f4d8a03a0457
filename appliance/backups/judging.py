"""What ``doctor`` says of backups."""

from collections.abc import Iterator
from typing import Literal

from appliance.backups.opening import try_backups
from appliance.domain.backup_plan import BackupPlan, BackupRecord
from appliance.domain.clock import utc_now
from appliance.domain.finding import Examined
from appliance.errors import DashError
from appliance.placing import place_of
from appliance.settings import NodeRole, Settings
from appliance.storage.control import backups as book
from appliance.storage.control.identity import known_node
from appliance.storage.control.plane import ControlPlane

_ABOUT = "backup"
_PAGE = "see the handbook, page Backup"


def judge(settings: Settings) -> Iterator[Examined]:
    """Does the place work, and has a backup succeeded lately? Works beside a running appliance."""
    if settings.server.role is NodeRole.WEB:
        return
    if settings.backup.url is None:
        told = "nothing is backed up: a lost disk loses everything"
        yield Examined(_ABOUT, "warning", told, "set backup.url: see the handbook, page Backup")
        return
    for tried in try_backups(settings):
        state: Literal["fine", "warning", "bad"] = "bad" if tried.trouble else "warning" if tried.remedy else "fine"
        yield Examined(_ABOUT, state, tried.message, _PAGE if tried.trouble else tried.remedy)
    if settings.backup.passphrase_file is None:
        told = "backups are not encrypted: whoever can read the place reads everything but sealed secrets"
        yield Examined(_ABOUT, "warning", told, "set backup.passphrase_file, with an empty place")
    yield from _lately(settings)


def _lately(settings: Settings) -> Iterator[Examined]:
    try:
        node = known_node(settings.server.data_dir)
        found = _known(settings, node) if node is not None else None
    except DashError:
        return  # what is wrong with the control plane is told by looking at that
    if found is None:
        yield Examined(_ABOUT, "fine", "nobody has started this appliance yet, and nothing is to be backed up")
        return
    plan, record = found
    if record.wrong is not None:
        yield Examined(_ABOUT, "bad", f"the last verification failed: {record.wrong}", "take a full backup now")
    late = record.overdue(plan, utc_now())
    if late is not None:
        why = f"; the last attempt failed: {record.error}" if record.error else ""
        told = f"no backup has succeeded for {late.total_seconds() / 3600:.1f} h{why}"
        yield Examined(_ABOUT, "bad", told, "run 'dash-appliance backup create', and look at the page Backups")
    elif record.last_at is not None:
        yield Examined(_ABOUT, "fine", f"the last backup is of {record.last_at:%Y-%m-%d %H:%M} UTC")


def _known(settings: Settings, node: str) -> tuple[BackupPlan, BackupRecord] | None:
    """Return the schedule and what became of it; None: this node was never asked for a backup."""
    plane = ControlPlane.look(place_of(settings))
    try:
        plan, record = plane.read_now(lambda tx: (book.plan(tx), book.record_of(tx, node)))
        return None if record is None else (plan, record)
    finally:
        plane.close()
