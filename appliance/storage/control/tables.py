"""The tables of the control plane. A change here needs a migration: a test compares both."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    UniqueConstraint,
    false,
    func,
    select,
    true,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column
from sqlalchemy.types import TypeDecorator

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Instant(TypeDecorator[datetime]):
    """An aware datetime in UTC, also where the database keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive values: they would be read back as another instant."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"expected an aware datetime, got {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Table(DeclarativeBase):
    """The base of every table."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {datetime: Instant, dict[str, Any]: JSON, str: String, int: BigInteger}


class OrganisationRow(Table):
    """``operates``: it runs the appliance for all; true of one, the first. Said, not reckoned: clocks go wrong."""

    __tablename__ = "organisation"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    created_at: Mapped[datetime]
    operates: Mapped[bool] = mapped_column(default=False, server_default=false())


class UserRow(Table):
    """``email_key``: the address in lower case, what people are recognised by.

    ``password_hash``: or ``passwords.NONE``, of somebody who comes by a provider alone.
    """

    __tablename__ = "user_account"

    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"), index=True)
    email: Mapped[str]
    email_key: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    role: Mapped[str]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class SessionRow(Table):
    """``id``: SHA-256 (hex) of the cookie; the cookie itself is stored nowhere.

    ``provider_id``: by which one they came, who need no password; ``id_token``: what it proved them by, sealed.
    """

    __tablename__ = "session"

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user_account.id"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    remote: Mapped[str | None]
    provider_id: Mapped[str | None]
    id_token: Mapped[str | None]


class TokenRow(Table):
    """``digest``: SHA-256 (hex) of the token."""

    __tablename__ = "api_token"

    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"), index=True)
    name: Mapped[str]
    role: Mapped[str]
    hint: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class ReplayRow(Table):
    """``document``: the ``domain.replay.Replay``; ``state`` beside it, to be asked for."""

    __tablename__ = "replay"

    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"), index=True)
    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipeline.id", ondelete="CASCADE"), index=True)
    state: Mapped[str]
    document: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class PipelineRow(Table):
    """A pipeline. Its documents are its versions.

    ``live_name``: the name, or null once the deletion has begun, so that the name is free again at once.
    ``secrets``: signing secrets kept beside the document, sealed, newest first.
    ``era``: what its replays say (``domain.pipeline.Pipeline``); no column of its own.
    """

    __tablename__ = "pipeline"
    __table_args__ = (UniqueConstraint("organisation_id", "live_name"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"), index=True)
    live_name: Mapped[str | None]
    state: Mapped[str]
    version: Mapped[int]
    secrets: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    era: Mapped[int] = column_property(
        select(func.coalesce(func.max(ReplayRow.document["era"].as_integer()), 0))
        .where(ReplayRow.pipeline_id == id)
        .scalar_subquery()
    )


class PipelineVersionRow(Table):
    """``definition``: the document with every secret sealed by the vault."""

    __tablename__ = "pipeline_version"

    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipeline.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    definition: Mapped[dict[str, Any]]
    author: Mapped[str]
    created_at: Mapped[datetime]
    note: Mapped[str | None]


class DriftRow(Table):
    """What a pipeline's events look like (``baseline``), and how they differ from that (``findings``), by partition.

    ``acknowledged``: findings that other nodes were told to take note of, until the partition's own writes anew.
    """

    __tablename__ = "drift"

    pipeline_id: Mapped[str] = mapped_column(ForeignKey("pipeline.id", ondelete="CASCADE"), primary_key=True)
    partition: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    baseline: Mapped[dict[str, Any]]
    findings: Mapped[dict[str, Any]]
    acknowledged: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    updated_at: Mapped[datetime]


class ErasureRow(Table):
    """An erasure asked for, and how far it is; never what was erased."""

    __tablename__ = "erasure"

    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"), index=True)
    pipeline_id: Mapped[str]
    state: Mapped[str]
    document: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class UsageRow(Table):
    """What the data occupied at one moment: what forecasts are made from."""

    __tablename__ = "usage"

    at: Mapped[datetime] = mapped_column(primary_key=True)
    document: Mapped[dict[str, Any]]


class DashboardRow(Table):
    __tablename__ = "dashboard"
    __table_args__ = (UniqueConstraint("organisation_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"), index=True)
    name: Mapped[str]
    document: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class JobRow(Table):
    """A unit of work. ``owner`` and ``lease_until`` are set while somebody works on it.

    ``started_at``: the last attempt; ``done``, ``total`` and ``said``: how far that is.
    ``organisation_id`` None: of the whole installation.
    """

    __tablename__ = "job"
    __table_args__ = (Index(None, "state", "run_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    run_at: Mapped[datetime]
    priority: Mapped[int]
    lease_until: Mapped[datetime | None]
    owner: Mapped[str | None]
    attempt: Mapped[int]
    max_attempts: Mapped[int]
    unique_key: Mapped[str | None] = mapped_column(unique=True)
    error: Mapped[str | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    organisation_id: Mapped[str | None] = mapped_column(ForeignKey("organisation.id"), index=True)
    started_at: Mapped[datetime | None]
    timeout_secs: Mapped[float | None]
    cancellable: Mapped[bool] = mapped_column(default=True, server_default=true())
    cancel_asked_at: Mapped[datetime | None]
    done: Mapped[int | None]
    total: Mapped[int | None]
    said: Mapped[str | None]


class JobNeedRow(Table):
    """A capability that whoever claims the job has to offer."""

    __tablename__ = "job_need"

    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    capability: Mapped[str] = mapped_column(primary_key=True, index=True)


class NodeRow(Table):
    """A process of Dash. Its ``id`` is kept in its data directory; ``life`` is new at each start.

    ``state``: what it said last; that it is gone is seen from ``seen_at`` and the pace it promised (``every_secs``).
    """

    __tablename__ = "node"

    id: Mapped[str] = mapped_column(primary_key=True)
    life: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    address: Mapped[str]
    version: Mapped[str]
    offers: Mapped[list[str]] = mapped_column(JSON)
    state: Mapped[str]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    every_secs: Mapped[float]
    load: Mapped[dict[str, Any]]


class PartitionRow(Table):
    """Whose events carry ``number``. A row stays for ever, also of a node that is forgotten: none is given twice."""

    __tablename__ = "partition"

    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    node_id: Mapped[str] = mapped_column(unique=True)
    given_at: Mapped[datetime]


class ReceivedRow(Table):
    """What a node has of a pipeline's events, as it said last; ``last_seq`` of none is the number before the first."""

    __tablename__ = "received"

    pipeline_id: Mapped[str] = mapped_column(primary_key=True)
    partition: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    first_seq: Mapped[int]
    last_seq: Mapped[int]
    at: Mapped[datetime]


class LeaseRow(Table):
    """Who alone may do something, and until when. ``epoch`` rises with each owner and never falls: the row stays."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(primary_key=True)
    node_id: Mapped[str | None]
    life: Mapped[str | None] = mapped_column(index=True)
    epoch: Mapped[int]
    until: Mapped[datetime | None]


class NoticeRow(Table):
    """A payload between nodes that is too long for a notification; forgotten after a minute."""

    __tablename__ = "notice"

    id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    payload: Mapped[bytes] = mapped_column(LargeBinary)


class SettingRow(Table):
    __tablename__ = "setting"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


class AuditRow(Table):
    """Who did what. ``digest``: SHA-256 over ``previous`` and the content; see ``audit.py``."""

    __tablename__ = "audit"

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    organisation_id: Mapped[str | None] = mapped_column(index=True)
    at: Mapped[datetime]
    who: Mapped[str]
    action: Mapped[str]
    target: Mapped[str]
    detail: Mapped[dict[str, Any]]
    previous: Mapped[str]
    digest: Mapped[str]


class AuditHeadRow(Table):
    """One row: the end of the audit chain. Locked by whoever writes the next entry; shows a tail that was cut off."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sequence: Mapped[int]
    digest: Mapped[str]


class IdempotencyRow(Table):
    """An answer to remember. ``answer`` is sealed (it may hold a secret); null while the first request runs."""

    __tablename__ = "idempotency"

    principal: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_digest: Mapped[str]
    answer: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(index=True)
