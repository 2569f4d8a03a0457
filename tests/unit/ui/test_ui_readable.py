"""What was received is shown as it came, whatever a float could hold of it."""

import pytest

from ui.documents import indented


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b'{"temp":1e400,"id":12345678901234567890}', '{\n  "temp": 1e400,\n  "id": 12345678901234567890\n}'),
        (b'{"a":1.50,"a":2}', '{\n  "a": 1.50,\n  "a": 2\n}'),
        ('{"city":"Köln"}'.encode(), '{\n  "city": "Köln"\n}'),
        (b'{"a":', '{"a":'),
        (b"a=1&b=\xff", "a=1&b=\ufffd"),
    ],
)
def test_as_it_came(payload: bytes, shown: str) -> None:
    assert indented(payload) == shown
