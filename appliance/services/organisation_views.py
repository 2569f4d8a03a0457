"""What is asked and answered about organisations: plain frozen values, the same for API, screens and commands."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from appliance.domain.ids import OrganisationId


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """``people``: who may sign in. ``events_today``: received since midnight in UTC, a minute old at most.

    ``row_bytes``: what its rows occupy; 0 while it has no pipeline.
    """

    people: int
    pipelines: int
    events_today: int
    row_bytes: int


class OrganisationView(msgspec.Struct, frozen=True, kw_only=True):
    """``operates``: it runs the appliance for all. ``figures``: for the administrators of that one; null for others.

    ``trouble``: said once, when it was made: why it has no place for rows yet, and what to do.
    """

    id: OrganisationId
    name: str
    operates: bool
    created_at: datetime
    figures: Figures | None = None
    trouble: str | None = None


class NewOrganisation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An organisation, and its first administrator, who makes everybody else."""

    name: Annotated[str, Meta(min_length=1, max_length=100, examples=["Example Works"])]
    admin_email: Annotated[str, Meta(max_length=254, examples=["grace@example.org"])]
    admin_password: Annotated[
        str, Meta(min_length=12, max_length=1024, examples=["a long pass phrase"], extra={"secret": True})
    ]


class OrganisationChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=100, examples=["Example Works and Sons"])]
