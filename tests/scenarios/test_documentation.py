"""The OpenAPI document is complete, its examples work, the explorer needs nobody, the handbook knows every code."""

import re
from pathlib import Path
from typing import Any

from appliance.api.openapi import document_of, routes_of
from appliance.api.problems import KINDS, codes
from appliance.cli.exits import CannotCreate, Unavailable
from tests.licensed import EVERY_FEATURE, issued

HANDBOOK = Path(__file__).parents[2] / "docs" / "handbook" / "errors.md"
FOLDER = Path(__file__).parents[2] / "appliance" / "api" / "explorer_page"


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(value) for value in node.values())) if node else own
    return set().union(*map(references, node)) if isinstance(node, list) and node else set()


async def test_every_route_is_documented_with_its_errors(scene: Any, api: Any) -> None:
    document = (await api.get("/api/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))
    for route in routes_of(scene.api):
        told = document["paths"][route.path][route.method.lower()]
        assert told["summary"], route
        assert told["tags"] != ["other"], route
        answers = set(told["responses"])
        assert {str(route.operation.status), "500", "503"} <= answers, route
        if told["security"]:
            assert "401" in answers, route
        if "requestBody" in told:
            assert {"400", "413", "415", "422"} <= answers, route
            assert "example" in told["requestBody"]["content"]["application/json"], route
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) <= known


def test_every_code_is_in_the_table() -> None:
    assert codes() == set(KINDS)


def test_the_handbook_explains_every_code_with_cause_and_remedy() -> None:
    sections = re.split(r"^## ", HANDBOOK.read_text("utf-8"), flags=re.MULTILINE)[1:]
    told = {section.split("\n", 1)[0].strip(): section for section in sections}
    printed = {CannotCreate.code, Unavailable.code}  # by commands only
    assert sorted(told) == sorted({*KINDS, *printed})
    for code, section in told.items():
        assert "Printed by commands" in section if code in printed else f"**Status** {KINDS[code].status}" in section
        assert "**Cause**" in section, code
        assert "**Remedy**" in section, code


async def test_every_example_is_accepted(scene: Any) -> None:
    wrong = []
    await scene.it.services.licenses.install(scene.admin, issued(features=EVERY_FEATURE))
    async with scene.client(scene.tokens["admin"]) as client:
        for route in routes_of(scene.api):
            if route.operation.example is None or route.path.startswith(("/api/v1/setup", "/api/v1/session/password")):
                continue  # the ones are over, the other is for people; all are sent in test_setup_and_session
            if route.path.startswith("/api/v1/license"):
                continue  # needs a document for this very installation: sent in test_licenses
            if "/chunks" in route.path:
                continue  # needs TimescaleDB: sent in test_chunks_adjusted
            pipeline_id = await scene.boilers(name=f"for {route.method} {route.path}")
            example = _filled(route.operation.example, {"{pipeline}": pipeline_id})
            path = route.path.replace("{pipeline_id}", pipeline_id).replace("{number}", "1")
            path = path.replace("{organisation_id}", scene.admin.organisation_id)
            if "{dashboard_id}" in path:
                path = path.replace("{dashboard_id}", (await client.get("/api/v1/dashboards")).json()["items"][0]["id"])
            if "{provider_id}" in path:
                providers = (await client.get("/api/v1/sign-in/providers")).json()["items"]
                path = path.replace("{provider_id}", providers[0]["id"])
            if "{user_id}" in path:
                path = path.replace("{user_id}", (await client.get("/api/v1/users")).json()["items"][-1]["id"])
            if route.path.endswith("/{pipeline_id}"):
                example = example | {"mapping": {}}  # its mapping has another type for a column than the one before
                example["name"] = "replaced"
            answer = await client.request(route.method, path, json=example)
            if answer.status_code != route.operation.status:
                wrong.append((route.method, route.path, answer.status_code, answer.text))
    assert wrong == []


def _filled(node: Any, values: dict[str, str]) -> Any:
    if isinstance(node, dict):
        return {name: _filled(value, values) for name, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, values) for value in node]
    return values.get(node, node) if isinstance(node, str) else node


async def test_the_explorer_needs_nobody_else(api: Any) -> None:
    page = await api.get("/api/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    named = re.findall(r'(?:src|href)="(/[^"#]+)"', page.text)
    for name in named:
        if name == "/":  # the screens: another room
            continue
        assert (await api.get(name)).status_code == 200, name
    assert len(named) >= 3
    for file in FOLDER.iterdir():
        assert not re.findall(r"https?://(?!www\.w3\.org/)", file.read_text("utf-8")), file
    assert (await api.get("/api/docs/app.py")).status_code == 404


def test_the_document_is_the_same_each_time(scene: Any) -> None:
    assert document_of(scene.api) == document_of(scene.api)
