"""Trying out an archive: one small object is stored, read, listed and removed again."""

from collections.abc import Iterator
from secrets import token_hex

import msgspec

from appliance.components.archive import ArchiveStore
from appliance.errors import DashError


class Tried(msgspec.Struct, frozen=True):
    """``trouble``: it cannot be used; with a ``remedy`` and without that: it can, and is not as it should be."""

    message: str
    trouble: bool = False
    remedy: str | None = None


def try_out(store: ArchiveStore, name: str) -> Iterator[Tried]:
    """Yield what works, up to the first thing that does not."""
    key, content = f"{name}/.probe-{token_hex(4)}", token_hex(16).encode()
    try:
        store.put(key, content)
        if b"".join(store.read(key)) != content:
            yield Tried(f"{store.place} gives back other bytes than it was given", True, "do not use it")
            return
        if not any(one.key == key for one in store.list(name)):
            yield Tried(f"{store.place} does not list what it was given a moment ago", True, "do not use it")
            return
        versions = getattr(store, "versions", lambda key: False)(key)
        store.delete([key])
    except DashError as error:
        yield Tried(str(error), True, "see the handbook, page Archive")
        return
    yield Tried(f"{store.place} stores, reads, lists and deletes")
    if versions:
        yield Tried(
            f"the bucket of {store.place} keeps old versions: what expires or is erased stays in them",
            remedy="suspend versioning, or have a lifecycle rule remove noncurrent versions after a day",
        )
