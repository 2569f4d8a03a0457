"""``/api/openapi.json`` and ``/api/docs``: the API explained, and a page to try it on. Nothing comes from outside."""

from pathlib import Path
from typing import Any, Final

import msgspec
from litestar import Controller, Response, get
from litestar.params import FromPath

from appliance.api.exchange import AnyRequest
from appliance.api.openapi import document_of
from appliance.api.operations import Open, Operation, does
from appliance.errors import NotFound

PAGES: Final = Path(__file__).parent / "explorer_page"
_FILES: Final = {"explorer.js": "text/javascript; charset=utf-8", "explorer.css": "text/css; charset=utf-8"}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-cache",
}


class ExplorerController(Controller):
    path = "/api"
    tags = ("documentation",)

    @get(
        "/openapi.json",
        **does(Operation(summary="This document", access=Open.ANYBODY, answer=dict[str, Any])),
        sync_to_thread=False,
    )
    def document(self, request: AnyRequest) -> Response[bytes]:
        return Response(msgspec.json.encode(document_of(request.app)), media_type="application/json")

    @get(
        "/docs",
        **does(Operation(summary="The explorer", access=Open.ANYBODY, media=("text/html",))),
        sync_to_thread=True,
    )
    def page(self, request: AnyRequest) -> Response[bytes]:
        return Response((PAGES / "index.html").read_bytes(), media_type="text/html; charset=utf-8", headers=_HEADERS)

    @get(
        "/docs/{name:str}",
        **does(
            Operation(
                summary="The explorer's script and style",
                access=Open.ANYBODY,
                media=("text/javascript", "text/css"),
                errors=(NotFound,),
            )
        ),
        sync_to_thread=True,
    )
    def file(self, request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
        if name not in _FILES:
            raise NotFound(f"the explorer has no file {name!r}")
        return Response((PAGES / name).read_bytes(), media_type=_FILES[name], headers=_HEADERS)
