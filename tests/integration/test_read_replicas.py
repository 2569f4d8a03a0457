"""Read replicas: a standby answers people, as long as it shows what it must; decisions are the primary's."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from appliance.components.silver import RecordQuery
from appliance.domain.database.dsn import Dsn
from appliance.domain.ids import OrganisationId
from appliance.errors import Invalid
from appliance.settings import Settings
from appliance.settings.sections import Database as DatabaseSettings
from appliance.settings.sections import Server
from appliance.silvers import open_silvers
from appliance.storage.silver_postgres.connections import Connections, Cursor
from appliance.storage.silver_postgres.store import PostgresSilver
from appliance.storage.sql.source import rows_table
from tests.crash.faults import until
from tests.postgres import caught_up, postgres_server, standby_of
from tests.replicas import PIPELINE, Cluster, Node, by_standby, shown
from tests.silver_batches import PLAIN, batch, filled, row


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with postgres_server() as primary, standby_of(primary, {"max_standby_streaming_delay": "0"}) as standby:
        cluster = Cluster(primary, standby)
        caught_up(standby, cluster.url)
        yield cluster


@pytest.fixture
def node(cluster: Cluster) -> Iterator[Node]:
    node = Node(cluster)
    yield node
    node.close()


def test_people_are_answered_by_the_standby_and_whoever_decides_by_the_primary(node: Node) -> None:
    filled(node.silver, 10)
    assert node.trouble == "it has not been compared with the primary yet"
    assert not node.database.look("asking", 5.0, by_standby, PIPELINE)
    node.followed()
    assert node.database.look("asking", 5.0, by_standby, PIPELINE)
    assert not node.database.read("asking", 5.0, by_standby)
    assert node.counted == (1, 1, 0)
    assert node.newest() == 10
    assert node.counted == (1, 2, 0)
    assert node.silver.records(PLAIN, RecordQuery()).num_rows == 10
    assert node.silver.progress(PIPELINE).seq == 10
    assert node.silver.feed.end(PLAIN).seq == 10
    assert node.silver.recount(PLAIN) == node.silver.progress(PIPELINE).outcome
    assert node.counted == (1, 2, 0)


def test_a_standby_that_is_paused_is_left_when_it_is_too_old_and_followed_again(node: Node) -> None:
    filled(node.silver, 10)
    node.followed()
    with node.cluster.paused():
        node.other.commit(batch(PLAIN, 11, [row(n=11)]))
        node.now += 9.0
        node.watch.look()
        assert (node.trouble, node.newest()) == (None, 10)  # old, and not older than it may be
        node.now += 2.0
        node.watch.look()
        assert (node.trouble, node.newest()) == ("it is 11.0 s behind, 10 s are allowed", 11)
        assert (node.counted, node.replica.left) == ((1, 1, 0), "it is too far behind")
    node.followed()
    assert node.replica.left is None
    assert node.newest() == 11
    assert node.counted == (1, 2, 0)


def test_a_primary_that_writes_nothing_makes_no_standby_look_old(node: Node) -> None:
    filled(node.silver, 10)
    node.followed()
    for _ in range(3):
        node.now += 3600.0
        assert node.trouble == "it is 3600.0 s behind, 10 s are allowed"  # for all that is known: nobody has looked
        until(lambda: _looked(node) is None)


def test_own_commits_are_seen_at_once_two_hundred_times_while_the_standby_lags(node: Node) -> None:
    filled(node.silver, 1)
    node.followed()
    asked, stale = f"SELECT max(_seq) FROM {node.schema}.{rows_table(PIPELINE)}", 0
    assert node.cluster.on_standby(asked) == 1
    node.cluster.on_standby("ALTER SYSTEM SET recovery_min_apply_delay = '300ms'")
    node.cluster.on_standby("SELECT pg_reload_conf()")
    try:
        with psycopg.connect(node.cluster.copy_url, autocommit=True) as direct:
            for seq in range(2, 202):
                node.silver.commit(batch(PLAIN, seq, [row(n=seq)]))
                assert node.newest() == seq
                stale += shown(direct, asked) < seq
                if seq % 20 == 0:
                    node.watch.look()
                    assert node.trouble is None
    finally:
        node.cluster.on_standby("ALTER SYSTEM RESET recovery_min_apply_delay")
        node.cluster.on_standby("SELECT pg_reload_conf()")
    assert stale == 200  # what a replica would have shown
    assert node.counted == (200, 0, 200)
    node.followed()
    assert node.newest() == 201
    assert node.counted == (200, 1, 200)


def test_own_commits_are_seen_at_once_two_hundred_times_while_the_standby_keeps_up(node: Node) -> None:
    filled(node.silver, 1)
    node.followed()
    for seq in range(2, 202):
        node.silver.commit(batch(PLAIN, seq, [row(n=seq)]))
        assert node.newest() == seq
    primary, replica, again = node.counted
    assert (primary + replica, again) == (200, primary)


def test_changes_by_a_person_are_seen_at_once(node: Node) -> None:
    filled(node.silver, 3)
    node.followed()
    with node.cluster.paused():
        shadow = node.silver.generations.begin(PLAIN)
        node.silver.commit(batch(shadow, 1, [row(n=7)]))
        assert shadow.generation is not None
        node.silver.generations.swap(PIPELINE, shadow.generation)
        assert node.newest() == 1
        node.silver.upkeep.erase(PLAIN, [1])
        assert node.newest() == 0
    node.followed()
    assert (node.newest(), node.counted) == (0, (2, 1, 2))


def test_a_standby_killed_under_load_fails_no_read(node: Node) -> None:
    filled(node.silver, 10)
    node.followed()
    answers: list[int] = []
    failures: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                answers.append(node.newest())
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=read, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(answers) > 200)
    node.cluster.standby.stop()
    before = len(answers)
    until(lambda: len(answers) > before + 200 or bool(failures))
    done.set()
    for thread in threads:
        thread.join()
    try:
        assert failures == []
        assert set(answers) == {10}
        primary, replica, _ = node.counted
        assert min(primary, replica) > 0
        assert node.trouble == "it cannot be reached"
    finally:
        node.cluster.standby.start()
    node.followed()
    assert node.database.look("asking", 5.0, by_standby, PIPELINE)


def test_a_standby_that_hangs_fails_no_read(node: Node) -> None:
    """It keeps its connections open and answers nothing, as a machine does whose disk hangs."""
    filled(node.silver, 10)
    node.followed()
    answers: list[tuple[int, bool]] = []
    sleeping: list[object] = []

    def work(cursor: Cursor) -> bool:
        standby = by_standby(cursor)
        if standby:
            sleeping.append(cursor)
            cursor.execute("SELECT pg_sleep(20)")
        return standby

    def read() -> None:
        answers.append((node.newest(), node.database.look("asking", 15.0, work, PIPELINE)))

    threads = [threading.Thread(target=read, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: len(sleeping) == 3)
    node.watch.look()  # on a connection that is idle afterwards, and taken again
    pids = [node.cluster.standby.pid, *node.cluster.backends()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        node.watch.look()
        assert node.trouble == "it cannot be reached"
        for thread in threads:
            thread.join(30)
        assert answers == [(10, False)] * 3
        assert node.newest() == 10
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    until(lambda: _looked(node) is None)
    assert node.database.look("asking", 5.0, by_standby, PIPELINE)


def test_a_query_that_replaying_ends_is_done_again_on_the_primary(node: Node) -> None:
    filled(node.silver, 1)
    with psycopg.connect(node.cluster.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.in_the_way ()")
        node.followed()
        began: list[bool] = []

        def work(cursor: Cursor) -> bool:
            began.append(by_standby(cursor))
            if began[-1]:
                cursor.execute("SELECT FROM public.in_the_way")
                connection.execute("DROP TABLE public.in_the_way")
                cursor.execute("SELECT pg_sleep(20)")
            return by_standby(cursor)

        assert not node.database.look("asking", 30.0, work, PIPELINE)
    assert began == [True, False]
    assert (node.counted, node.trouble) == ((1, 0, 1), None)


def test_what_a_standby_has_not_replayed_yet_is_asked_of_the_primary(cluster: Cluster) -> None:
    with cluster.paused():
        node = Node(cluster)  # its schema is not there
        node.other.commit(batch(PLAIN, 1, [row(n=1)]))
        node.replicas.seen(node.replica, None, node.now)
        assert node.newest() == 1
        assert node.counted == (1, 0, 1)
        node.close()


def test_a_mistake_of_the_asker_is_not_made_twice(node: Node) -> None:
    filled(node.silver, 1)
    node.followed()

    def work(cursor: Cursor) -> object:
        return cursor.execute("SELECT 9223372036854775807::bigint + 1").fetchall()

    with pytest.raises(Invalid):
        node.database.look("asking", 5.0, work, PIPELINE)
    assert node.counted == (0, 0, 0)


def test_a_standby_promoted_by_mistake_is_not_read_from(cluster: Cluster) -> None:
    with standby_of(cluster.primary) as standby:
        node = Node(cluster, cluster.url.replace(str(cluster.primary.folder), str(standby.folder)))
        filled(node.silver, 10)
        until(lambda: _looked(node) is None)
        assert node.database.look("asking", 5.0, by_standby, PIPELINE)
        standby.run("pg_ctl", "-D", str(standby.data), "-w", "promote")
        node.other.commit(batch(PLAIN, 11, [row(n=11)]))
        assert (node.newest(), node.counted) == (11, (1, 1, 1))  # before anybody has looked
        node.watch.look()
        assert node.trouble == "it is no standby"
        assert (node.newest(), node.counted) == (11, (2, 1, 1))
        node.close()


def test_a_database_that_is_no_copy_is_refused(cluster: Cluster, database_url: str) -> None:
    """A control: the very store is there too, with other rows."""
    schema = "dash_org_elsewhere"
    connections = Connections(database_url, size=2)
    filled(PostgresSilver(connections, schema), 3)
    connections.close()
    for url, trouble in (
        (database_url, "it is a copy of another cluster"),
        (cluster.primary.new_database(), "it names another database of the cluster"),
        (cluster.url, "it is no standby"),
        ("postgresql://nobody@/x?host=/nowhere", "it cannot be reached"),
    ):
        node = Node(cluster, url, schema)
        node.watch.look()
        assert node.trouble == trouble
        assert node.newest() == 0
        node.close()


def test_the_settings_give_stores_that_are_watched(cluster: Cluster, tmp_path: Path) -> None:
    settings = Settings(
        server=Server(data_dir=tmp_path),
        database=DatabaseSettings(url=Dsn.parse(cluster.url), replicas=(Dsn.parse(cluster.copy_url),), connections=8),
    )
    silvers = open_silvers(settings)
    silver = silvers.of(OrganisationId("org_settings"))
    filled(silver, 5)
    caught_up(cluster.standby, cluster.url)

    def used() -> bool:
        silver.look.records(PLAIN, RecordQuery())
        state = silvers.reading()
        return state is not None and state.replicas[0].reads > 0

    until(used)
    silvers.close()
    names = [thread.name for thread in threading.enumerate()]
    assert "replica 1" not in names


def _looked(node: Node) -> str | None:
    node.watch.look()
    return node.trouble
