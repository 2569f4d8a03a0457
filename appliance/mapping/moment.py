"""SQL that reads text as an instant: TIMESTAMP in UTC, microseconds; NULL for what is none or lies far away.

``auto`` takes RFC 3339 (without a zone: UTC), a plain ISO date, or a number of seconds, milli-, micro- or nanoseconds
since 1970, told apart by magnitude: below 10¹¹ seconds, below 10¹⁴ milli-, below 10¹⁷ microseconds. Instants before
1900 or from 2200 on are refused: they are broken clocks and wrong units, and would spoil every time range.
"""

from appliance.mapping import sql

FORMATS = ("auto", "rfc3339", "unix_s", "unix_ms", "unix_us", "unix_ns")

# Hours to 23 because DuckDB takes 24:00 for the next day; the zone may be written +01, +0100 or +01:00.
_DATE = r"(19|2[01])[0-9]{2}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?([Zz]|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)?"
_NUMBER = r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_FIRST = -2_208_988_800  # 1900-01-01T00:00:00Z
_AFTER = 7_258_118_400  # 2200-01-01T00:00:00Z
_UNITS = {"unix_s": 1, "unix_ms": 1_000, "unix_us": 1_000_000, "unix_ns": 1_000_000_000}
_LEAST_OF_UNIT = {"unix_s": 0, "unix_ms": 10**11, "unix_us": 10**14, "unix_ns": 10**17}


def moment_of_text(column: str, form: str) -> str:
    """Return SQL that reads ``column`` by ``form``: one of FORMATS or a strptime pattern."""
    # make_timestamp on microseconds keeps away from the time zone library: 45 ns instead of 100 ns for each event.
    iso = f"epoch_us(TRY_CAST(upper({column}) AS TIMESTAMPTZ))"
    if form == "rfc3339":
        return f"make_timestamp(CASE WHEN regexp_full_match({column}, '{_DATE}{_CLOCK}') THEN {iso} END)"
    if form in _UNITS:
        return f"make_timestamp(CASE WHEN {_is_number(column)} {_counted(column, form, 0)} END)"
    if form == "auto":
        guesses = " ".join(_counted(column, unit, least) for unit, least in _LEAST_OF_UNIT.items())
        return (
            f"make_timestamp(CASE WHEN regexp_full_match({column}, '{_DATE}({_CLOCK})?') THEN {iso}"
            f" WHEN {_is_number(column)} {guesses} END)"
        )
    # Without a digit it could only be a word that strptime takes beside its pattern: epoch, infinity.
    parsed = f"CAST(try_strptime({column}, {sql.text(form)}) AS TIMESTAMP)"
    return f"CASE WHEN regexp_matches({column}, '[0-9]') THEN {instant(parsed)} END"


def instant(timestamp: str) -> str:
    """Return SQL for ``timestamp``, a TIMESTAMP; NULL outside the years 1900 to 2199."""
    return (
        f"CASE WHEN {timestamp} >= TIMESTAMP '1900-01-01' AND {timestamp} < TIMESTAMP '2200-01-01' THEN {timestamp} END"
    )


def _is_number(column: str) -> str:
    return f"NOT regexp_full_match({column}, '{_NUMBER}') THEN NULL"


def _counted(column: str, unit: str, least: int) -> str:
    """Return the WHEN … THEN … that counts ``unit`` since 1970, for sane numbers of at least ``least``."""
    number = f"TRY_CAST({column} AS DOUBLE)"
    per_second = _UNITS[unit]
    sane = f"{number} >= {_FIRST * per_second} AND {number} < {_AFTER * per_second}"
    if least:
        sane += f" AND abs({number}) >= {least}"
    # A double holds microseconds of these centuries exactly, nanoseconds not.
    micros = f"TRY_CAST({column} AS BIGINT) // 1000" if unit == "unix_ns" else _scaled(number, 1_000_000 // per_second)
    return f"WHEN {sane} THEN {micros}"


def _scaled(number: str, factor: int) -> str:
    return f"CAST(round({number} * {factor}) AS BIGINT)"
