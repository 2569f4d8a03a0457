"""Deliveries that a sender may repeat to another node: named for the store, and left out of what is shown."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from appliance.components.bronze import BronzeLog
from appliance.components.deliveries import CLAIM_SCHEMA, REMEMBERED
from appliance.components.partitions import Partitioned, several
from appliance.components.silver import Batch, SilverStore
from appliance.domain.clock import Clock, utc_now
from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId
from appliance.domain.partition import first_of, partition_of
from appliance.errors import NotFound, TransientError

MOST_PAST: Final = 100_000  # events: as many deliveries as a log remembers
_ID_BYTES: Final = 16
_AT_ONCE, _BYTES_AT_ONCE = 10_000, 8 << 20

log = structlog.get_logger("deliveries")


def claims_of(pipeline_id: PipelineId, frames: Sequence[Frame], last_seq: int) -> pa.Table | None:
    """Return the deliveries with an id among ``frames``, up to event ``last_seq``; None: there are none."""
    named = [frame for frame in frames if frame.delivery_id is not None and frame.first_seq <= last_seq]
    if not named:
        return None
    of = pipeline_id.encode()
    columns = [
        pa.array([_id(of, frame) for frame in named], CLAIM_SCHEMA.field("id").type),
        pa.array([frame.delivery_seq for frame in named], pa.int64()),
        pa.array([frame.first_seq for frame in named], pa.int64()),
        pa.array([min(frame.last_seq, last_seq) for frame in named], pa.int64()),
        pa.array([frame.received_us for frame in named], pa.int64()).cast(CLAIM_SCHEMA.field("received_at").type),
    ]
    return pa.Table.from_arrays(columns, schema=CLAIM_SCHEMA)


def joined(claims: Sequence[pa.Table | None]) -> pa.Table | None:
    """Return the deliveries of several batches, in order, each once."""
    some = [one for one in claims if one is not None]
    return pa.concat_tables(some) if some else None


def shown(silver: SilverStore, batch: Batch, rows: pa.Table) -> pa.Table:
    """Return ``rows`` of a committed batch without those of deliveries that are stored as other events; blocking."""
    stretches = silver.deliveries.repeated(batch.table.pipeline_id, batch.first_seq, batch.last_seq)
    repeated = pa.array(chain.from_iterable(range(first, last + 1) for first, last in stretches), pa.int64())
    return rows.filter(pc.invert(pc.is_in(rows["_seq"], value_set=repeated))) if stretches else rows


def claim_past(silver: SilverStore, bronze: BronzeLog, pipeline_id: PipelineId, clock: Clock = utc_now) -> None:
    """Claim for other nodes what they refined before they knew that there are several; blocking.

    A node does so once, before it refines its first events of the pipeline. Who does not answer is left out.
    """
    if not isinstance(bronze, Partitioned) or not several(bronze):
        return
    own, since = partition_of(bronze.last_seq(pipeline_id)), clock() - REMEMBERED
    for of, progress in silver.partitions([pipeline_id])[pipeline_id].items():
        if of == own:
            continue
        try:
            found = _past(bronze.of(of), pipeline_id, progress.seq, since)
        except (TransientError, NotFound) as error:
            log.warning("deliveries.past_not_claimed", pipeline=pipeline_id, partition=of, reason=str(error))
            continue
        for claims in found:
            silver.deliveries.claim(pipeline_id, claims)


def _past(bronze: BronzeLog, pipeline_id: PipelineId, up_to: int, since: datetime) -> list[pa.Table]:
    after = max(bronze.upkeep.seq_at(pipeline_id, since) - 1, up_to - MOST_PAST, first_of(up_to) - 1)
    found = []
    while after < up_to:
        frames = bronze.read(pipeline_id, after, min(up_to - after, _AT_ONCE), _BYTES_AT_ONCE)
        if not frames:
            break
        after = frames[-1].last_seq
        if (claims := claims_of(pipeline_id, frames, up_to)) is not None:
            found.append(claims)
    return found


def _id(of: bytes, frame: Frame) -> bytes:
    return hashlib.blake2b(b"%b/%b" % (of, (frame.delivery_id or "").encode()), digest_size=_ID_BYTES).digest()
