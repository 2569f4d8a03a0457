"""Passwords: hashed with argon2id in threads, a few at a time, since each takes 64 MiB on purpose."""

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from appliance.errors import Problem

MIN_CHARACTERS: Final = 12
NONE: Final = "!"  # in the place of a hash: somebody who has no password
MAX_CHARACTERS: Final = 1024
_AT_ONCE: Final = 2


class Passwords:
    """The hasher's parameters are part of each hash, so that raising them later keeps old passwords valid."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._nobody: str | None = None

    async def hash(self, clear: str) -> str:
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, clear)

    async def match(self, stored: str | None, clear: str) -> bool:
        """Return whether ``clear`` is the password; takes as long when there is no such account (None) or password."""
        async with self._turn:
            return await asyncio.to_thread(self._verify, None if stored == NONE else stored, clear)

    def _verify(self, stored: str | None, clear: str) -> bool:
        self._nobody = self._nobody or self._hasher.hash("nobody")
        try:
            return self._hasher.verify(stored or self._nobody, clear) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


def password_problems(clear: str, pointer: str) -> list[Problem]:
    """Return why ``clear`` will not do as a password; nothing: it will."""
    if len(clear) < MIN_CHARACTERS:
        told = f"a password has at least {MIN_CHARACTERS} characters, this one has {len(clear)}"
        return [Problem(pointer, told, "a sentence is easy to remember")]
    if len(clear) > MAX_CHARACTERS:
        return [Problem(pointer, f"a password has at most {MAX_CHARACTERS} characters, this one has {len(clear)}")]
    return []
