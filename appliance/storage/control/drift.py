"""Drift in the control plane: of each pipeline a row for each partition, which only the node of that partition writes.

What somebody acknowledges at one node counts at once for whoever looks; the others take it over when they write.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.drift import Drift, Finding
from appliance.domain.ids import PipelineId
from appliance.storage.control.tables import DriftRow, PipelineRow

Parts = dict[int, Drift]  # by partition


def of(tx: Session, pipeline_id: PipelineId) -> Parts:
    """Return what each partition's node kept last of a pipeline, what is acknowledged since taken note of."""
    rows = tx.scalars(select(DriftRow).where(DriftRow.pipeline_id == pipeline_id))
    return {row.partition: _drift(row) for row in rows}


def everything(tx: Session) -> dict[PipelineId, Parts]:
    """Return ``of`` all pipelines that anything is kept of."""
    found: dict[PipelineId, Parts] = {}
    for row in tx.scalars(select(DriftRow)):
        found.setdefault(PipelineId(row.pipeline_id), {})[row.partition] = _drift(row)
    return found


def put(tx: Session, pipeline_id: PipelineId, partition: int, drift: Drift, now: datetime) -> None:
    """Keep what a partition's node knows by now, which has taken over all that was acknowledged; deleted: nothing."""
    if tx.get(PipelineRow, pipeline_id) is None:
        return
    plain = msgspec.to_builtins(drift)
    findings = {name: plain.pop(name) for name in ("findings", "absent")}
    row = tx.get(DriftRow, (pipeline_id, partition))
    if row is None:
        row = DriftRow(pipeline_id=pipeline_id, partition=partition)
        tx.add(row)
    row.baseline, row.findings, row.acknowledged, row.updated_at = plain, findings, [], now


def acknowledged(tx: Session, partition: int) -> dict[PipelineId, list[Finding]]:
    """Return what was acknowledged elsewhere of each pipeline since a partition's node wrote last."""
    rows = tx.execute(
        select(DriftRow.pipeline_id, DriftRow.acknowledged).where(DriftRow.partition == partition)
    )  # fmt: skip
    return {PipelineId(one): msgspec.convert(given, list[Finding]) for one, given in rows if given}


def acknowledge(tx: Session, pipeline_id: PipelineId, findings: Sequence[Finding], but: int | None) -> None:
    """Tell the nodes of all partitions of a pipeline, ``but`` one, which knows it."""
    for row in tx.scalars(select(DriftRow).where(DriftRow.pipeline_id == pipeline_id)):
        if row.partition != but:
            row.acknowledged = [*row.acknowledged, *msgspec.to_builtins(findings)]


def _drift(row: DriftRow) -> Drift:
    drift = msgspec.convert({**row.baseline, **row.findings}, Drift)
    for finding in msgspec.convert(row.acknowledged, list[Finding]):
        drift.note(finding)
    return drift
