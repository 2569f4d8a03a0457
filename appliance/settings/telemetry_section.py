"""What this node tells of itself, and to whom."""

from datetime import timedelta
from typing import Annotated

import msgspec

from appliance.settings.secret import Secret
from appliance.settings.setting import setting


class Telemetry(msgspec.Struct, frozen=True, kw_only=True):
    """What this node tells of itself, and to whom. Off unless set: without it, nothing is told to anybody. Private
    addresses must be in `egress.allow`."""

    sentry_dsn: Annotated[
        Secret | None,
        setting(
            "DSN of a project of Sentry, or of what is compatible with it: new kinds of failures are posted there, "
            "each at most once an hour, masked as the log is.",
            kind="sentry_dsn",
        ),
    ] = None
    otlp_url: Annotated[
        str | None,
        setting(
            "Address that takes metrics by OTLP over HTTP (JSON), such as "
            "`https://collector.example.org:4318/v1/metrics`: what `/metrics` shows is posted there.",
            kind="url",
        ),
    ] = None
    otlp_interval: Annotated[timedelta, setting("Time between two of these posts.", least="5s", most="1h")] = timedelta(
        minutes=1
    )
    otlp_headers: Annotated[
        Secret | None,
        setting("Headers of these posts, such as a token: `name=value`, several separated by commas.", kind="headers"),
    ] = None
