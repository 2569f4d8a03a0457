"""A primary with a standby, and a store that reads from it as a test moves the clock."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import psycopg

from appliance.components.silver import RecordQuery
from appliance.storage.silver_postgres.connections import Connections, Cursor
from appliance.storage.silver_postgres.database import Database
from appliance.storage.silver_postgres.replica_watch import ReplicaWatch
from appliance.storage.silver_postgres.replicas import Replica, Replicas
from appliance.storage.silver_postgres.store import PostgresSilver, Reading
from tests.crash.faults import until
from tests.postgres import PostgresServer, caught_up
from tests.silver_batches import PLAIN

PIPELINE = PLAIN.pipeline_id
_schemas = count(1)


class Cluster:
    """A primary with a standby that ends at once what is in the way of replaying."""

    def __init__(self, primary: PostgresServer, standby: PostgresServer) -> None:
        self.primary, self.standby = primary, standby
        self.url = primary.new_database()
        self.copy_url = self.url.replace(str(primary.folder), str(standby.folder))

    def on_standby(self, statement: str) -> Any:
        with psycopg.connect(self.copy_url, autocommit=True) as connection:
            return shown(connection, statement)

    def backends(self) -> list[int]:
        """Return the processes of the standby that serve connections of stores."""
        asked = "SELECT array_agg(pid) FROM pg_stat_activity WHERE application_name = 'dash'"
        return list(self.on_standby(asked))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let the standby replay nothing meanwhile."""
        self.on_standby("SELECT pg_wal_replay_pause()")
        until(lambda: self.on_standby("SELECT pg_get_wal_replay_pause_state()") == "paused")
        try:
            yield
        finally:
            self.on_standby("SELECT pg_wal_replay_resume()")


class Node:
    """A store with one replica, which is looked at when a test says so, by a clock that a test moves."""

    def __init__(self, cluster: Cluster, copy_url: str | None = None, schema: str | None = None) -> None:
        self.cluster, self.now = cluster, 1000.0
        self.schema = schema or f"dash_org_{next(_schemas)}"
        self.primary = Connections(cluster.url, size=6)
        self.replica = Replica(1, "standby", Connections(copy_url or cluster.copy_url, size=5, wait_secs=1.0))
        self.replicas = Replicas([self.replica], 10.0, lambda: self.now)
        self.watch = ReplicaWatch(self.replica, self.primary, self.replicas, now=lambda: self.now)
        self.silver = PostgresSilver(self.primary, self.schema, reading=Reading(self.primary, replicas=self.replicas))
        self.database = Database(self.schema, self.primary, self.primary, self.replicas)
        self.other = PostgresSilver(self.primary, self.schema)  # as another node: nothing of it is known here

    def followed(self) -> None:
        """Let the standby have everything, and see it."""
        caught_up(self.cluster.standby, self.cluster.url)
        self.watch.look()
        assert self.trouble is None

    @property
    def trouble(self) -> str | None:
        return self.replicas.state().replicas[0].trouble

    @property
    def counted(self) -> tuple[int, int, int]:
        """Reads answered by the primary, by the replica, and by the primary after the replica."""
        state = self.replicas.state()
        return state.primary, state.replicas[0].reads, state.replicas[0].again

    def newest(self) -> int:
        rows = self.silver.look.records(PLAIN, RecordQuery(limit=1))
        return int(rows.column("_seq")[0].as_py()) if rows.num_rows else 0

    def close(self) -> None:
        self.primary.close()
        self.replica.connections.close()


def by_standby(cursor: Cursor) -> bool:
    """Return who answers."""
    return bool(cursor.execute("SELECT pg_is_in_recovery()").fetchall()[0][0])


def shown(standby: "psycopg.Connection[Any]", asked: str) -> Any:
    """Return what a standby answers; asked again as often as replaying ends the query."""
    while True:
        with suppress(psycopg.errors.SerializationFailure):
            answer = standby.execute(asked)
            return answer.fetchall()[0][0] if answer.description else None
