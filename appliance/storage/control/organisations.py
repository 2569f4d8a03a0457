"""Organisations in the control plane: one row each, what belongs to each, and how one leaves."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from appliance.domain.job import JobState
from appliance.errors import Conflict, NotFound
from appliance.storage.control.keeping import forget
from appliance.storage.control.provider_tables import IdentityRow, ProviderRow
from appliance.storage.control.tables import (
    DashboardRow,
    ErasureRow,
    IdempotencyRow,
    JobNeedRow,
    JobRow,
    OrganisationRow,
    PipelineRow,
    ReplayRow,
    SessionRow,
    TokenRow,
    UserRow,
)

_UNDER_WAY = (JobState.READY.value, JobState.RUNNING.value)


class Counts(NamedTuple):
    """People who may sign in, by organisation, and pipelines."""

    people: dict[str, int]
    pipelines: dict[str, int]


def find(tx: Session, organisation_id: str) -> OrganisationRow:
    """Return one. Raises NotFound."""
    row = tx.get(OrganisationRow, organisation_id)
    if row is None:
        raise NotFound(f"there is no organisation {organisation_id!r}")
    return row


def page(tx: Session, after_id: str, limit: int) -> Sequence[OrganisationRow]:
    """Return up to ``limit`` organisations with ids after ``after_id``, oldest first."""
    wanted = select(OrganisationRow).where(OrganisationRow.id > after_id).order_by(OrganisationRow.id)
    return tx.scalars(wanted.limit(limit)).all()


def counts(tx: Session) -> Counts:
    """Return how much each organisation has; those that have nothing are missing."""
    people = select(UserRow.organisation_id, func.count()).where(UserRow.disabled_at.is_(None))
    pipelines = select(PipelineRow.organisation_id, func.count()).where(PipelineRow.live_name.is_not(None))
    by_organisation = (
        tx.execute(people.group_by(UserRow.organisation_id)),
        tx.execute(pipelines.group_by(PipelineRow.organisation_id)),
    )
    return Counts(*({row[0]: row[1] for row in found} for found in by_organisation))


def check_name(tx: Session, name: str, own_id: str | None = None) -> None:
    """Return if no other organisation is called so, in whatever case. Raises Conflict: one is."""
    names = tx.execute(select(OrganisationRow.id, OrganisationRow.name))
    if any(one != own_id and known.casefold() == name.casefold() for one, known in names):
        raise Conflict(f"there is an organisation named {name!r} already: choose another name")


def check_empty(tx: Session, row: OrganisationRow) -> None:
    """Return if nothing would be lost with it. Raises Conflict: it has pipelines, or work of it is under way."""
    pipelines = tx.scalar(select(func.count()).where(PipelineRow.organisation_id == row.id))
    if pipelines:
        raise Conflict(
            f"the organisation {row.name!r} has {pipelines} pipelines with what they received: have its administrators "
            "delete them first"
        )
    jobs = tx.scalar(select(func.count()).where(JobRow.organisation_id == row.id, JobRow.state.in_(_UNDER_WAY)))
    if jobs:
        raise Conflict(f"{jobs} jobs of the organisation {row.name!r} are under way: try again when they have ended")


def shut(tx: Session, organisation_id: str) -> None:
    """Remove its people, tokens and ways of signing in: nobody acts for it any more. A second time: nothing happens."""
    people = select(UserRow.id).where(UserRow.organisation_id == organisation_id)
    tokens = select(TokenRow.id).where(TokenRow.organisation_id == organisation_id)
    for acting in (people, tokens):
        tx.execute(delete(IdempotencyRow).where(IdempotencyRow.principal.in_(acting)))
    tx.execute(delete(SessionRow).where(SessionRow.user_id.in_(people)))
    for row in (TokenRow, IdentityRow, ProviderRow, UserRow):
        tx.execute(delete(row).where(row.organisation_id == organisation_id))


def remove(tx: Session, organisation_id: str) -> None:
    """Forget an organisation that was shut and is empty; its lines of the audit trail stay."""
    jobs = select(JobRow.id).where(JobRow.organisation_id == organisation_id)
    tx.execute(delete(JobNeedRow).where(JobNeedRow.job_id.in_(jobs)))
    for row in (JobRow, ErasureRow, ReplayRow, DashboardRow):
        tx.execute(delete(row).where(row.organisation_id == organisation_id))
    for key in ("retention", "retention-rounds"):
        forget(tx, f"{key}:{organisation_id}")
    tx.execute(delete(OrganisationRow).where(OrganisationRow.id == organisation_id))
