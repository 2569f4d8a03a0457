"""Values of one generation's columns as those of another: widened where that says it all, else converted with care."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from appliance.domain.mapping import FieldType
from appliance.storage.sql.dialect import Dialect
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.source import Stored, value_of
from appliance.storage.sql.widening import widens

_SHARP: Final = frozenset({FieldType.INTEGER, FieldType.BOOLEAN})  # 12.7 would become 13, and nobody would know


@dataclass(frozen=True)
class Carried:
    """``value``: what goes into the column. ``misfit``: SQL for when it does not say what was there; None: it does."""

    name: str
    value: exp.Expr
    former: exp.Expr | None = None
    misfit: exp.Expr | None = None


def carried(found: Stored, wanted: Stored, dialect: Dialect) -> Iterator[Carried]:
    """Yield for every column of ``wanted`` what it holds of a row stored in the columns ``found``."""
    for name, types in wanted.items():
        kind, own = types[-1], found.get(name, ())
        if name in SYSTEM_FIELDS:
            continue
        if not own or widens(own[-1], kind):
            yield Carried(name, value_of(name, own, kind, dialect))
            continue
        former = value_of(name, own, own[-1], dialect)
        value = _tried(former, kind, dialect)
        back = _tried(value, own[-1], dialect) if kind in _SHARP else None
        lost: exp.Expr = exp.Is(this=value.copy(), expression=exp.Null())
        if back is not None:
            lost = exp.or_(lost, exp.NullSafeNEQ(this=back, expression=former.copy()))
        kept = exp.Case().when(lost.copy(), exp.Null()).else_(value)
        there = exp.Not(this=exp.Is(this=former.copy(), expression=exp.Null()))
        yield Carried(name, kept, former, exp.and_(there, lost))


def _tried(value: exp.Expr, kind: FieldType, dialect: Dialect) -> exp.Expr:
    wanted = exp.DataType.build(dialect.type_name(kind), dialect=dialect.sqlglot_name)
    return exp.TryCast(this=value.copy(), to=wanted)
