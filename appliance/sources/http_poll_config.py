"""The declaration of ``http_poll``: what can be set, and what of it makes no sense together."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from appliance.sources.items import PATH
from appliance.sources.pagination import NoPages, Pagination, Param
from appliance.sources.poll_config import PollConfig


class Since(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ask only for what is new: the highest value at ``path`` of all items is sent as ``param`` the next time."""

    param: Annotated[Param, Meta(title="Parameter", examples=["updated_since"])]
    path: Annotated[str, Meta(title="Path in an item", pattern=PATH, examples=["$.updated_at"])]
    initial: Annotated[str, Meta(title="First value", examples=["2026-01-01T00:00:00Z"])] | None = None


class HttpPollConfig(
    PollConfig, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="http_poll", kw_only=True
):
    """JSON that another server answers when it is asked, again and again."""

    method: Annotated[Literal["GET", "POST"], Meta(title="Method")] = "GET"
    params: Annotated[
        dict[str, str], Meta(title="Parameters", description="Of the URL, beside those it has already", max_length=100)
    ] = {}
    body: Annotated[Any, Meta(title="Body", description="With POST only: any JSON value")] = None
    items: Annotated[
        str,
        Meta(
            title="Path of the items",
            description="A list there: each element is an event; an object: one event",
            pattern=PATH,
            examples=["$.data.items"],
        ),
    ] = "$"
    pagination: Annotated[Pagination, Meta(title="Pagination")] = NoPages()
    since: Annotated[Since | None, Meta(title="Only what is new")] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.body is not None and self.method == "GET":
            raise ValueError("a GET has no body: set method to POST, or leave body out")
