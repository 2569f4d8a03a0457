"""What the names in expressions and in the key stand for: a declared field, the event's time, or the event's own key.

Fields are found whatever the case of the letters, as in SQL. A name that no field declares is the event's top-level key
of exactly that name (with ``explode`` of ``$``: the element's).
"""

from collections.abc import Iterable, Iterator

from appliance.domain.mapping import Field, FieldType
from appliance.mapping.expression import Expression
from appliance.mapping.inference import inferred, strongest
from appliance.mapping.plan import MOMENT

TIME = "_time"
SYSTEM = frozenset({"_seq", "_item", "_key", "_extra"})


class Names:
    """All names of one mapping. ``read`` is told every expression first; then the rest can be asked."""

    def __init__(self, fields: Iterable[Field]) -> None:
        self._fields = {field.name.casefold(): (f"f{place}", field) for place, field in enumerate(fields)}
        self._uses: dict[str, set[FieldType]] = {}

    def read(self, expression: Expression, condition: bool) -> None:
        """Take note of how ``expression``, a ``condition`` or a value, uses names that no field declares."""
        for name, use in inferred(expression, self.declared, condition):
            self._uses.setdefault(name, set()).add(use)

    def read_text(self, name: str) -> None:
        """Take note that ``name`` is needed as it is written."""
        if self.declared(name) is None:
            self._uses.setdefault(name, set()).add(FieldType.STRING)

    def declared(self, name: str) -> FieldType | None:
        """Return the type of a declared name; None for one that stands for the event's own key."""
        if name == TIME:
            return FieldType.TIMESTAMP
        found = self._fields.get(name.casefold())
        return found[1].type if found else None

    def field(self, name: str) -> str | None:
        """Return the field's name as declared; None where ``name`` is no field."""
        found = self._fields.get(name.casefold())
        return found[1].name if found else None

    def column(self, name: str) -> str:
        """Return the SQL name of the value that ``name`` stands for."""
        if name == TIME:
            return MOMENT
        found = self._fields.get(name.casefold())
        return found[0] if found else f"n{list(self._uses).index(name)}"

    def type(self, name: str) -> FieldType:
        """Return the type of the value that ``name`` stands for."""
        return self.declared(name) or strongest(self._uses[name])

    def undeclared(self) -> Iterator[str]:
        """Yield the names that stand for the event's own keys."""
        yield from self._uses
