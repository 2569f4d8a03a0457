"""The control plane when its database goes away, comes back, or is another one: nobody starts anything again."""

import re
import threading
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from appliance.domain.clock import utc_now
from appliance.domain.database.access import Access
from appliance.domain.database.dsn import Dsn
from appliance.domain.database.findings import Need
from appliance.errors import ConfigError, Invalid, NotFound, TransientError
from appliance.storage.control import schema
from appliance.storage.control.examination import examine
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import OrganisationRow
from tests.postgres import caught_up, postgres_server, standby_of

NEED = Need(connections=5, max_lag_secs=10, head=schema.HEAD, known=schema.KNOWN)


def add(plane: ControlPlane, name: str) -> None:
    plane.write_now(lambda tx: tx.add(OrganisationRow(id=f"org_{name}", name=name, created_at=utc_now())))


def names(plane: ControlPlane) -> list[str]:
    return plane.read_now(lambda tx: list(tx.scalars(select(OrganisationRow.name).order_by(OrganisationRow.name))))


@pytest.fixture
def plane(database_url: str) -> Iterator[ControlPlane]:
    plane = ControlPlane.open(database_url)
    yield plane
    plane.close()


def end_others(url: str) -> None:
    """Cut every other connection to the database at ``url``."""
    asked = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"
    with psycopg.connect(url) as connection:
        connection.execute(asked, [connection.info.backend_pid])


def test_idle_connections_that_were_cut_are_replaced_unnoticed(plane: ControlPlane, database_url: str) -> None:
    add(plane, "a")
    for _ in range(5):
        end_others(database_url)
        assert names(plane) == ["a"]
    add(plane, "b")
    assert names(plane) == ["a", "b"]


def test_a_connection_cut_in_the_middle_undoes_all_and_is_told_as_passing(
    plane: ControlPlane, database_url: str
) -> None:
    def cut(tx: Session) -> None:
        tx.add(OrganisationRow(id="org_x", name="x", created_at=utc_now()))
        tx.flush()
        end_others(database_url)
        tx.scalar(select(OrganisationRow.id))

    with pytest.raises(TransientError, match="the control plane cannot be used now: the database server is stopping"):
        plane.write_now(cut)
    assert names(plane) == []
    add(plane, "after")
    assert names(plane) == ["after"]


def test_a_server_that_is_away_is_told_as_passing_and_used_again_when_it_is_back() -> None:
    with postgres_server() as server:
        plane = ControlPlane.open(server.new_database())
        add(plane, "before")
        server.stop()
        for _ in range(2):
            with pytest.raises(TransientError, match="cannot be used now: no server is on the socket"):
                names(plane)
        server.start()
        assert names(plane) == ["before"]
        add(plane, "later")
        plane.close()


def test_a_promoted_standby_is_followed_without_a_restart() -> None:
    with postgres_server() as primary:
        url = primary.new_database()
        with standby_of(primary) as standby:
            both = Dsn.parse(url).replaced(host=f"{standby.folder},{primary.folder}")
            plane = ControlPlane.open(Access(dsn=both))
            add(plane, "before")
            alone, copy = Access(dsn=Dsn.parse(url)), Access(dsn=Dsn.parse(url).replaced(host=str(standby.folder)))
            caught_up(standby, url)
            told = [one.message for one in examine(alone, NEED, [copy, alone]).findings if "replica" in one.message]
            assert told[1] == f"replica the socket {primary.folder}/.s.PGSQL.5432 is no standby"
            assert re.fullmatch(rf"replica the socket {standby.folder}/.s.PGSQL.5432 is [0-2]\.\d s behind", told[0])
            assert len(told) == 2
            bad = [one.message for one in examine(copy, NEED).findings if one.state == "bad"]
            assert "this server is a standby and takes no writes" in bad
            reading = ControlPlane.open(copy)
            with pytest.raises(TransientError, match="the database takes no writes: it is a standby"):
                add(reading, "refused")
            reading.close()

            primary.stop()
            with pytest.raises(TransientError):
                add(plane, "too early")
            standby.run("pg_ctl", "-D", str(standby.data), "-w", "promote")
            assert names(plane) == ["before"]
            add(plane, "after")
            assert names(plane) == ["after", "before"]
            plane.close()


def test_several_nodes_may_start_at_once_on_an_empty_database(database_url: str) -> None:
    failed: list[BaseException] = []

    def start() -> None:
        try:
            ControlPlane.open(database_url).close()
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT version_num FROM dash.alembic_version").fetchall() == [(schema.HEAD,)]


def test_nothing_of_a_transaction_stays_in_the_session(plane: ControlPlane) -> None:
    """What PgBouncer in transaction mode needs."""
    for number in range(8):  # more than the five after which psycopg prepares
        add(plane, str(number))
    asked = (
        "SELECT current_setting('search_path'), current_setting('lock_timeout'), (SELECT count(*) FROM "
        "pg_prepared_statements), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
    )
    assert plane.read_now(lambda tx: tuple(tx.execute(text(asked)).one())) == ('"$user", public', "0", 0, 0)


def test_a_newer_schema_is_refused_with_the_way_out(plane: ControlPlane, database_url: str) -> None:
    plane.write_now(lambda tx: tx.execute(text("UPDATE dash.alembic_version SET version_num = '9999'")))
    with pytest.raises(ConfigError, match=r"'9999'.*knows up to.*start the newer version again"):
        ControlPlane.open(database_url)


def test_a_text_that_cannot_be_stored_is_the_senders_mistake(plane: ControlPlane) -> None:
    with pytest.raises(Invalid, match="the database cannot store this"):
        add(plane, "a\0b")
    with pytest.raises(NotFound):
        plane.read_now(lambda tx: tx.get(OrganisationRow, "\0"))


def test_a_read_cannot_write(plane: ControlPlane) -> None:
    with pytest.raises(TransientError, match="takes no writes"):
        plane.read_now(lambda tx: tx.execute(text("DELETE FROM dash.organisation")))
