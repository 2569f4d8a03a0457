"""What a node that keeps no events starts on, and what it then is."""

from pathlib import Path
from typing import Any

import pytest

from appliance.domain.database.dsn import Dsn
from appliance.errors import ConfigError
from appliance.looking import elsewhere_of
from appliance.settings import NodeRole, Settings
from appliance.settings.sections import Database, Server
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.refining import BOILERS, append


def settings(role: NodeRole, data_dir: Path) -> Settings:
    database = Database(url=Dsn.parse("postgresql://dash@h/dash"))
    return Settings(server=Server(role=role, data_dir=data_dir), database=database)


async def test_a_web_node_starts_on_no_data_directory_that_holds_events(tmp_path: Path) -> None:
    log: Any = MemoryBronzeLog()
    assert elsewhere_of(settings(NodeRole.WEB, tmp_path), log) is not None
    await append(log, b"1")
    assert log.pipelines() == [BOILERS]
    with pytest.raises(ConfigError, match="holds events, and a node that is 'web' keeps none") as caught:
        elsewhere_of(settings(NodeRole.WEB, tmp_path), log)
    assert caught.value.problems[0].pointer == "server.role"


@pytest.mark.parametrize("role", [NodeRole.ALL, NodeRole.INGESTOR])
def test_who_keeps_events_runs_pipelines_itself(tmp_path: Path, role: NodeRole) -> None:
    assert elsewhere_of(settings(role, tmp_path), MemoryBronzeLog()) is None
