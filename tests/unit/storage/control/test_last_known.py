"""What a node knew last: kept sealed, and believed only where it is whole and of the same database."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.mapping import Field, FieldType, Mapping
from appliance.domain.partition import Partition
from appliance.domain.pipeline import Pipeline, PipelineDocument, RateLimit, State
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.storage.control.last_known import FILE, LastKnown, keep, recall
from appliance.storage.control.vault import Vault

pytestmark = pytest.mark.usefixtures("all_is_logged")

DATABASE = "postgresql://dash@db/dash dash"
PIPELINE = Pipeline(
    id=PipelineId("pl_1"),
    organisation_id=OrganisationId("org_1"),
    version=3,
    state=State.PAUSED,
    document=PipelineDocument(
        name="numbers",
        source={"type": "webhook", "secrets": ["a secret of the document"]},
        mapping=Mapping(fields=[Field(name="n", type=FieldType.INTEGER, path="$.n")]),
        rollups=[Rollup(name="per_minute", bucket="1m", measures=[RollupMeasure(op="count")])],
        rate_limit=RateLimit(events_per_sec=5.0),
    ),
    secrets=("whsec_generated",),
)
KNOWN = LastKnown(database=DATABASE, partition=Partition(1), pipelines=[PIPELINE], refined={PipelineId("pl_1"): 7})


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.open(tmp_path)


def test_what_is_kept_is_recalled_whole(tmp_path: Path, vault: Vault) -> None:
    assert recall(tmp_path, vault, DATABASE) is None
    keep(tmp_path, vault, LastKnown(database=DATABASE, partition=Partition(0), pipelines=[], refined={}))
    keep(tmp_path, vault, KNOWN)
    assert recall(tmp_path, vault, DATABASE) == KNOWN
    assert recall(tmp_path, vault, "postgresql://dash@elsewhere/dash dash") is None


def test_it_is_sealed_and_for_nobody_elses_eyes(tmp_path: Path, vault: Vault) -> None:
    keep(tmp_path, vault, KNOWN)
    path = tmp_path / FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert not any(word in path.read_text() for word in ("secret", "numbers", "webhook"))


def test_what_is_damaged_or_of_another_key_is_not_believed(tmp_path: Path, vault: Vault) -> None:
    keep(tmp_path, vault, KNOWN)
    other = Vault.open(tmp_path / "other")
    whole = (tmp_path / FILE).read_bytes()
    with capture_logs() as logs:
        assert recall(tmp_path, other, DATABASE) is None
        for damaged in (whole[:-9], b"", b"\xff" + whole):
            (tmp_path / FILE).write_bytes(damaged)
            assert recall(tmp_path, vault, DATABASE) is None
    assert [entry["event"] for entry in logs] == ["doors.unreadable"] * 4
