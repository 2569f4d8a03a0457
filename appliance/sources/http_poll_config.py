"""The declaration of ``http_poll``: what can be set, and what of it makes no sense together."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from appliance.domain.quantity import Duration, Size
from appliance.domain.schedule import Cron
from appliance.sources.http_auth import HEADER_NAME, Auth
from appliance.sources.items import PATH
from appliance.sources.pagination import NoPages, Pagination, Param

_RESERVED = ("host", "content-length", "transfer-encoding", "connection", "accept-encoding")


class Since(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ask only for what is new: the highest value at ``path`` of all items is sent as ``param`` the next time."""

    param: Annotated[Param, Meta(title="Parameter", examples=["updated_since"])]
    path: Annotated[str, Meta(title="Path in an item", pattern=PATH, examples=["$.updated_at"])]
    initial: Annotated[str, Meta(title="First value", examples=["2026-01-01T00:00:00Z"])] | None = None


class HttpPollConfig(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="http_poll", kw_only=True
):
    """JSON that another server answers when it is asked, again and again."""

    url: Annotated[
        str,
        Meta(
            title="URL",
            description="Absolute, http or https, without user and password",
            pattern=r"^https?://[^\s]+$",
            max_length=4_096,
            examples=["https://api.example.com/v1/readings"],
        ),
    ]
    method: Annotated[Literal["GET", "POST"], Meta(title="Method")] = "GET"
    headers: Annotated[
        dict[
            Annotated[str, Meta(pattern=HEADER_NAME)], Annotated[str, Meta(max_length=8_192, pattern=r"^[^\r\n\x00]*$")]
        ],
        Meta(title="Headers", description="Sent with every request; credentials belong into auth", max_length=50),
    ] = {}
    params: Annotated[
        dict[str, str], Meta(title="Parameters", description="Of the URL, beside those it has already", max_length=100)
    ] = {}
    body: Annotated[Any, Meta(title="Body", description="With POST only: any JSON value")] = None
    auth: Annotated[Auth | None, Meta(title="Credentials")] = None
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
    max_pages: Annotated[
        int, Meta(title="Most pages", description="Of one poll; the next one goes on from there", ge=1, le=10_000)
    ] = 100
    since: Annotated[Since | None, Meta(title="Only what is new")] = None
    interval: Annotated[
        Duration | None,
        Meta(title="Interval", description="Time between two polls; 60s if there is no cron", examples=["60s"]),
        Meta(extra={"min": "1s", "max": "30d"}),
    ] = None
    cron: Annotated[
        str | None,
        Meta(title="Cron", description="Five fields, instead of an interval", examples=["*/15 * * * *"]),
    ] = None
    timezone: Annotated[
        str, Meta(title="Time zone", description="In which cron is read", examples=["Europe/Zurich"])
    ] = "UTC"
    timeout: Annotated[
        Duration,
        Meta(title="Timeout", description="Of one request, all of it", extra={"min": "1s", "max": "5m"}),
    ] = "30s"
    max_page: Annotated[
        Size,
        Meta(title="Largest answer", description="Of one request, inflated", extra={"min": "1 KiB", "max": "64 MiB"}),
    ] = "10 MiB"

    def __post_init__(self) -> None:
        _check_url(self.url)
        names = {name.lower() for name in self.headers}
        if "authorization" in names or "cookie" in names:
            raise ValueError("headers holds credentials in the clear: put them under auth")
        if reserved := names & set(_RESERVED):
            raise ValueError(f"the header {min(reserved)!r} is set by the appliance itself: leave it out")
        if self.body is not None and self.method == "GET":
            raise ValueError("a GET has no body: set method to POST, or leave body out")
        if self.interval is not None and self.cron is not None:
            raise ValueError("interval and cron exclude each other: leave one of them out")
        if self.cron is not None:
            Cron(self.cron, self.timezone)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("url is not a URL: write it as https://host:port/path")
    if "@" in parts.netloc:
        raise ValueError("url holds credentials in the clear: put them under auth")
