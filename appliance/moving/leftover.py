"""What a move has left behind in a database: shown, and removed once it is proved to be only the past.

Nothing is removed that somebody lives in: see ``not_past``. Rows go first, an organisation at a time, and the control
plane last, so that what was interrupted can be ordered again.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing

import msgspec
from sqlalchemy.orm import Session

from appliance.domain.database.access import Access
from appliance.domain.ids import OrganisationId
from appliance.errors import Conflict
from appliance.moving.control import Place, name_of
from appliance.placing import is_set_up
from appliance.settings import Settings
from appliance.silvers import forget_schema
from appliance.storage.control import leftover, transfer
from appliance.storage.control.leftover import LeftTable
from appliance.storage.control.plane import ControlPlane


class LeftSchema(msgspec.Struct, frozen=True):
    """``organisation``: whose rows these are; None: what people entered."""

    schema: str
    organisation: str | None
    tables: list[LeftTable]


class Leftover(msgspec.Struct, frozen=True):
    """``lives_in``: where the appliance is now. ``schemas``: rows first. ``stay``: schemas with something of others."""

    database: str
    lives_in: str
    schemas: list[LeftSchema]
    removed: bool = False
    stay: list[str] = []


def look(here: Place, there: Access) -> Leftover:
    """Return what is left in ``there`` of the appliance that lives ``here``; blocking, changes nothing.

    Raises:
        Conflict: somebody may live there, or it is not known to be of this appliance.
        ConfigError, TransientError: one of the two cannot be read.
    """
    with closing(ControlPlane.look(here)) as ours, closing(ControlPlane.look(there)) as theirs:
        _check(ours, theirs, there)
        ids = ours.read_now(leftover.organisations)
        return Leftover(name_of(there), name_of(here), theirs.read_now(lambda tx: list(_schemas(tx, there, ids))))


def remove(settings: Settings, here: Place, there: Access) -> Leftover:
    """Remove what ``look`` returns; blocking. Interrupted, it goes on when it is called again. Raises as ``look``."""
    found = look(here, there)
    for one in found.schemas:
        if one.organisation is not None and one.tables:
            forget_schema(settings, there, OrganisationId(one.organisation))

    def end(tx: Session) -> list[str]:
        leftover.drop_control(tx, there.schema)
        return [one.schema for one in found.schemas if not leftover.drop_empty(tx, one.schema)]

    with closing(ControlPlane.look(there)) as theirs:
        return msgspec.structs.replace(found, removed=True, stay=theirs.write_now(end))


def _check(ours: ControlPlane, theirs: ControlPlane, there: Access) -> None:
    doing = f"looking at what is left in {name_of(there)}"
    if not theirs.is_there():
        raise Conflict(f"{doing}: there is nothing of Dash")
    lived_in, moving = theirs.read_now(lambda tx: (is_set_up(tx), transfer.under_way(tx)))
    if moving is not None:
        raise Conflict(f"{doing}: a move of {moving} to it was begun and not ended: run the same move again")
    if not lived_in:
        raise Conflict(f"{doing}: nobody has ever set Dash up there, so nothing was moved from there")
    why = ours.read_now(lambda here: theirs.read_now(lambda past: leftover.not_past(here, past)))
    if why is not None:
        raise Conflict(f"{doing}: {why}. Nothing is removed")


def _schemas(tx: Session, there: Access, organisation_ids: Sequence[str]) -> Iterator[LeftSchema]:
    for one in organisation_ids:
        schema = there.schema_of(one)
        if leftover.has_schema(tx, schema):
            yield LeftSchema(schema, one, leftover.tables_in(tx, schema))
    yield LeftSchema(there.schema, None, leftover.tables_in(tx, there.schema))
