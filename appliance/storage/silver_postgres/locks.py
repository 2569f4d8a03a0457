"""Who may write at the same time, in whatever process of whatever node: locks that the database keeps in its memory.

They end with the transaction, so that nobody has to give them back, and PgBouncer may stand between. A pipeline's comes
first, then a generation's (``places.enter``), then, in ``gold_sheets``, that of its rollups.

| what | the pipeline | the generation |
|---|---|---|
| a commit | shared | shared; alone with keys, for two commits must not both miss the other's row |
| amending, handing out again, trimming | shared | alone |
| beginning another generation | shared | - |
| swapping, splicing, erasing, discarding, dropping, making or widening tables | alone | - |
"""

import hashlib
from enum import Enum

from appliance.domain.ids import PipelineId


class Lock(Enum):
    """The function that takes it and waits for it."""

    SHARED = "pg_advisory_xact_lock_shared"
    ALONE = "pg_advisory_xact_lock"


def pipeline_lock(schema: str, pipeline_id: PipelineId) -> int:
    """Return the number that stands for a pipeline among the database's advisory locks."""
    told = hashlib.blake2b(f"{schema}/{pipeline_id}".encode(), digest_size=8).digest()
    return int.from_bytes(told, "big", signed=True)
