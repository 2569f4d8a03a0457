"""What services answer and what they are asked with: plain frozen values, the same for API, screens and commands."""

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from appliance.domain.access import Principal, Role
from appliance.domain.differences import Change
from appliance.domain.ids import DashboardId, PipelineId, TokenId, UserId
from appliance.domain.mapping import Mapping
from appliance.domain.pipeline import Chunks, RateLimit, Retention, State
from appliance.domain.rollup import Rollup
from appliance.domain.stats import LiveStats
from appliance.errors import Problem
from appliance.services.change_views import ChangePreview

T = TypeVar("T")

SECRET_MASK = "********"  # noqa: S105 - what stands where a secret is; putting it back keeps the stored value


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Part of a list. ``next_cursor`` asks for the rest; None: this was the end."""

    items: list[T]
    next_cursor: str | None = None


class SetupRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first run. ``token``: also make an API token of the administrator's and answer it once."""

    admin_email: Annotated[str, Meta(max_length=254, examples=["ada@example.org"])]
    admin_password: Annotated[
        str, Meta(min_length=12, max_length=1024, examples=["correct horse battery"], extra={"secret": True})
    ]
    organisation: Annotated[str, Meta(min_length=1, max_length=100, examples=["Example Works"])] = "Default"
    sample: Annotated[bool, Meta(description="Create the sample workspace")] = False
    token: Annotated[bool, Meta(description="Also create an API token and answer it once")] = False


class SetupAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """``session_cookie`` is the clear value of the cookie; ``token`` is None unless it was asked for."""

    principal: Principal
    session_cookie: str
    token: str | None = None


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """``cookie``: the clear value, stored nowhere. ``expires_at``: at the latest; sooner when idle for 12 hours."""

    cookie: str
    principal: Principal
    expires_at: datetime


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    id: UserId
    email: str
    role: Role
    disabled: bool
    created_at: datetime


class NewUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    email: Annotated[str, Meta(max_length=254, examples=["grace@example.org"])]
    password: Annotated[
        str, Meta(min_length=12, max_length=1024, examples=["a long pass phrase"], extra={"secret": True})
    ]
    role: Role = Role.VIEWER


class TokenInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``hint``: the first characters of the token, enough to recognise it by."""

    id: TokenId
    name: str
    role: Role
    hint: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked: bool


class CreatedToken(msgspec.Struct, frozen=True, kw_only=True):
    """``token`` is shown this once: only its hash is stored."""

    token: str
    info: TokenInfo


class PipelineView(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline as people see it. Secrets in ``source`` and ``sinks`` read ``********``."""

    id: PipelineId
    name: str
    description: str | None
    state: State
    version: int
    source: dict[str, Any]
    mapping: Mapping
    persist: bool
    sinks: list[dict[str, Any]]
    retention: Retention
    rate_limit: RateLimit | None
    rollups: list[Rollup]
    chunks: Chunks
    ingest_url: str | None  # webhook only; without server.base_url a path below this appliance's address: /in/<id>
    created_at: datetime
    updated_at: datetime
    live: LiveStats

    def at(self, origin: str) -> "PipelineView":
        """Return the view for somebody who reaches this appliance at ``origin``: the ingest URL is whole."""
        if self.ingest_url is None or not self.ingest_url.startswith("/"):
            return self
        return msgspec.structs.replace(self, ingest_url=origin.rstrip("/") + self.ingest_url)


class CreatedPipeline(msgspec.Struct, frozen=True, kw_only=True):
    """``secret``: what the sender signs with, where it was generated here; shown this once."""

    pipeline: PipelineView
    secret: str | None = None


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """One saved definition. ``document`` has its secrets masked.

    ``running``: the pipeline's own at present. ``candidate``: saved after that one, and not run yet.
    """

    version: int
    author: str
    created_at: datetime
    document: dict[str, Any]
    note: str | None = None
    running: bool = False
    candidate: bool = False


class VersionDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two versions; secrets are not compared. ``words``: the same for people."""

    before: int
    after: int
    changes: list[Change]
    words: list[str]


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An event (or one item of it) that could not become a row, why, and its place in Bronze."""

    seq: int
    item: int
    reason: str
    field: str | None
    value: str | None  # shortened to 256 characters
    message: str
    problems: list[dict[str, Any]]  # each {reason, field, value, message}
    received_at: datetime
    version: int


class PreviewColumn(msgspec.Struct, frozen=True):
    name: str
    type: str


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a mapping would make of some events. Nothing was stored. ``rows`` as ``recent`` answers them."""

    columns: list[PreviewColumn]
    rows: list[dict[str, Any]]
    dead: list[DeadLetter]
    filtered: int
    events: int
    problems: list[Problem] = []
    stopped: str | None = None  # why a frozen mapping went no further
    comparison: ChangePreview | None = None  # with the mapping that runs, where it was asked for


class QueryAnswer(msgspec.Struct, frozen=True):
    """``rows``: one object a row, keys in the order of ``columns``.

    ``source``: what was read, ``silver`` or ``gold:`` and the name of a rollup; several are joined by ``+``.
    """

    columns: list[str]
    rows: list[dict[str, Any]]
    source: str = "silver"


class DashboardView(msgspec.Struct, frozen=True, kw_only=True):
    id: DashboardId
    name: str
    widgets: list[dict[str, Any]]  # each {"id", "title", "type", "query", "unit"?, "span"?, "thresholds"?}
    created_at: datetime
    updated_at: datetime


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what to which thing. ``digest`` (hex) covers the entry and the digest of the one before it."""

    sequence: int
    at: datetime
    who: str
    action: str
    target: str
    detail: dict[str, Any]
    digest: str
