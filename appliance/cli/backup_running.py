"""Having a running appliance take a backup: asked by its API, and followed until it has ended."""

import time
from typing import Any, Final

import msgspec

from appliance.backups.opening import url_of
from appliance.cli.backup_progress import Shown
from appliance.cli.client import Client, connected
from appliance.domain.backup_view import BackupView
from appliance.errors import ConfigError, Problem, TransientError
from appliance.settings import Settings

_LOOK_SECS: Final = 0.5


def taken_by_running(settings: Settings, options: dict[str, Any]) -> BackupView:
    """Return the backup that the running appliance took.

    Raises:
        ConfigError: another place is named than the one that it is set to, which only its operator may change.
        TransientError: it failed; the message says why.
    """
    if options["place"] is not None and url_of(settings, options["place"]) != settings.backup.url:
        told = f"a running appliance takes backups to backup.url ({settings.backup.url or 'not set'}) only"
        hint = "set backup.url to that place and restart, or stop the appliance and run this again"
        raise ConfigError([Problem("--to", told, hint=hint)])
    with connected(settings, options["url"], options["token_file"]) as client:
        jobs = client.post("/backups", {"kind": options["kind"]} if options["kind"] else {})["items"]
        for job in jobs:  # one for each node that keeps events
            _follow(client, job, quiet=options["as_json"])
        return msgspec.convert(client.get("/backups/latest"), BackupView)


def _follow(client: Client, job: dict[str, Any], *, quiet: bool) -> None:
    shown = Shown(f"backup of {job['node'] or 'this node'}", quiet=quiet)
    while job["state"] in ("ready", "running"):
        time.sleep(_LOOK_SECS)
        job = client.get(f"/jobs/{job['id']}")
        if job["error"] and job["state"] == "ready":
            raise TransientError(f"the backup failed, and is tried again at {job['run_at']}: {job['error']}")
        if progress := job["progress"]:
            shown(progress["done"], progress["total"], progress["text"])
    shown.end()
    if job["state"] != "done":
        raise TransientError(
            f"the backup did not come about: {job['error'] or 'it was cancelled'}; see the page Backups"
        )
