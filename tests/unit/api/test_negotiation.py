"""Which format a request gets."""

import pytest

from appliance.api.negotiation import wanted_media
from appliance.errors import Invalid

CSV, JSON, PARQUET = "text/csv", "application/json", "application/vnd.apache.parquet"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("TEXT/CSV; charset=utf-8", CSV),
        ("text/*", CSV),
        ("application/json, text/csv", JSON),
        ("application/json;q=0.1, text/csv;q=0.9", CSV),
        (f"text/html, {PARQUET};q=0.5, */*;q=0.1", PARQUET),
        ("image/png", JSON),
        ("text/csv;q=nonsense", JSON),
        ("text/csv;q=0", JSON),
    ],
)
def test_accept(accept: str | None, expected: str) -> None:
    assert wanted_media(None, accept) == expected


def test_the_parameter_wins() -> None:
    assert wanted_media("csv", JSON) == CSV
    with pytest.raises(Invalid, match="there is no format 'xls'"):
        wanted_media("xls", None)
