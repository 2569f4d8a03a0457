"""The control plane on SQLite: schema, transactions, what drivers complain of."""

import sqlite3
import stat
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text

from appliance.domain.drift import Drift
from appliance.domain.ids import PipelineId
from appliance.errors import ConfigError, Conflict, FatalError
from appliance.storage.control import drift, schema
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import OrganisationRow, SettingRow, Table, UserRow

AT = datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))


def organisation(name: str = "Example", id: str = "org_1") -> OrganisationRow:
    return OrganisationRow(id=id, name=name, created_at=AT)


def test_the_migrations_make_what_the_models_say(plane: ControlPlane) -> None:
    found = plane.read_now(lambda tx: compare_metadata(MigrationContext.configure(tx.connection()), Table.metadata))
    assert found == []


def test_the_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.SCRIPTS))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == schema.HEAD
    assert tuple(sorted(one.revision for one in scripts.walk_revisions())) == schema.KNOWN


def test_the_file_is_for_the_owner_and_survives_a_crash(plane: ControlPlane, tmp_path: Path) -> None:
    path = tmp_path / "control.sqlite3"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def pragmas(tx: Any) -> list[Any]:
        return [tx.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous", "foreign_keys")]

    assert plane.read_now(pragmas) == ["wal", 2, 1]  # 2: FULL


def test_a_newer_database_is_refused_with_the_way_out(plane: ControlPlane, tmp_path: Path) -> None:
    plane.write_now(lambda tx: tx.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    plane.close()
    with pytest.raises(ConfigError, match=r"'9999'.*knows up to '0007'.*start the newer version again"):
        ControlPlane.open(tmp_path / "control.sqlite3")


def test_drift_of_before_partitions_is_taken_along(plane: ControlPlane, tmp_path: Path) -> None:
    plane.write_now(lambda tx: tx.add_all([organisation(), organisation("Later", id="org_2")]))
    plane.close()
    with closing(sqlite3.connect(tmp_path / "control.sqlite3")) as file, file:
        for column in ("provider_id", "id_token"):
            file.execute(f"ALTER TABLE session DROP COLUMN {column}")
        file.execute("DROP TABLE sign_in_identity")
        file.execute("DROP TABLE sign_in_provider")
        file.execute("ALTER TABLE organisation DROP COLUMN operates")
        file.execute("DROP TABLE drift")
        file.execute("CREATE TABLE drift (pipeline_id PRIMARY KEY, baseline JSON, findings JSON, updated_at DATETIME)")
        file.execute(
            "INSERT INTO drift VALUES ('pl_1', '{\"taught\": 7}', '{\"absent\": {}}', '2026-01-01 12:00:00.000000')"
        )
        file.execute(
            "INSERT INTO pipeline VALUES ('pl_1', 'org_1', 'p', 'running', 1, '[]', '2026-01-01', '2026-01-01')"
        )
        file.execute("UPDATE alembic_version SET version_num = '0004'")
    again = ControlPlane.open(tmp_path / "control.sqlite3")
    assert again.read_now(lambda tx: drift.of(tx, PipelineId("pl_1"))) == {0: Drift(taught=7)}
    operating = select(OrganisationRow.id).where(OrganisationRow.operates)
    assert again.read_now(lambda tx: list(tx.scalars(operating))) == ["org_1"]
    again.close()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "control.sqlite3"
    path.write_bytes(b"this is no database, it is a letter" * 100)
    with pytest.raises(FatalError, match="not a database"):
        ControlPlane.open(path)


def test_instants_come_back_in_utc(plane: ControlPlane) -> None:
    plane.write_now(lambda tx: tx.add(organisation()))
    (found,) = plane.read_now(lambda tx: tx.scalars(select(OrganisationRow)).all())
    assert found.created_at == datetime(2026, 3, 29, 0, 30, 0, 123456, tzinfo=UTC)
    assert found.created_at.tzinfo is UTC


def test_a_naive_instant_is_refused(plane: ControlPlane) -> None:
    naive = OrganisationRow(id="org_2", name="x", created_at=datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(Exception, match="expected an aware datetime"):
        plane.write_now(lambda tx: tx.add(naive))


def test_an_error_rolls_everything_back(plane: ControlPlane) -> None:
    def half(tx: Any) -> None:
        tx.add(organisation())
        tx.flush()
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        plane.write_now(half)
    assert plane.read_now(lambda tx: tx.scalars(select(OrganisationRow)).all()) == []


def test_what_exists_already_is_a_conflict(plane: ControlPlane) -> None:
    plane.write_now(lambda tx: tx.add(organisation()))
    with pytest.raises(Conflict):
        plane.write_now(lambda tx: tx.add(organisation("again")))


def test_rows_without_an_organisation_are_refused(plane: ControlPlane) -> None:
    orphan = UserRow(
        id="user_1",
        organisation_id="org_none",
        email="a",
        email_key="a",
        password_hash="-",
        role="admin",
        created_at=AT,
    )
    with pytest.raises(Conflict):
        plane.write_now(lambda tx: tx.add(orphan))


def test_writers_wait_for_each_other(plane: ControlPlane) -> None:
    plane.write_now(lambda tx: tx.add(SettingRow(key="n", value={"n": 0}, updated_at=AT)))

    def one_more(tx: Any) -> None:
        row = tx.get(SettingRow, "n")
        row.value = {"n": row.value["n"] + 1}

    def many() -> None:
        for _ in range(25):
            plane.write_now(one_more)

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = plane.read_now(lambda tx: tx.get(SettingRow, "n"))
    assert found is not None
    assert found.value == {"n": 100}  # 4 × 25


def test_a_reader_sees_whole_commits_while_somebody_writes(plane: ControlPlane, tmp_path: Path) -> None:
    writing = sqlite3.connect(tmp_path / "control.sqlite3", isolation_level=None)
    writing.execute("BEGIN IMMEDIATE")
    writing.execute("INSERT INTO organisation VALUES ('org_9', 'x', '2026-01-01', 0)")
    assert plane.read_now(lambda tx: tx.scalars(select(OrganisationRow.id)).all()) == []
    writing.execute("COMMIT")
    writing.close()
    assert plane.read_now(lambda tx: tx.scalars(select(OrganisationRow.id)).all()) == ["org_9"]
