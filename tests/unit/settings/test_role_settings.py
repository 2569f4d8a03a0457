"""What a role asks of the other settings."""

from pathlib import Path

import pytest

from appliance.errors import ConfigError
from appliance.settings import NodeRole, load


@pytest.mark.parametrize("role", ["web", "ingestor"])
def test_a_part_of_an_installation_needs_the_database_where_the_parts_meet(tmp_path: Path, role: str) -> None:
    env = {"DASH_SERVER_DATA_DIR": str(tmp_path), "DASH_SERVER_ROLE": role}
    with pytest.raises(ConfigError) as caught:
        load({}, env)
    told = f"a node that is '{role}' only meets the others in a database, and none is set"
    assert [one.message for one in caught.value.problems] == [told]
    assert caught.value.problems[0].hint == "set database.url, or take the role 'all'"
    settings = load({}, env | {"DASH_DATABASE_URL": "postgresql://dash@h/dash"})
    assert settings.server.role is NodeRole(role)


def test_a_whole_one_needs_none(tmp_path: Path) -> None:
    assert load({}, {"DASH_SERVER_DATA_DIR": str(tmp_path)}).server.role is NodeRole.ALL
