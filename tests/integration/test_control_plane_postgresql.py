"""The control plane's models, migrations and audit chain on their other database, a real one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session

from appliance.cluster import partition_here
from appliance.domain.ids import NodeId
from appliance.errors import Conflict
from appliance.storage.control import audit
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import AuditRow, OrganisationRow, Table, UserRow

AT = datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))


@pytest.fixture
def plane(postgresql: str) -> Iterator[ControlPlane]:
    plane = ControlPlane.open(postgresql)
    yield plane
    plane.write_now(lambda tx: [tx.execute(delete(table)) for table in reversed(Table.metadata.sorted_tables)])
    plane.close()


def user(identity: str, email: str) -> UserRow:
    return UserRow(
        id=identity, organisation_id="org_1", email=email, email_key=email.lower(), password_hash="-", role="admin",
        created_at=AT, disabled_at=None,
    )  # fmt: skip


def test_the_migrations_make_what_the_models_say(plane: ControlPlane) -> None:
    """Within the transaction the schema is the default one, as it is for the migrations."""

    def differences(tx: Session) -> object:
        connection = tx.connection()
        connection.dialect.default_schema_name = "dash"
        connection.execute(text("SET LOCAL search_path TO dash"))
        return compare_metadata(MigrationContext.configure(connection), Table.metadata)

    assert plane.read_now(differences) == []


def test_opening_again_changes_nothing(plane: ControlPlane, postgresql: str) -> None:
    plane.write_now(lambda tx: tx.add(OrganisationRow(id="org_1", name="Example", created_at=AT)))
    again = ControlPlane.open(postgresql)
    try:
        found = again.read_now(lambda tx: tx.scalars(select(OrganisationRow)).one())
    finally:
        again.close()
    assert (found.name, found.created_at) == ("Example", datetime(2026, 3, 29, 0, 30, 0, 123456, tzinfo=UTC))


def test_what_exists_already_is_a_conflict_and_writes_nothing(plane: ControlPlane) -> None:
    plane.write_now(lambda tx: tx.add(OrganisationRow(id="org_1", name="Example", created_at=AT)))
    plane.write_now(lambda tx: tx.add(user("usr_1", "Ada@example.org")))
    with pytest.raises(Conflict):
        plane.write_now(lambda tx: tx.add_all([user("usr_2", "grace@example.org"), user("usr_3", "ada@example.org")]))
    assert plane.read_now(lambda tx: tx.scalars(select(UserRow.id)).all()) == ["usr_1"]


def test_the_audit_chain_shows_what_was_changed(plane: ControlPlane) -> None:
    for number in range(3):
        deed = audit.Deed(organisation_id=None, who="ada", action="pipeline.create", target=f"pl_{number}")
        plane.write_now(lambda tx, deed=deed: audit.record(tx, deed, AT))
    assert plane.read_now(lambda tx: list(audit.verify(tx))) == []
    plane.write_now(lambda tx: tx.execute(update(AuditRow).where(AuditRow.sequence == 2).values(who="eve")))
    assert plane.read_now(lambda tx: list(audit.verify(tx))) == ["audit entry 2 was changed after it was written"]


def test_nodes_that_come_at_the_same_moment_are_given_different_partitions(database_url: str, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        planes = [ControlPlane.open(database_url) for _ in range(8)]

        def come(number: int) -> int:
            folder = tmp_path / str(number)
            folder.mkdir()
            return partition_here(planes[number], NodeId(f"node_{number}"), folder, shared=True)

        assert sorted(threads.map(come, range(8))) == [0, 1, 2, 3, 4, 5, 6, 7]
    for plane in planes:
        plane.close()
