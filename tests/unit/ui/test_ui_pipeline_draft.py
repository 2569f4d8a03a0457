from typing import Any

import pytest

from appliance.catalog import SOURCES as DECLARED
from appliance.components.lint import lint
from appliance.domain.mapping import Field, FieldType, Mapping
from ui.pipeline_draft import EMPTY, SOURCES, Draft, passed_on

BOILERS = Mapping(
    fields=[
        Field(name="temp_c", type=FieldType.FLOAT, path="$.t.c", required=True, unit="°C"),
        Field(name="my note", type=FieldType.STRING, path="$.note"),
    ]
)


def document(**values: str) -> dict[str, Any]:
    return Draft(EMPTY | values, {"pl_a": BOILERS}).document()


def test_every_source_can_be_chosen() -> None:
    assert {kind for kind, *_ in SOURCES} == set(DECLARED)


@pytest.mark.parametrize(
    ("values", "source"),
    [
        ({}, {"type": "webhook", "signature": "standard_webhooks"}),
        ({"source": "host_metrics"}, {"type": "host_metrics"}),
        (
            {"source": "http_poll", "url": " https://a.example/ ", "when": "5m", "items": " "},
            {"type": "http_poll", "url": "https://a.example/", "interval": "5m"},
        ),
        (
            {
                "source": "graphql_poll",
                "url": "https://a.example/",
                "query": "{ a }",
                "pace": "cron",
                "when": "* * * * *",
            },
            {"type": "graphql_poll", "url": "https://a.example/", "query": "{ a }", "cron": "* * * * *"},
        ),
        ({"source": "pipeline", "pipeline": "pl_a"}, {"type": "pipeline", "pipeline": "pl_a", "start": "beginning"}),
    ],
)
def test_documents(values: dict[str, str], source: dict[str, str]) -> None:
    made = document(**values)["source"]
    assert made == source
    assert lint(DECLARED[made["type"]].config, made) == []


def test_pages_of_a_connection() -> None:
    made = document(source="graphql_poll", connection=" $.data.a ")["source"]
    assert made["pagination"] == {"type": "relay", "connection": "$.data.a"}


def test_rows_of_another_pipeline_are_taken_as_they_are() -> None:
    expected = {
        "time": {"path": "$._time"},
        "fields": [
            {"name": "temp_c", "path": "$.temp_c", "type": "float", "unit": "°C"},
            {"name": "my note", "path": "$['my note']", "type": "string"},
        ],
        "unmapped": "drop",
    }
    assert passed_on(BOILERS) == expected
    assert document(source="pipeline", pipeline="pl_a")["mapping"] == expected
    assert document(source="pipeline", pipeline="")["mapping"] == {}
