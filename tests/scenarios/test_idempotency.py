"""``Idempotency-Key``: the same write twice has one effect and one answer."""

import asyncio
from typing import Any

CONTROL_PLANES = ("embedded", "postgresql")

UNSIGNED = {"name": "p", "source": {"type": "webhook", "signature": "none"}}


async def test_the_same_write_twice_has_one_effect(api: Any) -> None:
    key = {"idempotency-key": "order-1"}
    first = await api.post("/api/v1/pipelines", json={"name": "p", "source": {"type": "webhook"}}, headers=key)
    again = await api.post("/api/v1/pipelines", json={"name": "p", "source": {"type": "webhook"}}, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content  # the secret too
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert len((await api.get("/api/v1/pipelines")).json()["items"]) == 1


async def test_a_key_belongs_to_one_request_of_one_person(scene: Any, api: Any) -> None:
    key = {"idempotency-key": "order-1"}
    await api.post("/api/v1/pipelines", json=UNSIGNED, headers=key)
    other = await api.post("/api/v1/pipelines", json=UNSIGNED | {"name": "q"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "E_CONFLICT")
    async with scene.client(scene.tokens["editor"]) as editor:
        theirs = await editor.post("/api/v1/pipelines", json=UNSIGNED | {"name": "q"}, headers=key)
    assert theirs.status_code == 201


async def test_after_a_failure_the_key_is_free(api: Any) -> None:
    key = {"idempotency-key": "order-1"}
    assert (await api.post("/api/v1/pipelines", json={"name": "p"}, headers=key)).status_code == 422
    assert (await api.post("/api/v1/pipelines", json=UNSIGNED, headers=key)).status_code == 201


async def test_two_at_once_make_one(api: Any) -> None:
    key = {"idempotency-key": "order-1"}
    answers = await asyncio.gather(*(api.post("/api/v1/pipelines", json=UNSIGNED, headers=key) for _ in range(5)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len((await api.get("/api/v1/pipelines")).json()["items"]) == 1


async def test_an_endless_key_is_refused(api: Any) -> None:
    answer = await api.post("/api/v1/pipelines", json=UNSIGNED, headers={"idempotency-key": "k" * 256})
    assert answer.status_code == 422
