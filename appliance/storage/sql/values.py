"""Values of a condition, checked against the field they are compared with. Strict: nothing is guessed from text."""

import math
from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any, assert_never

from appliance.domain.mapping import FieldType

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_EXACT = Context(prec=100)


def checked(value: Any, kind: FieldType) -> Any:
    """Return ``value`` as the driver wants it for a field of this type.

    Raises:
        ValueError: it cannot be compared with such a field; the message says what is expected, then what was given.
    """
    match kind:
        case FieldType.STRING | FieldType.JSON:
            return _of(value, str, "text")
        case FieldType.INTEGER:
            return _integer(value)
        case FieldType.FLOAT:
            return _finite(value)
        case FieldType.DECIMAL:
            return _decimal(value)
        case FieldType.BOOLEAN:
            return _of(value, bool, "true or false")
        case FieldType.TIMESTAMP:
            return _instant(value)
        case _:
            assert_never(kind)


def _of(value: Any, wanted: type, told: str) -> Any:
    if not isinstance(value, wanted):
        raise ValueError(f"expected {told}, got {value!r}")
    if isinstance(value, str) and "\x00" in value:
        raise ValueError("expected text without the character U+0000")
    return value


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"expected an integer, got {value!r}")
    if not INT64_MIN <= value <= INT64_MAX:
        raise ValueError(f"expected an integer of 64 bits, got {value}")
    return value


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"expected a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, got {value!r}")
    return number


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise ValueError(f"expected a decimal number, got {value!r}")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"expected a decimal number, got {value!r}") from None
    # by its digits: arithmetic would round to the context's 28, or overflow
    _, digits, exponent = number.as_tuple()
    if (
        not isinstance(exponent, int)
        or (number and number.adjusted() > 28)
        or (exponent < -9 and any(digits[exponent + 9 :]))
    ):
        raise ValueError(f"expected at most 29 digits before and 9 after the point, got {value!r}")
    return number.quantize(Decimal("1e-9"), context=_EXACT)


def _instant(value: Any) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"expected an RFC 3339 time such as 2026-01-31T08:00:00Z, got {value!r}") from None
    if not isinstance(value, datetime):
        raise ValueError(f"expected an RFC 3339 time, got {value!r}")
    if value.tzinfo is None:
        raise ValueError(f"expected a time with its offset (Z or +01:00), got {value.isoformat()!r}")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"expected a time between the years 1 and 9999 in UTC, got {value.isoformat()!r}") from None
