"""What /readyz and Prometheus are told of read replicas: numbers, no hosts."""

import asyncio
import subprocess
from functools import partial
from typing import Any

from appliance.domain.clock import utc_now
from appliance.domain.database.replicas import ReadState, ReplicaState
from appliance.engine.database_watch import DatabaseWatch
from appliance.engine.letter_watch import LetterWatch
from appliance.observe.metrics import Metrics
from appliance.observe.replica_metrics import ReplicaMetrics
from appliance.vitals import EngineNumbers, Stores, Vitals
from tests.programs import promtool

FOLLOWED = ReplicaState(number=1, reads=40, again=2, lag_secs=0.5, trouble=None)
LEFT = ReplicaState(number=2, reads=7, again=1, lag_secs=None, trouble="it is no standby")


def database_told(it: Any, state: ReadState | None) -> tuple[bool, str]:
    stores = Stores(it.bronze.health, it.bronze.damaged, it.silvers.incidents, reading=lambda: state)
    database = DatabaseWatch(lambda: None, it.engine.workers, utc_now)
    return Vitals(it.engine, it.disk, stores, database).checks()["database"]


async def test_readyz_names_a_replica_that_is_not_read_from_and_stays_ready(scene: Any) -> None:
    it = scene.it
    assert database_told(it, None) == (True, "the database answers")
    assert database_told(it, ReadState(0, (FOLLOWED,))) == (True, "the database answers; replica 1 is read from")
    told = "the database answers; replica 2 is not read from: it is no standby"
    assert database_told(it, ReadState(0, (FOLLOWED, LEFT))) == (True, told)


async def test_metrics_tell_who_answers_and_promtool_accepts_them(scene: Any) -> None:
    it = scene.it
    metrics = Metrics("1.0", it.settings.server.data_dir, EngineNumbers(it.engine, LetterWatch(it.engine)))
    metrics.add(ReplicaMetrics(lambda: ReadState(5, (FOLLOWED, LEFT))))
    text = metrics.render()
    judge = partial(subprocess.run, [promtool(), "check", "metrics"], input=text, capture_output=True, check=False)
    judged = await asyncio.to_thread(judge)
    assert judged.returncode == 0, judged.stderr
    assert [line for line in text.decode().splitlines() if line.startswith("dash_database")] == [
        'dash_database_reads_total{place="primary"} 5.0',
        'dash_database_reads_total{place="1"} 40.0',
        'dash_database_reads_total{place="2"} 7.0',
        'dash_database_reads_again_total{replica="1"} 2.0',
        'dash_database_reads_again_total{replica="2"} 1.0',
        'dash_database_replica_used{replica="1"} 1.0',
        'dash_database_replica_used{replica="2"} 0.0',
        'dash_database_replica_lag_seconds{replica="1"} 0.5',
    ]


async def test_without_replicas_nothing_is_told(scene: Any) -> None:
    assert scene.it.silvers.reading() is None
    assert list(ReplicaMetrics(scene.it.silvers.reading).collect()) == []
