"""What was chosen on a screen: a small settings file in the data directory, which everything else overrides.

It holds the password of a database, so it is for its owner only.
"""

import os
from pathlib import Path
from typing import Final

from appliance.components.durable import sync_directory
from appliance.domain.database.dsn import Dsn

CHOSEN_FILE: Final = "chosen.toml"
_HEAD: Final = "# Written by the set-up wizard. Flags, DASH_* variables and dash-appliance.toml override it.\n"


def choose_database(data_dir: Path, dsn: Dsn) -> None:
    """Let the next start use ``dsn``; durable when it returns. Blocking."""
    part = data_dir / f"{CHOSEN_FILE}.part"
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{_HEAD}[database]\nurl = {_quoted(dsn.text())}\n")
        file.flush()
        os.fsync(file.fileno())
    part.rename(data_dir / CHOSEN_FILE)
    sync_directory(data_dir)


def choose_embedded(data_dir: Path) -> bool:
    """Forget a database that was chosen; return whether one was."""
    if not (data_dir / CHOSEN_FILE).exists():
        return False
    (data_dir / CHOSEN_FILE).unlink()
    sync_directory(data_dir)
    return True


def _quoted(text: str) -> str:
    """Return a basic string of TOML; what a URL may not hold is percent-encoded, so these two are all."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
