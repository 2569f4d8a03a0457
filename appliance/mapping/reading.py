"""SQL that reads text as a type, strictly: what is not wholly a value of the type is NULL, never rounded or guessed.

DuckDB's own casts are generous (``'5.7'`` is the integer 6, ``'0x10'`` is 16, ``' 5'`` and ``'1_000'`` are numbers,
``'NaN'`` is a double), so each cast stands behind a regular expression (20 M/s) that says what a number is here.
"""

from appliance.domain.mapping import FieldType
from appliance.mapping.moment import instant, moment_of_text

_NUMBER = r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_WHOLE = r"[+-]?[0-9]+(\.0+)?"
_POWER = r"[+-]?[0-9]+(\.[0-9]+)?[eE][+-]?[0-9]+"

SQL_TYPES: dict[FieldType, str] = {
    FieldType.STRING: "VARCHAR",
    FieldType.INTEGER: "BIGINT",
    FieldType.FLOAT: "DOUBLE",
    FieldType.DECIMAL: "DECIMAL(38,9)",
    FieldType.BOOLEAN: "BOOLEAN",
    FieldType.TIMESTAMP: "TIMESTAMP",
    FieldType.JSON: "VARCHAR",
}

_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"})
_WIDE_INTEGERS = frozenset({"HUGEINT", "UHUGEINT", "BIGNUM"})
_REALS = frozenset({"FLOAT", "DOUBLE"})
_INSTANTS = frozenset({"TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "DATE", "TIMESTAMP_NS", "TIMESTAMP_MS", "TIMESTAMP_S"})


def from_text(column: str, wanted: FieldType) -> str:
    """Return SQL that reads the text ``column`` as ``wanted``; NULL where it is not one."""
    match wanted:
        case FieldType.INTEGER:
            # In exponent notation a fraction shows only after the power is applied: 15e-1 is none, 15e1 is.
            return (
                f"CASE WHEN regexp_full_match({column}, '{_WHOLE}') THEN TRY_CAST({column} AS BIGINT)"
                f" WHEN regexp_full_match({column}, '{_POWER}') AND TRY_CAST({column} AS DOUBLE) % 1 = 0"
                f" THEN TRY_CAST({column} AS BIGINT) END"
            )
        case FieldType.FLOAT:
            return (
                f"CASE WHEN regexp_full_match({column}, '{_NUMBER}') AND isfinite(TRY_CAST({column} AS DOUBLE))"
                f" THEN TRY_CAST({column} AS DOUBLE) END"
            )
        case FieldType.DECIMAL:
            return f"CASE WHEN regexp_full_match({column}, '{_NUMBER}') THEN TRY_CAST({column} AS DECIMAL(38,9)) END"
        case FieldType.BOOLEAN:
            return f"CASE {column} WHEN 'true' THEN true WHEN 'false' THEN false END"
        case FieldType.TIMESTAMP:
            return moment_of_text(column, "auto")
        case FieldType.STRING | FieldType.JSON:
            return column


def from_value(value: str, held: str, wanted: FieldType) -> str | None:
    """Return SQL that turns ``value``, an expression of DuckDB's type ``held``, into ``wanted``; NULL where it is none.

    None: no value of that type ever is one, so that the mapping is wrong rather than an event.
    """
    if held == '"NULL"':
        return f"CAST({value} AS {SQL_TYPES[wanted]})"
    if wanted is FieldType.STRING:
        return f"CAST({value} AS VARCHAR)"
    if wanted is FieldType.JSON:
        return f"CAST(to_json({value}) AS VARCHAR)"
    if held == "VARCHAR":
        return from_text(value, wanted)
    if wanted is FieldType.BOOLEAN:
        return value if held == "BOOLEAN" else None
    if wanted is FieldType.TIMESTAMP:
        return instant(f"CAST({value} AS TIMESTAMP)") if held in _INSTANTS else None
    return _number(value, held, wanted)


def _number(value: str, held: str, wanted: FieldType) -> str | None:
    target = SQL_TYPES[wanted]
    exact = held in _INTEGERS or held in _WIDE_INTEGERS
    if held == target:
        return value if exact or held.startswith("DECIMAL") else f"CASE WHEN isfinite({value}) THEN {value} END"
    if exact:
        return f"TRY_CAST({value} AS {target})"
    if held not in _REALS and not held.startswith("DECIMAL"):
        return None
    finite = f"isfinite({value})" if held in _REALS else "true"
    if wanted is FieldType.INTEGER:
        return f"CASE WHEN {finite} AND {value} % 1 = 0 THEN TRY_CAST({value} AS BIGINT) END"
    return f"CASE WHEN {finite} THEN TRY_CAST({value} AS {target}) END"
