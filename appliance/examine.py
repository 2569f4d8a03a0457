"""What ``verify`` and ``doctor`` look at in a stopped appliance: hash chains, ledgers, the audit chain, databases."""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from appliance.components.bronze import BronzeLog, Finding
from appliance.components.generations import Span
from appliance.components.mapper import Mapper
from appliance.components.silver import Progress, SilverStore, Table
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.ledger import Ledger, Outcome
from appliance.domain.partition import base_of, local_of, partition_of
from appliance.domain.pipeline import Pipeline
from appliance.domain.quantity import counted
from appliance.errors import DashError, FatalError


class Trouble(msgspec.Struct, frozen=True):
    where: str
    message: str
    remedy: str


class Report(msgspec.Struct, frozen=True):
    """``summary``: one sentence of what was looked at."""

    summary: str
    findings: list[Trouble]


def verify_all(
    pipelines: Iterable[Pipeline],
    bronze: BronzeLog,
    silver_of: Callable[[OrganisationId], SilverStore],
    mapper: Mapper,
    audit: Iterable[str],
) -> Report:
    """Prove every segment's hash chain, every ledger and the audit chain; blocking, reads everything."""
    findings: list[Trouble] = []
    events = looked_at = 0
    for pipeline in pipelines:
        looked_at += 1
        try:
            events += local_of(bronze.last_seq(pipeline.id))
        except FatalError as error:
            findings.append(Trouble(f"bronze {pipeline.id}", str(error), error.hint))
            continue
        for found in bronze.verify(pipeline.id):
            findings.append(Trouble(f"bronze {found.pipeline_id} {found.segment}", found.message, found.remedy))
        findings += _ledger(pipeline, bronze, silver_of(pipeline.organisation_id), mapper)
    findings += [Trouble("audit", told, "compare with a backup: somebody changed the control plane") for told in audit]
    return Report(f"{counted(looked_at, 'pipeline')}, {counted(events, 'event')}", findings)


def archived(
    pipelines: Iterable[PipelineId],
    prove: Callable[[PipelineId], Iterator[Finding | None]],
    proved: Callable[[int], None],
) -> list[Trouble]:
    """Prove every object in the archive; blocking, reads everything. ``proved``: is told how many were by now."""
    findings: list[Trouble] = []
    count = 0
    for pipeline_id in pipelines:
        try:
            for found in prove(pipeline_id):
                count += 1
                proved(count)
                if found is not None:
                    findings.append(Trouble(f"archive {pipeline_id} {found.segment}", found.message, found.remedy))
        except DashError as error:
            findings.append(Trouble(f"archive {pipeline_id}", str(error), "verify again when it can be reached"))
    return findings


def _ledger(pipeline: Pipeline, bronze: BronzeLog, silver: SilverStore, mapper: Mapper) -> Iterator[Trouble]:
    """Compare the ledger with the rows themselves."""
    compiled = mapper.compile(pipeline.document.mapping)
    table = Table(pipeline.id, compiled.columns, compiled.keyed)
    progress = silver.progress(pipeline.id)
    received, refined = local_of(bronze.last_seq(pipeline.id)), local_of(progress.seq)
    ledger = Ledger.of(received, refined, progress.outcome)
    remedy = "keep a copy of the data directory and refine the pipeline again from Bronze"
    if not ledger.balanced or ledger.pending < 0:
        yield Trouble(f"ledger {pipeline.id}", f"does not balance: {ledger}", remedy)
    counted = silver.recount(table) if refined else progress.outcome
    if counted != progress.outcome:
        yield Trouble(f"silver {pipeline.id}", f"expected {progress.outcome}, counted {counted}", remedy)
    for told in unbalanced(silver.generations.spans(pipeline.id), progress):
        yield Trouble(f"ledger {pipeline.id}", told, remedy)


def unbalanced(spans: Iterable[Span], progress: Progress) -> Iterator[str]:
    """Yield where the ledger by day and version does not hold: each span by itself, their order, and their sum.

    Looked at are the spans of the partition that ``progress`` is of.
    """
    here = partition_of(progress.seq)
    reached, outcome = base_of(here), Outcome()
    for span in (one for one in spans if partition_of(one.last_seq) == here):
        events = span.last_seq - span.first_seq + 1
        counted = Outcome(span.stored, span.filtered, span.duplicate, span.dead)
        if span.first_seq != reached + 1:
            yield f"events {reached + 1} to {span.first_seq - 1} are in no span"
        if counted.total != events or span.gone > span.stored:
            yield f"events {span.first_seq} to {span.last_seq} of {span.day} do not balance: {counted}"
        reached, outcome = span.last_seq, outcome + counted
    if (reached, outcome) != (progress.seq, progress.outcome):
        yield f"the spans end at {reached} with {outcome}, expected {progress.seq} with {progress.outcome}"


def damage(openers: Iterable[tuple[str, Callable[[], None]]]) -> Iterator[tuple[str, str | None]]:
    """Open each database and yield its name and what is wrong with it; None: nothing."""
    for name, opened in openers:
        try:
            opened()
        except DashError as error:
            yield name, str(error)
        else:
            yield name, None
