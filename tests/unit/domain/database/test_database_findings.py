"""What facts about a database mean."""

from typing import Any

import msgspec
import pytest

from appliance.domain.database.facts import Extension, Facts, Replica, Schema
from appliance.domain.database.findings import Need, findings, intentions

NEED = Need(connections=20, max_lag_secs=10, head="0003", known=("0001", "0002", "0003"))
SOUND = Facts(
    version=160004, user="dash", database="dash", schema="dash", tls="TLSv1.3", sslmode="verify-full", tables=16,
    settings={"max_connections": "100", "superuser_reserved_connections": "3", "fsync": "on", "work_mem": "4096",
              "max_wal_size": "1024", "TimeZone": "Europe/Vienna", "statement_timeout": "0"},
    round_trips=(0.0004, 0.0005, 0.0100),
)  # fmt: skip


def troubles(**changes: Any) -> list[tuple[str, str]]:
    facts = msgspec.structs.replace(SOUND, **changes)
    return [(one.state, one.message) for one in findings(facts, NEED) if one.state != "fine"]


def settings(**changes: str) -> dict[str, Any]:
    return {"settings": {**SOUND.settings, **changes}}


def test_a_sound_database_has_no_trouble() -> None:
    assert troubles() == []
    assert [one.message for one in findings(SOUND, NEED)] == [
        "PostgreSQL 16.4",
        "encrypted (TLSv1.3), and the server's certificate is verified (verify-full)",
        "'dash' may make schemas in 'dash'",
        "no TimescaleDB: Dash partitions by itself",
        "a node uses up to 20 connections, max_connections leaves 97, 0 in use",
        "its time zone is Europe/Vienna; Dash stores and compares in UTC whatever it is",
        "a round trip takes 0.5 ms",
    ]


@pytest.mark.parametrize(
    ("changes", "state", "message"),
    [
        ({"version": 140011}, "bad", "PostgreSQL 14.11 is too old"),
        ({"version": 190000}, "warning", "PostgreSQL 19.0 is newer than this version of Dash knows"),
        ({"encoding": "LATIN1"}, "bad", "the database is encoded in LATIN1, which cannot hold every text"),
        ({"in_recovery": True}, "bad", "this server is a standby and takes no writes"),
        (settings(default_transaction_read_only="on"), "bad",
         "default_transaction_read_only is on: nothing could be written"),
        ({"tls": None, "local": False}, "warning",
         "the connection is not encrypted: passwords and rows can be read on the way"),
        ({"sslmode": "require"}, "warning",
         "encrypted (TLSv1.3), but the certificate is not verified (sslmode=require)"),
        ({"superuser": True}, "warning", "'dash' is a superuser, which is much more than Dash needs"),
        ({"may_create": False}, "bad", "'dash' may not make schemas, and schema 'dash' is not there"),
        ({"may_use_temporary": False}, "bad", "'dash' may not make temporary tables, which refining needs"),
        ({"revision": "0009"}, "bad", "schema 'dash' is at '0009'; this Dash knows up to '0003'"),
        ({"schemas": (Schema("dash", usable=False),)}, "bad", "'dash' may not make tables in schema 'dash'"),
        ({"schemas": (Schema("dash", usable=True, foreign=2),)}, "bad",
         "2 tables of schema 'dash' belong to another role"),
        ({"may_create": False, "schemas": (Schema("dash", usable=True),), "missing": ("dash_org_1",)}, "bad",
         "the schemas of 1 organisations are not there and may not be made"),
        ({"extension": Extension(installed="2.28.3", licence="apache")}, "warning",
         "TimescaleDB 2.28.3, Apache edition: no compression, no continuous aggregates, no policies"),
        (settings(max_connections="40"), "warning",
         "a node uses up to 20 connections, max_connections leaves 37, 0 in use: a second node would not fit"),
        ({"role_limit": 10}, "bad",
         "a node uses up to 20 connections, the limit of role 'dash' leaves 10, 0 in use"),
        (settings(fsync="off"), "bad", "fsync is off: a crash of its machine ruins the whole database"),
        (settings(full_page_writes="off"), "warning", "full_page_writes is off: a crash may leave half-written pages"),
        (settings(synchronous_commit="off"), "warning",
         "synchronous_commit is off: what was saved last may be gone after a crash of the server"),
        (settings(statement_timeout="5000"), "warning",
         "statement_timeout is 5 s: migrations, large batches and replays take longer"),
        (settings(idle_in_transaction_session_timeout="1000"), "warning",
         "idle_in_transaction_session_timeout is 1 s: a batch that is being written may pause for longer"),
        (settings(work_mem="1024"), "warning", "work_mem is 1024 kB: sorting and grouping go to the disk"),
        (settings(max_wal_size="64"), "warning",
         "max_wal_size is 64 MB: steady ingest makes the server checkpoint all the time"),
        ({"round_trips": (0.03, 0.05, 0.04)}, "warning",
         "a round trip takes 40.0 ms: every change and every page waits for several"),
        ({"replicas": (Replica(name="r1", lag_secs=12.4),)}, "warning", "replica r1 is 12 s behind"),
        ({"replicas": (Replica(name="r1", standby=False),)}, "warning", "replica r1 is no standby"),
        ({"replicas": (Replica(name="r1", same_cluster=False),)}, "bad", "replica r1 is a copy of another database"),
        ({"replicas": (Replica(name="r1", trouble="nobody listens on r1 port 5432"),)}, "warning",
         "replica r1: nobody listens on r1 port 5432"),
    ],
)  # fmt: skip
def test_each_trouble_is_told_once_with_a_remedy(changes: dict[str, Any], state: str, message: str) -> None:
    assert troubles(**changes) == [(state, message)]
    facts = msgspec.structs.replace(SOUND, **changes)
    assert all(one.remedy for one in findings(facts, NEED) if one.state != "fine")


def test_what_does_not_leave_the_machine_needs_no_encryption() -> None:
    assert troubles(tls=None, local=True) == []


def test_a_replica_may_be_as_far_behind_as_it_is_allowed() -> None:
    assert troubles(replicas=(Replica(name="r1", lag_secs=10.0),)) == []


def test_what_dash_will_do() -> None:
    def first(**changes: Any) -> str:
        return intentions(msgspec.structs.replace(SOUND, **changes), NEED)[0]

    there = (Schema("dash", usable=True),)
    assert first() == "Make schema dash with 16 tables for accounts, pipelines, dashboards, jobs and audit."
    assert first(schemas=there) == "Make 16 tables in schema dash, which is there already."
    assert first(schemas=there, revision="0002") == "Bring schema dash from version 0002 to 0003."
    assert first(schemas=there, revision="0003").startswith("Use schema dash as it is")


def test_a_pooler_by_transaction_is_named() -> None:
    assert troubles(pooled=True) == [
        (
            "warning",
            "a pooler lends connections by transaction: all is kept there as it should, but no notification arrives",
        )
    ]
