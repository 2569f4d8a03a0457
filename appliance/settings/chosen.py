"""What was chosen on a screen, or by a move: a small settings file in the data directory, which everything overrides.

It holds the password of a database, so it is for its owner only.
"""

from pathlib import Path
from typing import Final

from appliance.components.durable import exchange, sync_directory
from appliance.domain.database.dsn import Dsn

CHOSEN_FILE: Final = "chosen.toml"
LEFT_FILE: Final = "database.left"  # the database that this appliance was moved out of, without its password
_HEAD: Final = (
    "# Written by the set-up wizard, or a move. Flags, DASH_* variables and dash-appliance.toml override it.\n"
)


def choose_database(data_dir: Path, dsn: Dsn) -> None:
    """Let the next start use ``dsn``; durable when it returns. Blocking."""
    exchange(data_dir / CHOSEN_FILE, f"{_HEAD}[database]\nurl = {_quoted(dsn.text())}\n")


def choose_embedded(data_dir: Path) -> bool:
    """Forget a database that was chosen; return whether one was."""
    if not (data_dir / CHOSEN_FILE).exists():
        return False
    (data_dir / CHOSEN_FILE).unlink()
    sync_directory(data_dir)
    return True


def leave_database(data_dir: Path, dsn: Dsn, schema: str) -> None:
    """Pass over this database from now on, whoever still names it: the appliance was moved out of it; blocking."""
    exchange(data_dir / LEFT_FILE, f"{schema} {dsn}\n")


def come_back(data_dir: Path, dsn: Dsn, schema: str) -> None:
    """Pass over this database no more; blocking."""
    if is_left(data_dir, dsn, schema):
        (data_dir / LEFT_FILE).unlink()


def is_left(data_dir: Path, dsn: Dsn, schema: str) -> bool:
    """Return whether the appliance was moved out of this database, whatever user and options name it."""
    try:
        left, _, text = (data_dir / LEFT_FILE).read_text("utf-8").strip().partition(" ")
        former = Dsn.parse(text)
    except (OSError, ValueError):
        return False
    return (left, former.database, former.endpoints) == (schema, dsn.database, dsn.endpoints)


def _quoted(text: str) -> str:
    """Return a basic string of TOML; what a URL may not hold is percent-encoded, so these two are all."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
