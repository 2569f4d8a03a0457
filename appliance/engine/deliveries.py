"""Deliveries that a sender may repeat to another node: named for the store, and left out of what is shown."""

import hashlib
from collections.abc import Sequence
from itertools import chain
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from appliance.components.deliveries import CLAIM_SCHEMA
from appliance.components.silver import Batch, SilverStore
from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId

_ID_BYTES: Final = 16


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


def _id(of: bytes, frame: Frame) -> bytes:
    return hashlib.blake2b(b"%b/%b" % (of, (frame.delivery_id or "").encode()), digest_size=_ID_BYTES).digest()
