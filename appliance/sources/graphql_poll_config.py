"""The declaration of ``graphql_poll``: what can be set, and what of it makes no sense together."""

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from appliance.sources.items import PATH
from appliance.sources.poll_config import PollConfig

_NAME = r"^[_A-Za-z][_0-9A-Za-z]{0,99}$"  # of the GraphQL specification, 2.1.9
_NOT_CODE = re.compile(r'"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"|#[^\n]*')
_WORDS = re.compile(r"[{}]|\b(?:query|mutation|subscription)\b")

Variable = Annotated[str, Meta(pattern=_NAME, examples=["after"])]


class GraphqlSince(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ask only for what is new: the highest value at ``path`` of all items is sent as ``variable`` the next time."""

    variable: Annotated[Variable, Meta(title="Variable", examples=["since"])]
    path: Annotated[str, Meta(title="Path in an item", pattern=PATH, examples=["$.updatedAt"])]
    initial: Annotated[str, Meta(title="First value", examples=["2026-01-01T00:00:00Z"])] | None = None
    number: Annotated[bool, Meta(title="As a number", description="For variables of type Int or Float")] = False


class Relay(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="relay", kw_only=True):
    """Pages of a Relay connection: the query asks for ``pageInfo { hasNextPage endCursor }``.

    Source: the GraphQL Cursor Connections Specification, https://relay.dev/graphql/connections.htm.
    """

    connection: Annotated[
        str, Meta(title="Path of the connection", pattern=PATH, examples=["$.data.repository.issues"])
    ]
    variable: Annotated[Variable, Meta(title="Variable of the cursor")] = "after"


class GraphqlPollConfig(
    PollConfig, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="graphql_poll", kw_only=True
):
    """What a GraphQL server answers to one query, again and again."""

    query: Annotated[
        str,
        Meta(
            title="Query",
            description="A GraphQL document; only queries are sent",
            min_length=1,
            max_length=65_536,
            examples=["query ($after: String) { readings(after: $after) { nodes { id } } }"],
        ),
    ]
    operation: Annotated[
        Variable | None, Meta(title="Operation", description="Which one, where the document has several")
    ] = None
    variables: Annotated[dict[Variable, Any], Meta(title="Variables", description="Sent with every request")] = {}
    items: Annotated[
        str,
        Meta(
            title="Path of the items",
            description="A list there: each element is an event; an object: one event",
            pattern=PATH,
            examples=["$.data.repository.issues.nodes"],
        ),
    ] = "$.data"
    pagination: Annotated[Relay | None, Meta(title="Pagination")] = None
    since: Annotated[GraphqlSince | None, Meta(title="Only what is new")] = None
    partial: Annotated[
        Literal["fail", "keep"],
        Meta(title="Data with errors", description="fail: nothing of it is taken; keep: what there is, is"),
    ] = "fail"

    def __post_init__(self) -> None:
        super().__post_init__()
        code = _NOT_CODE.sub("", self.query)
        _check_operations(code)
        own = [(place, one.variable) for place, one in (("pagination", self.pagination), ("since", self.since)) if one]
        for place, name in own:
            if not re.search(rf"\${name}\b", code):
                raise ValueError(f"{place} sets ${name} and the query has no such variable: declare and use it")
            if place == "pagination" and name in self.variables:
                raise ValueError(f"pagination sets ${name}: leave it out of variables")
        if len({name for _, name in own}) < len(own):
            raise ValueError("pagination and since set the same variable: give each its own")
        if self.pagination and not ("hasNextPage" in code and "endCursor" in code):
            raise ValueError("pagination needs pageInfo { hasNextPage endCursor } in the query: ask for both")


def _check_operations(code: str) -> None:
    """Raise ValueError where the document does more than ask."""
    depth = 0
    for word in _WORDS.findall(code):
        depth += {"{": 1, "}": -1}.get(word, 0)
        if depth == 0 and word in ("mutation", "subscription"):  # deeper down they are names of fields
            raise ValueError(f"the query holds a {word}: only queries can be polled")
    if depth != 0:
        raise ValueError("the query's braces do not match: check where a selection ends")
