from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from appliance.domain.mapping import FieldType
from appliance.storage.sql.values import checked

EIGHT = datetime(2026, 1, 31, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (FieldType.STRING, "", ""),
        (FieldType.INTEGER, -(2**63), -(2**63)),
        (FieldType.FLOAT, 3, 3.0),
        (FieldType.FLOAT, -0.5, -0.5),
        (FieldType.DECIMAL, 0.1, Decimal("0.1")),
        (FieldType.DECIMAL, "12345678901234567890123456789.5", Decimal("12345678901234567890123456789.5")),
        (FieldType.DECIMAL, 7, Decimal(7)),
        (FieldType.BOOLEAN, False, False),
        (FieldType.TIMESTAMP, "2026-01-31T08:00:00Z", EIGHT),
        (FieldType.TIMESTAMP, "2026-01-31T09:00:00+01:00", EIGHT),
        (FieldType.TIMESTAMP, datetime(2026, 1, 31, 3, tzinfo=timezone(timedelta(hours=-5))), EIGHT),
        (FieldType.JSON, '{"a"', '{"a"'),
    ],
)
def test_a_value_that_fits(kind: FieldType, value: Any, expected: Any) -> None:
    found = checked(value, kind)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        (FieldType.STRING, 1, "expected text, got 1"),
        (FieldType.STRING, "a\x00b", "without the character U\\+0000"),
        (FieldType.INTEGER, True, "expected an integer, got True"),
        (FieldType.INTEGER, 1.0, "expected an integer, got 1.0"),
        (FieldType.INTEGER, 2**63, "64 bits"),
        (FieldType.FLOAT, "1", "expected a number, got '1'"),
        (FieldType.FLOAT, float("nan"), "finite"),
        (FieldType.FLOAT, 10**400, "finite"),
        (FieldType.DECIMAL, "abc", "expected a decimal number"),
        (FieldType.DECIMAL, "1e29", "29 digits before"),
        (FieldType.DECIMAL, "0.0000000001", "9 after the point"),
        (FieldType.DECIMAL, "NaN", "29 digits before"),
        (FieldType.BOOLEAN, 1, "expected true or false, got 1"),
        (FieldType.TIMESTAMP, "yesterday", "RFC 3339"),
        (FieldType.TIMESTAMP, "2026-01-31T08:00:00", "with its offset"),
        (FieldType.TIMESTAMP, 1_700_000_000, "RFC 3339"),
        (FieldType.TIMESTAMP, "0001-01-01T00:00:00+14:00", "year"),
    ],
)
def test_a_value_that_does_not(kind: FieldType, value: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        checked(value, kind)


@pytest.mark.parametrize("value", ["1e999999999", "1E+100", "123456789012345678901234567890"])
def test_a_decimal_out_of_all_bounds_is_refused_quickly(value: str) -> None:
    with pytest.raises(ValueError, match="29 digits"):
        checked(value, FieldType.DECIMAL)
