"""What OpenAPI says of ``POST /in/{pipeline_id}``: it is answered before any framework, so it is told here by hand."""

from typing import Any, Final

from appliance.api.problems import KINDS, MEDIA_TYPE

_CODES: Final = (
    "E_MALFORMED",
    "E_UNAUTHENTICATED",
    "E_NOT_FOUND",
    "E_METHOD",
    "E_CONFLICT",
    "E_TOO_LARGE",
    "E_MEDIA_TYPE",
    "E_RATE_LIMITED",
    "E_INTERNAL",
    "E_UNAVAILABLE",
)
_PROBLEM: Final = {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}
_RECEIPT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["accepted", "first_seq", "last_seq"],
    "properties": {
        "accepted": {"type": "integer", "description": "Events"},
        "first_seq": {"type": "integer"},
        "last_seq": {"type": "integer"},
        "duplicate": {"type": "boolean", "description": "This delivery was durable before; nothing was written"},
    },
}


def _receipt(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _RECEIPT}}}


INGEST: Final[dict[str, Any]] = {
    "operationId": "ingest_post",
    "tags": ["ingest"],
    "summary": "Send events to a webhook pipeline",
    "description": "One JSON value, a JSON array of events, or NDJSON; gzip allowed. Signed as the pipeline's source "
    "says, over the bytes as they are sent. Answered when the events are durable.",
    "parameters": [
        {"name": "pipeline_id", "in": "path", "required": True, "schema": {"type": "string"}},
        {"name": "webhook-id", "in": "header", "required": False, "schema": {"type": "string"}},
        {"name": "webhook-timestamp", "in": "header", "required": False, "schema": {"type": "string"}},
        {"name": "webhook-signature", "in": "header", "required": False, "schema": {"type": "string"}},
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {}, "example": [{"device": "b1", "temp_f": 212}]},
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    },
    "responses": {
        "202": _receipt("Durable"),
        "200": _receipt("Durable before"),
        **{
            str(KINDS[code].status): {
                "description": f"`{code}` {KINDS[code].title}",
                "content": {MEDIA_TYPE: _PROBLEM},
            }
            for code in _CODES
        },
    },
    "security": [],
}
