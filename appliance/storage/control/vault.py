"""Seals secrets at rest with a key that lives beside the data and in no backup.

Nodes that share a control plane share the key; the control plane holds its fingerprint, never the key.
"""

import hashlib
import hmac
import os
from datetime import datetime
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy.orm import Session

from appliance.errors import ConfigError, FatalError, Problem
from appliance.storage.control.keeping import remember, remembered

KEY_FILE = "secret.key"
_REMEMBERED = "vault.key"


class Vault:
    """AES-128-CBC with HMAC-SHA256 (Fernet); a sealed text cannot be changed unnoticed."""

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(key)
        self.fingerprint = hmac.digest(key, b"fingerprint of secret.key", hashlib.sha256).hex()[:32]

    @classmethod
    def open(cls, data_dir: Path, *, create: bool = True) -> "Vault":
        """Read ``secret.key`` of the data directory, or make it (mode 0600) if it is missing; blocking.

        ``create``: False where there are secrets already, which no new key would open.

        Raises:
            ConfigError: the file is there and is not a key, or it is missing and must not be made.
        """
        path = data_dir / KEY_FILE
        if not path.exists():
            if not create:
                raise ConfigError(
                    [Problem(KEY_FILE, f"{str(path)!r} is missing", hint=f"put the original file back, or {_COPY}")]
                )
            _create(path)
        try:
            return cls(path.read_bytes().strip())
        except ValueError as error:
            raise ConfigError(
                [Problem(KEY_FILE, f"{str(path)!r} does not hold a key", hint="put the original file back")]
            ) from error

    def seal(self, clear: str) -> str:
        return self._fernet.encrypt(clear.encode()).decode()

    def unseal(self, sealed: str) -> str:
        """Return what was sealed.

        Raises:
            FatalError: sealed with another key, or damaged.
        """
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise FatalError(
                "a stored secret cannot be read: it was sealed with another key",
                hint=f"put the original {KEY_FILE} back into the data directory",
            ) from error


def known_key(tx: Session) -> str | None:
    """Return the fingerprint of the key that this control plane's secrets are sealed with; None: nobody said yet."""
    found = remembered(tx, _REMEMBERED)
    return None if found is None else str(found["fingerprint"])


def agree(tx: Session, vault: Vault, now: datetime) -> None:
    """Let the first node's key be everybody's.

    Raises:
        ConfigError: this node's is another one.
    """
    known = known_key(tx)
    if known is None:
        remember(tx, _REMEMBERED, {"fingerprint": vault.fingerprint}, now)
    elif known != vault.fingerprint:
        told = "this node's key is not the one with which the control plane's secrets are sealed"
        raise ConfigError([Problem(KEY_FILE, told, hint=_COPY)])


_COPY = f"copy {KEY_FILE} from the data directory of a node that runs, with mode 0600"


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(Fernet.generate_key() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
