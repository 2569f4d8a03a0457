"""Releases as they lie on disk: one folder each, and a link to the one in use.

```
<program>/releases/<version>/        a bundle, unpacked whole, and never changed
<program>/current -> releases/…      exchanged in one step
<program>/upgrade.json               what an upgrade is about to do: whoever finds it after a crash undoes it
```
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from appliance.components.durable import sync_directory
from appliance.errors import ConfigError, Problem
from appliance.release import Manifest, unpack
from appliance.release.manifest import FILE, decoded

PROGRAM: Final = "dash-appliance"
KEPT: Final = 2  # releases beside the one in use: one to go back to, and the one before


class Releases:
    """``home``: the program's directory. Blocking, all of it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._folder, self._link, self._note = home / "releases", home / "current", home / "upgrade.json"

    @property
    def current(self) -> str:
        """Return the version in use.

        Raises:
            ConfigError: Dash is not installed there in this way.
        """
        try:
            target = os.readlink(self._link)
        except OSError as error:
            told = f"there is no release in use in {self.home}: {error.strerror}"
            hint = "upgrades need an installation by install.sh or the .deb; say where it is with --program"
            raise ConfigError([Problem("--program", told, hint)]) from error
        return Path(target).name

    def versions(self) -> list[str]:
        """Return what is unpacked, whole."""
        return sorted(path.parent.name for path in self._folder.glob(f"*/{FILE}") if path.parent.suffix != ".new")

    def folder(self, version: str) -> Path:
        return self._folder / version

    def program(self, version: str) -> Path:
        """Return the executable of a release."""
        return self._folder / version / PROGRAM

    def manifest(self, version: str) -> Manifest:
        """Return what a release that is unpacked says of itself. Raises OSError, ValueError."""
        return decoded((self._folder / version / FILE).read_bytes())

    def add(self, bundle: Path, manifest: Manifest) -> None:
        """Unpack ``bundle`` beside the others; one that is there already, whole and the same, stays.

        Raises:
            NotGenuine: the bundle holds something else than its manifest says.
            OSError: there is no room, or no right.
        """
        target, draft = self.folder(manifest.version), self.folder(f"{manifest.version}.new")
        if (target / FILE).exists() and self.manifest(manifest.version) == manifest:
            return
        shutil.rmtree(draft, ignore_errors=True)
        try:
            unpack(bundle, manifest, draft)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
        sync_directory(self._folder)

    def use(self, version: str) -> None:
        """Have ``current`` lead to ``version``, in one step."""
        draft = self._link.with_name("current.new")
        draft.unlink(missing_ok=True)
        draft.symlink_to(f"releases/{version}")
        draft.replace(self._link)
        sync_directory(self.home)

    def tidy(self, keep: Iterable[str]) -> list[str]:
        """Remove releases but those of ``keep``, the one in use, and the newest others up to ``KEPT``; return them."""
        wanted = {*keep, self.current}
        others = sorted((one for one in self.versions() if one not in wanted), key=ordinal, reverse=True)
        gone = others[max(0, KEPT - len(wanted) + 1) :]
        for version in gone:
            shutil.rmtree(self.folder(version), ignore_errors=True)
        return gone

    def note(self, told: Any) -> None:
        """Write down, durably, what is about to be done."""
        draft = self._note.with_suffix(".new")
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(told))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._note)
        sync_directory(self.home)

    def noted(self, type_: Any) -> Any:
        """Return what was written down, None: nothing is under way. Raises msgspec.DecodeError."""
        try:
            return msgspec.json.decode(self._note.read_bytes(), type=type_)
        except FileNotFoundError:
            return None

    def done(self) -> None:
        """Forget what was written down: it is done, or undone."""
        self._note.unlink(missing_ok=True)
        sync_directory(self.home)


def ordinal(version: str) -> tuple[int, ...]:
    """Return what versions are compared by: their three numbers; what follows those does not count."""
    numbers = version.split("+")[0].split("-")[0].split(".")
    return tuple(int(one) for one in numbers[:3] if one.isdigit())
