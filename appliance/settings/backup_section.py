"""Settings of backups: where they go and how they are sealed. When they are taken is said on the page Backups."""

from pathlib import Path
from typing import Annotated

from appliance.settings.object_storage import ObjectStorage
from appliance.settings.setting import setting


class Backup(ObjectStorage, frozen=True, kw_only=True):
    """Where backups go: rows, control plane and events, taken while receiving goes on. When they are taken and how long
    they are kept is set on the page Backups. `secret.key` is in no backup: keep a copy of it elsewhere."""

    passphrase_file: Annotated[
        Path | None,
        setting(
            "File whose first line is the passphrase that backups are encrypted with. Without it they are not. Keep a "
            "copy where the backups are not: without it nothing is restored.",
        ),
    ] = None
