"""The licence as commands reach it: of a running appliance by its API, of a stopped one in its control plane."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from appliance.cli.client import Client, connected
from appliance.cli.data_dir import owned, owner
from appliance.cli.exits import CannotCreate
from appliance.cli.keys import ring_of_keys
from appliance.domain.access import Principal
from appliance.settings import Settings

if TYPE_CHECKING:
    from appliance.services.licenses import Licenses
    from license.keys import KeyRing


class Desk(Protocol):
    """Answers as the API does, decoded."""

    def show(self) -> Any: ...
    def request(self) -> Any: ...
    def simulate(self, day: date) -> Any: ...
    def preview(self, document: str) -> Any: ...
    def install(self, document: str) -> Any: ...
    def revoke(self, document: str) -> Any: ...


@contextmanager
def desk(settings: Settings, url: str | None, token_file: str | None) -> Iterator[Desk]:
    """Give the desk of the appliance that runs, here or at ``url``; else that of the stopped one.

    Raises:
        CannotCreate: there is no data directory.
    """
    data_dir = settings.server.data_dir
    if url is not None or owner(data_dir) is not None:
        with connected(settings, url, token_file) as client:
            yield Running(client)
        return
    if not data_dir.is_dir():
        raise CannotCreate(f"there is no data directory {str(data_dir)!r}: say where it is with --data-dir")
    from appliance.observe import logs

    logs.configure("warning", settings.log.format.value)
    with owned(data_dir):
        yield Stopped(settings, ring_of_keys())


class Running:
    def __init__(self, client: Client) -> None:
        self._client = client

    def show(self) -> Any:
        return self._client.get("/license")

    def request(self) -> Any:
        return self._client.get("/license/request")

    def simulate(self, day: date) -> Any:
        return self._client.get("/license/simulate", date=day.isoformat())

    def preview(self, document: str) -> Any:
        return self._client.post("/license/preview", {"document": document})

    def install(self, document: str) -> Any:
        return self._client.put("/license", {"document": document})

    def revoke(self, document: str) -> Any:
        return self._client.put("/license/revocations", {"document": document})


class Stopped:
    def __init__(self, settings: Settings, ring: "KeyRing") -> None:
        self._settings, self._ring = settings, ring

    def show(self) -> Any:
        return self._ask(lambda licenses, who: licenses.show(who))

    def request(self) -> Any:
        return self._ask(lambda licenses, who: licenses.request(who))

    def simulate(self, day: date) -> Any:
        return self._ask(lambda licenses, who: licenses.simulate(who, day))

    def preview(self, document: str) -> Any:
        return self._ask(lambda licenses, who: licenses.preview(who, document))

    def install(self, document: str) -> Any:
        return self._ask(lambda licenses, who: licenses.install(who, document))

    def revoke(self, document: str) -> Any:
        return self._ask(lambda licenses, who: licenses.revoke(who, document))

    def _ask(self, question: "Callable[[Licenses, Principal], Awaitable[msgspec.Struct]]") -> Any:
        from appliance.licensing import licenses_offline

        async def asked() -> Any:
            async with licenses_offline(self._settings, self._ring) as (licenses, who):
                return msgspec.to_builtins(await question(licenses, who))

        return asyncio.run(asked())


_: tuple[type[Desk], ...] = (Running, Stopped)
