"""A second node needs a licence to join, and none to come back."""

import shutil
from pathlib import Path

import pytest

from tests.licensed import issued
from tests.running import RunningAppliance


@pytest.mark.slow
def test_a_second_node_joins_by_a_licence_and_comes_back_without(tmp_path: Path, database_url: str) -> None:
    environment = {"DASH_DATABASE_URL": database_url}
    for name in ("anna", "bert"):
        (tmp_path / name).mkdir()
    anna = RunningAppliance(tmp_path / "anna", environment=environment, community=True)
    bert = RunningAppliance(tmp_path / "bert", environment=environment)
    anna.setup()
    bert.data_dir.mkdir()
    shutil.copy(anna.data_dir / "secret.key", bert.data_dir)
    anna.start()
    with pytest.raises(RuntimeError, match="Community allows 1 node, and there is 1: those that run, run on"):
        bert.start()
    assert not (bert.data_dir / "node.partition").exists()
    with anna.client() as client:
        client.put("/api/v1/license", json={"document": issued(days=2)}).raise_for_status()
        bert.start()
        bert.stop()
        later = client.get("/api/v1/license/simulate", params={"date": "2099-01-01"}).json()
        assert later["standing"] == "lapsed"
        database = [{"limit": one["limit"], "used": one["used"]} for one in later["limits"] if one["thing"] == "nodes"]
        assert database == [{"limit": 1, "used": 1}]
    anna.stop()
    shown = anna.run("license", "show", "--json")
    assert shown.returncode == 0, shown.stderr
    bert.start()  # it took part before
    bert.stop()
