"""What every polled HTTP source declares alike: where, how often, with which credentials, within which bounds."""

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit
from zlib import crc32

import msgspec
from msgspec import Meta

from appliance.components.source import Schedule
from appliance.domain.quantity import Duration, Size, parse_duration
from appliance.domain.schedule import Cron, Every
from appliance.sources.http_auth import HEADER_NAME, Auth

_RESERVED = ("host", "content-length", "transfer-encoding", "connection", "accept-encoding")
_MILLISECOND = timedelta(milliseconds=1)


class PollConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of the declarations of polled sources."""

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
    headers: Annotated[
        dict[
            Annotated[str, Meta(pattern=HEADER_NAME, examples=["Accept-Language"])],
            Annotated[str, Meta(max_length=8_192, pattern=r"^[^\r\n\x00]*$", examples=["text in one line"])],
        ],
        Meta(title="Headers", description="Sent with every request; credentials belong into auth", max_length=50),
    ] = {}
    auth: Annotated[Auth | None, Meta(title="Credentials")] = None
    max_pages: Annotated[
        int, Meta(title="Most pages", description="Of one poll; the next one goes on from there", ge=1, le=10_000)
    ] = 100
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
        if reserved := names & set(_RESERVED):
            raise ValueError(f"the header {min(reserved)!r} is set by the appliance itself: leave it out")
        if self.interval is not None and self.cron is not None:
            raise ValueError("interval and cron exclude each other: leave one of them out")
        if self.cron is not None:
            Cron(self.cron, self.timezone)


def schedule_of(config: PollConfig, pipeline_id: str) -> Schedule:
    """Return when to poll."""
    if config.cron is not None:
        return Cron(config.cron, config.timezone)
    interval = parse_duration(config.interval or "60s")
    # Pipelines of the same interval are spread over it, so that they do not all ask in the same second.
    phase = crc32(pipeline_id.encode()) % (interval // _MILLISECOND)
    return Every(interval, phase * _MILLISECOND)


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
