"""Going over to another release from a screen: uploaded, looked at, and asked for; others exchange the program."""

from collections.abc import AsyncIterator
from typing import Protocol

from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.upgrade import Staged, Upgrade
from appliance.services.ports import Workers
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.plane import ControlPlane

BUNDLE = "release.tar.xz"
SIGNATURE = "release.tar.xz.sig"


class Stager(Protocol):
    """Who keeps what was uploaded; as ``appliance.upgrading.staging``. Blocking but for ``receive``."""

    async def receive(self, name: str, chunks: AsyncIterator[bytes]) -> None: ...
    def look(self) -> Upgrade: ...
    def order(self) -> Staged: ...
    def drop(self) -> None: ...


class Upgrades:
    """Of the node that answers: each is upgraded by itself."""

    def __init__(self, plane: ControlPlane, workers: Workers, stager: Stager, clock: Clock = utc_now) -> None:
        self._plane, self._workers, self._stager, self._clock = plane, workers, stager, clock

    async def show(self, who: Principal) -> Upgrade:
        """Return which release runs, which one waits, and what stands in its way."""
        require(who, Action.OPERATIONS_MANAGE)
        return await self._workers.run("upkeep", self._stager.look)

    async def receive(self, who: Principal, name: str, chunks: AsyncIterator[bytes]) -> Upgrade:
        """Keep a bundle or its signature. Raises Conflict: one is asked for already; TooLarge."""
        require(who, Action.OPERATIONS_MANAGE)
        await self._stager.receive(name, chunks)
        return await self.show(who)

    async def order(self, who: Principal) -> Upgrade:
        """Ask for the upgrade to what waits.

        Raises:
            NotFound: nothing waits.
            Conflict: something stands in the way, or it has to be done by hand.
        """
        require(who, Action.OPERATIONS_MANAGE)
        staged = await self._workers.run("upkeep", self._stager.order)
        await self._note(who, "upgrade.order", staged.version or "")
        return await self.show(who)

    async def drop(self, who: Principal) -> None:
        """Remove what waits; nothing waits: nothing happens."""
        require(who, Action.OPERATIONS_MANAGE)
        await self._workers.run("upkeep", self._stager.drop)
        await self._note(who, "upgrade.drop", "")

    async def _note(self, who: Principal, action: str, version: str) -> None:
        deed = Deed(organisation_id=who.organisation_id, who=who.name, action=action, target=version, detail={})
        await self._plane.write(lambda tx: record(tx, deed, self._clock()))
