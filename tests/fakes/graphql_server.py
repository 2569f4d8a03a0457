"""A real GraphQL server for loopback: graphql-core executes every query against a schema with a Relay connection."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLError, build_schema, graphql_sync

from tests.fakes.http_server import Answer, Asked

SCHEMA = build_schema(
    """
    type Query {
      plant(name: String!): Plant
      readings(updatedAfter: Int): [Reading!]!
      must(fail: Boolean): Int!
    }
    type Plant { name: String!  readings(first: Int = 2, after: String, since: String): ReadingConnection! }
    type ReadingConnection { nodes: [Reading]  edges: [ReadingEdge]  pageInfo: PageInfo!  totalCount: Int! }
    type ReadingEdge { cursor: String!  node: Reading }
    type PageInfo { hasNextPage: Boolean!  endCursor: String }
    type Reading { n: Int!  updatedAt: String!  secret: Int }
    type Mutation { forget: Boolean }
    """
)
CONNECTION = """
query Readings($first: Int, $after: String, $since: String) {
  plant(name: "north") { readings(first: $first, after: $after, since: $since) {
    nodes { n updatedAt }
    pageInfo { hasNextPage endCursor }
  } }
}
"""


@dataclass
class Plant:
    """What the server has. ``broken``: numbers of readings whose ``secret`` cannot be resolved."""

    numbers: list[int] = field(default_factory=lambda: list(range(5)))
    broken: set[int] = field(default_factory=set)
    forgotten: bool = False  # cursors given before are refused
    extensions: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    name: str = "north"

    def __call__(self, asked: Asked) -> Answer:
        """Answer one request over HTTP, as the GraphQL-over-HTTP specification has it for ``application/json``."""
        body = json.loads(asked.body)
        result = graphql_sync(
            SCHEMA,
            body["query"],
            root_value=Root(self),
            variable_values=body.get("variables"),
            operation_name=body.get("operationName"),
        )
        answered: dict[str, Any] = dict(result.formatted)
        if self.extensions:
            answered["extensions"] = self.extensions
        headers = {"content-type": "application/json; charset=utf-8", **self.headers}
        return Answer(200, json.dumps(answered).encode(), headers)

    def reading(self, number: int) -> "Reading":
        return Reading(self, number)

    def readings(
        self, _info: Any, first: int = 2, after: str | None = None, since: str | None = None
    ) -> Mapping[str, Any]:
        if after is not None and self.forgotten:
            raise GraphQLError("the cursor has expired", extensions={"code": "BAD_USER_INPUT"})
        begin = int(base64.b64decode(after)) + 1 if after else 0
        found = [self.reading(number) for number in self.numbers]
        rest = [one for one in found if one.n >= begin and (since is None or one.updatedAt >= since)]
        shown = rest[:first]
        cursor = base64.b64encode(str(shown[-1].n).encode()).decode() if shown else None
        return {
            "nodes": shown,
            "edges": [{"cursor": "", "node": one} for one in shown],
            "pageInfo": {"hasNextPage": len(rest) > first, "endCursor": cursor},
            "totalCount": len(found),
        }


class Reading:
    def __init__(self, plant: Plant, number: int) -> None:
        self._plant, self.n = plant, number
        self.updatedAt = f"2026-01-31T08:{number:02}:00Z"

    def secret(self, _info: Any) -> int:
        if self.n in self._plant.broken:
            raise GraphQLError("you may not see it", extensions={"code": "FORBIDDEN"})
        return self.n * 100


class Root:
    def __init__(self, plant: Plant) -> None:
        self._plant = plant

    def plant(self, _info: Any, name: str) -> Plant | None:
        return self._plant if name == "north" else None

    def readings(self, _info: Any, updatedAfter: int | None = None) -> list[Reading]:
        found = [self._plant.reading(number) for number in self._plant.numbers]
        return [one for one in found if updatedAfter is None or one.n >= updatedAfter]

    def must(self, _info: Any, fail: bool = False) -> int:
        if fail:
            raise GraphQLError("the database is down")
        return 1
