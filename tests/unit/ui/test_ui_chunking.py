"""What the storage page says about TimescaleDB."""

import pytest
from msgspec.structs import replace

from appliance.components.upkeep import Chunking
from ui.widgets.chunking import span, told

COMMUNITY = Chunking(
    version="2.28.3", edition="community", in_use=True, columnstore=True, width_secs=86_400, compress_after_secs=604_800
)


@pytest.mark.parametrize(
    ("secs", "expected"),
    [(86_400, "1 day"), (604_800, "7 days"), (21_600, "6 hours"), (5_400, "90 minutes"), (61, "61 seconds")],
)
def test_a_span_is_told_exactly(secs: int, expected: str) -> None:
    assert span(secs) == expected


def test_what_is_done_is_told_with_the_settings_that_say_so() -> None:
    assert told(COMMUNITY) == (
        "Rows are kept in chunks of 1 day (silver.chunk_interval); 7 days after its end a chunk goes into the"
        " columnstore (silver.compress_after)."
    )
    stays = "Rows are kept in chunks of 1 day (silver.chunk_interval). They stay rows."
    assert told(replace(COMMUNITY, edition="apache", columnstore=False)) == stays
    assert told(replace(COMMUNITY, columnstore=False, compress_after_secs=None)) == stays
    assert told(replace(COMMUNITY, in_use=False)) == "It is not used for new rows."
