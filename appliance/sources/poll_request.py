"""The request for one page: URL, parameters, credentials and bounds put together from the configuration."""

import hashlib
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec

from appliance.components.resources import OutboundRequest
from appliance.domain.quantity import parse_duration, parse_size
from appliance.errors import ConfigError, Problem
from appliance.sources.http_poll_config import HttpPollConfig

_MAX_REDIRECTS = 3


def request_for(config: HttpPollConfig, place: str | None, since: str | None) -> OutboundRequest:
    """Return the request for the page at ``place``, of what is newer than ``since``.

    Raises:
        ConfigError: the server named a next page on another server, which would be sent the credentials.
    """
    url, params = config.pagination.url(place), dict(config.auth.params() if config.auth else {})
    if url is None:
        url = config.url
        params = {**config.params, **config.pagination.params(place), **params}
        if config.since is not None and since is not None:
            params[config.since.param] = since
    elif _origin(url) != _origin(config.url):
        told = f"the next page is said to be at {url.partition('?')[0]!r}, on another server than the url"
        raise ConfigError([Problem("/source/pagination", told, "use the address of that server as url")])
    headers = {"Accept": "application/json", **config.headers, **(config.auth.headers() if config.auth else {})}
    body = None
    if config.body is not None:
        body = msgspec.json.encode(config.body)
        headers = {"Content-Type": "application/json", **headers}
    return OutboundRequest(
        url=with_params(url, params),
        method=config.method,
        headers=headers,
        body=body,
        timeout_secs=parse_duration(config.timeout).total_seconds(),
        max_bytes=parse_size(config.max_page),
        max_redirects=_MAX_REDIRECTS,
    )


def conditional(request: OutboundRequest, etag: str | None, modified: str | None) -> OutboundRequest:
    """Return ``request``, to be answered with 304 if nothing changed since those validators were given."""
    validators = {"If-None-Match": etag, "If-Modified-Since": modified}
    headers = {**request.headers, **{name: value for name, value in validators.items() if value}}
    return msgspec.structs.replace(request, headers=headers)


def fingerprint(config: HttpPollConfig) -> str:
    """Return a short name for what is polled and in which steps; credentials and bounds do not count."""
    plan = [config.method, config.url, config.params, config.body, config.pagination, config.since]
    return hashlib.sha256(msgspec.json.encode(plan, order="deterministic")).hexdigest()[:16]


def with_params(url: str, params: dict[str, str]) -> str:
    """Return ``url`` with ``params``; of its own parameters those of the same name are replaced."""
    parts = urlsplit(url)
    own, query = parse_qsl(parts.query, keep_blank_values=True), parts.query
    if any(name in params for name, _ in own):
        query = urlencode([(name, value) for name, value in own if name not in params], quote_via=quote)
    query = "&".join(part for part in (query, urlencode(params, quote_via=quote)) if part)
    return urlunsplit(parts._replace(query=query, fragment=""))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None, None
