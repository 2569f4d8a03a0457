"""Which type a column may be given without its rows being written again: the wider one reads every value of before."""

from typing import Final

from appliance.domain.mapping import FieldType

WIDER: Final = {
    FieldType.INTEGER: frozenset({FieldType.FLOAT, FieldType.DECIMAL, FieldType.STRING}),
    FieldType.FLOAT: frozenset({FieldType.STRING}),
    FieldType.DECIMAL: frozenset({FieldType.STRING}),
    FieldType.BOOLEAN: frozenset({FieldType.STRING}),
    FieldType.TIMESTAMP: frozenset({FieldType.STRING}),
}


def widens(found: FieldType, wanted: FieldType) -> bool:
    """Return whether a column of ``found`` can be read as ``wanted``, which may be the same."""
    return wanted is found or wanted in WIDER.get(found, ())
