"""What the appliance is called and looks like, as the control plane remembers it; so it goes into backups and moves.

A picture has a value of its own, so that whoever only asks whether something changed reads a few hundred bytes.
"""

from base64 import b64decode, b64encode
from datetime import datetime
from typing import Final

import msgspec
import structlog
from sqlalchemy.orm import Session

from appliance.domain.brand import Brand, Kind, Picture, Words
from appliance.storage.control.keeping import forget, remember, remembered

KEY: Final = "branding"

log = structlog.get_logger("branding")


class _Listed(msgspec.Struct, frozen=True):
    """What is told of a picture beside the words."""

    media: str
    digest: str


class _Kept(msgspec.Struct, frozen=True):
    words: Words = Words()
    pictures: dict[Kind, _Listed] = {}


def stored(tx: Session, known: Brand) -> Brand:
    """Return what is remembered; pictures of ``known`` that are still the same are not read again."""
    kept = _kept(tx)
    found = ((kind, _picture(tx, kind, one, known)) for kind, one in kept.pictures.items())
    return Brand(kept.words, {kind: picture for kind, picture in found if picture is not None})


def keep_words(tx: Session, words: Words, now: datetime) -> None:
    """Remember ``words`` instead of those there were; pictures stay."""
    _keep(tx, msgspec.structs.replace(_kept(tx), words=words), now)


def keep_picture(tx: Session, kind: Kind, picture: Picture, now: datetime) -> None:
    """Remember a picture instead of the one there was."""
    kept = _kept(tx)
    listed = kept.pictures | {kind: _Listed(picture.media, picture.digest)}
    remember(tx, _key(kind), {"data": b64encode(picture.data).decode()}, now)
    _keep(tx, msgspec.structs.replace(kept, pictures=listed), now)


def forget_picture(tx: Session, kind: Kind, now: datetime) -> bool:
    """Forget a picture; return whether there was one."""
    kept = _kept(tx)
    if kind not in kept.pictures:
        return False
    forget(tx, _key(kind))
    left = {other: listed for other, listed in kept.pictures.items() if other is not kind}
    _keep(tx, msgspec.structs.replace(kept, pictures=left), now)
    return True


def forget_all(tx: Session) -> bool:
    """Forget everything; return whether there was something."""
    if remembered(tx, KEY) is None:
        return False
    for key in (KEY, *map(_key, Kind)):
        forget(tx, key)
    return True


def _kept(tx: Session) -> _Kept:
    """Return what this version understands of it: a newer one, which was left again, may have kept more."""
    found = remembered(tx, KEY) or {}
    words = {name: value for name, value in found.get("words", {}).items() if name in Words.__struct_fields__}
    pictures = {kind: listed for kind, listed in found.get("pictures", {}).items() if kind in list(Kind)}
    try:
        return msgspec.convert({"words": words, "pictures": pictures}, _Kept)
    except msgspec.ValidationError as error:
        log.warning("branding.not_understood", error=str(error))
        return _Kept()


def _keep(tx: Session, kept: _Kept, now: datetime) -> None:
    remember(tx, KEY, msgspec.to_builtins(kept), now)


def _picture(tx: Session, kind: Kind, listed: _Listed, known: Brand) -> Picture | None:
    before = known.pictures.get(kind)
    if before is not None and before.digest == listed.digest:
        return before
    row = remembered(tx, _key(kind))
    return None if row is None else Picture(listed.media, listed.digest, b64decode(row["data"]))


def _key(kind: Kind) -> str:
    return f"{KEY}.{kind.value}"
