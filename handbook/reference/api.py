"""``docs/reference/api.md``: every request of the API, from the OpenAPI document that the appliance itself answers."""

import json
from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any, Final, cast

from litestar import Litestar

from appliance.api.app import build_api
from appliance.api.openapi import Route, document_of, routes_of
from appliance.catalog import SOURCES
from appliance.services import Services
from appliance.services.ports import Health, Hub

_HEAD: Final = """# API

Generated from the routes by `make docs`. `/api/openapi.json` says the same for programs, and `/api/docs` lets you try
it. How to begin, and what holds for every request, is in [the API](../handbook/api.md); what an error means in
[errors](../handbook/errors.md). Every request may also answer 500 and 503, which are left out below.

"""
_METHODS: Final = ("get", "post", "put", "delete")


@cache
def app() -> Litestar:
    """Return the API without an appliance behind it: to be asked for its routes, not to answer."""
    pipelines = SimpleNamespace(sources=lambda: {name: one.config for name, one in SOURCES.items()})
    services = cast(Services, SimpleNamespace(pipelines=pipelines, answers=None))
    return build_api(services, cast(Health, None), lambda: b"", cast(Hub, None))


def routes() -> Iterator[Route]:
    """Yield every route, sorted by path."""
    yield from sorted(routes_of(app()), key=lambda route: (route.path, route.method))


def page() -> str:
    """Return the Markdown page."""
    document = document_of(app())
    by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, methods in sorted(document["paths"].items()):
        for method in _METHODS:
            if method in methods:
                by_tag.setdefault(methods[method]["tags"][0], []).append((method, path, methods[method]))
    parts = [_HEAD]
    for tag, operations in sorted(by_tag.items()):
        parts.append(f"## {tag.capitalize()}\n\n")
        parts += [_operation(method, path, told) for method, path, told in operations]
    return "".join(parts).rstrip("\n") + "\n"


def _operation(method: str, path: str, told: dict[str, Any]) -> str:
    parts = [f"### `{method.upper()} {path}`\n\n{told['summary']}."]
    if told.get("description"):
        parts.append(f" {told['description']}")
    parts.append("\n\n")
    if asked := [one for one in told.get("parameters", ()) if one["in"] == "query"]:
        parts.append("Parameters: " + ", ".join(map(_parameter, asked)) + ".\n\n")
    body = told.get("requestBody", {}).get("content", {})
    if example := body.get("application/json", {}).get("example"):
        parts.append(f"```json\n{json.dumps(example, indent=2, ensure_ascii=False)}\n```\n\n")
    answers = [_answer(*one) for one in sorted(told["responses"].items()) if one[0] not in ("500", "503")]
    parts.append("Answers " + "; ".join(answers) + ".\n\n")
    return "".join(parts)


def _parameter(one: dict[str, Any]) -> str:
    return f"`{one['name']}`" + (" (required)" if one.get("required") else "")


def _answer(status: str, told: dict[str, Any]) -> str:
    if not told["description"].startswith("`E_"):
        media = ", ".join(f"`{name}`" for name in told.get("content", {}))
        return f"{status}{f' ({media})' if media else ''}"
    codes = [part.split("`")[1] for part in told["description"].split("; ")]
    return f"{status} " + ", ".join(f"[`{code}`](../handbook/errors.md#{code.lower()})" for code in codes)
