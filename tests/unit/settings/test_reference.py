"""What people are shown of the settings."""

from pathlib import Path

from appliance.settings import resolve
from appliance.settings.declared import declared
from appliance.settings.reference import effective, reference


def test_every_setting_has_an_entry_with_unit_default_and_bounds() -> None:
    page = reference()
    for one in declared():
        assert f"### `{one.key}`" in page
    assert (
        "### `bronze.segment_size`\n\nA segment is closed when it has grown to this.\n\n"
        "environment `DASH_BRONZE_SEGMENT_SIZE` · default `64 MiB` · from `1 MiB` to `4 GiB`\n"
    ) in page
    assert "default `info` · one of `debug`, `info`, `warning`, `error`" in page


def test_effective_values_name_their_origin(tmp_path: Path) -> None:
    env = {"DASH_SERVER_DATA_DIR": str(tmp_path), "DASH_BRONZE_SEGMENT_AGE": "90m"}
    rows = {row["key"]: row for row in effective(resolve({"server.port": 80}, env))}
    assert rows["server.port"] == {"key": "server.port", "value": "80", "origin": "flag"}
    assert rows["bronze.segment_age"] == {
        "key": "bronze.segment_age",
        "value": "1h30m",
        "origin": "DASH_BRONZE_SEGMENT_AGE",
    }
    assert rows["server.base_url"] == {"key": "server.base_url", "value": "", "origin": "default"}
