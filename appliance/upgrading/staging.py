"""A release that was uploaded, in the data directory, until the helper of the system's takes it.

What runs as a service cannot write what it runs. It only leaves a wish, ``wanted.json``; a unit of root's waits for
that, copies the release to where the service cannot reach it, proves the signature again, and upgrades.

What looks into releases is imported when somebody looks: a service seldom does, and it takes memory.
"""

import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from appliance import __version__
from appliance.components.durable import sync_directory
from appliance.domain.upgrade import Staged, Upgrade, in_the_way
from appliance.errors import Conflict, DashError, NotFound, TooLarge, TransientError
from appliance.placing import ELSEWHERE
from appliance.settings import Settings

if TYPE_CHECKING:
    from appliance.upgrading.releases import Releases

FOLDER: Final = "upgrade"
BUNDLE: Final = "release.tar.xz"
SIGNATURE: Final = "release.tar.xz.sig"
WANTED: Final = "wanted.json"
MOST_BYTES: Final = {BUNDLE: 400 << 20, SIGNATURE: 1 << 16}
HOME: Final = Path("/opt/dash-appliance")
HELPER: Final = Path("/etc/systemd/system/dash-appliance-upgrade.path")


class Wish(msgspec.Struct, frozen=True):
    """What ``wanted.json`` holds."""

    at: datetime
    version: str | None = None


class Staging:
    """Blocking but for ``receive``, which belongs to the event loop.

    ``maintained_to``: the last day whose releases the licence covers; None: every one. ``home``: where releases lie;
    None: found out.
    """

    def __init__(
        self, settings: Settings, maintained_to: Callable[[], date | None] = lambda: None, home: Path | None = None
    ) -> None:
        self._settings, self._maintained_to = settings, maintained_to
        self._folder = settings.server.data_dir / FOLDER
        self._home = home or _home()

    async def receive(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Keep what is uploaded as the bundle or its signature.

        Raises:
            Conflict: an upgrade is under way, or what was sent was dropped meanwhile.
            TooLarge: no release is that large.
            TransientError: the disk does not take it.
        """
        self._refuse_beside_order()
        draft = self._folder / f"{name}.{token_hex(4)}.part"  # two at a time do not write into one
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with draft.open("wb") as file:
                await _written(name, file, chunks)
            self._refuse_beside_order()  # somebody may have asked for what lay here until now
            draft.replace(self._folder / name)
        except FileNotFoundError as error:
            raise Conflict("what was sent was dropped meanwhile: send it again") from error
        except OSError as error:
            raise TransientError(f"keeping {name} in {self._folder}: {error.strerror}; make room", 60) from error
        finally:
            draft.unlink(missing_ok=True)

    def _refuse_beside_order(self) -> None:
        if self._ordered_at() is not None:
            raise Conflict("an upgrade is asked for already: wait until it is done, or drop it")

    def look(self) -> Upgrade:
        """Return what waits, and what stands in its way. As long as reading the bundle takes."""
        from appliance.upgrading.releases import Releases

        releases = Releases(self._home)
        return Upgrade(
            version=__version__,
            staged=self._staged(releases),
            by_hand=self._by_hand(),
            ordered_at=self._ordered_at(),
            last=releases.outcome(),
        )

    def order(self) -> Staged:
        """Leave the wish to go over to what waits.

        Raises:
            NotFound: nothing waits.
            Conflict: something stands in the way, or it has to be done by hand.
        """
        from appliance.upgrading.releases import Releases

        staged = self._staged(Releases(self._home))
        if staged is None:
            raise NotFound("no release was uploaded: send the bundle and its signature first")
        if not staged.go:
            trouble = staged.trouble and f"this release cannot be taken: {staged.trouble}"
            raise Conflict(trouble or in_the_way(staged.findings))
        if (by_hand := self._by_hand()) is not None:
            raise Conflict(by_hand)
        draft = self._folder / f"{WANTED}.part"
        draft.write_bytes(msgspec.json.encode(Wish(datetime.now(UTC), staged.version)))
        draft.replace(self._folder / WANTED)
        sync_directory(self._folder)
        return staged

    def drop(self) -> None:
        """Remove what waits, and the wish; a second call does nothing."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _staged(self, releases: "Releases") -> Staged | None:
        bundle, signature = self._folder / BUNDLE, self._folder / SIGNATURE
        missing = [path.name for path in (bundle, signature) if not path.exists()]
        if len(missing) == 2:
            return None
        if missing:
            lacks = "the signature, the .sig file beside it," if missing == [SIGNATURE] else "the release"
            return Staged(trouble=f"{lacks} is missing")
        if not (self._home / "current").is_symlink():
            told = f"there is no release in {self._home}: only what install.sh has installed can go over to another"
            return Staged(trouble=told)
        from appliance.release import pinned
        from appliance.upgrading.course import Data
        from appliance.upgrading.preflight import Wanted, examine

        data_dir = self._settings.server.data_dir
        embedded = self._settings.database.url is None and not (data_dir / ELSEWHERE).exists()
        data = Data(data_dir, None, os.getuid(), embedded)
        try:
            plan = examine(Wanted(bundle, signature, pinned(), self._maintained_to()), releases, data)
        except (DashError, OSError) as error:
            return Staged(trouble=str(error))
        findings = [one for one in plan.findings if one.about != "rights"]  # the helper has them
        well = not any(one.state == "bad" for one in findings)
        return Staged(version=plan.manifest.version if plan.manifest else None, findings=findings, go=well)

    def _by_hand(self) -> str | None:
        if HELPER.exists() and self._home == HOME:
            return None
        command = f"sudo dash-appliance upgrade {self._folder / BUNDLE}"
        return f"nobody waits here to exchange the program (install.sh sets that up): run '{command}'"

    def _ordered_at(self) -> datetime | None:
        try:
            return datetime.fromtimestamp((self._folder / WANTED).stat().st_mtime, UTC)
        except FileNotFoundError:
            return None


async def _written(name: str, file: BinaryIO, chunks: AsyncIterator[bytes]) -> None:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > MOST_BYTES[name]:
            raise TooLarge(f"no {name} is larger than {MOST_BYTES[name]:,} bytes: choose the file of a release")
        file.write(chunk)


def _home() -> Path:
    """Return where the release that runs lies; elsewhere than installed, where it would."""
    program = Path(sys.executable).resolve()
    return program.parents[2] if len(program.parents) > 2 and program.parents[1].name == "releases" else HOME
