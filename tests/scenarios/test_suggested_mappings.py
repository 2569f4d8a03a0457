"""A first mapping, suggested from samples or from what came in."""

from typing import Any

SAMPLES = [{"ts": 1_790_000_000_000 + number, "device": "b1", "temp_c": 20.5 + number} for number in range(5)]


async def test_a_mapping_is_suggested_for_samples_and_can_be_saved(api: Any) -> None:
    answer = await api.post("/api/v1/mappings/suggest", json={"samples": SAMPLES})
    assert answer.status_code == 200
    told = answer.json()
    assert told["mapping"] == {
        "time": {"path": "$.ts", "format": "unix_ms"},
        "fields": [
            {"name": "device", "path": "$.device", "type": "string", "required": True},
            {"name": "temp_c", "path": "$.temp_c", "type": "float", "required": True, "unit": "°C"},
        ],
    }
    assert (told["rows"], told["dead"], told["samples"]) == (5, 0, 5)
    assert told["time"]["reason"] == "milliseconds since 1970, in every sample, called 'ts'"
    document = {"name": "suggested", "source": {"type": "webhook", "signature": "none"}, "mapping": told["mapping"]}
    assert (await api.post("/api/v1/pipelines", json=document)).status_code == 201


async def test_a_mapping_is_suggested_for_what_came_in(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers(mapping={"fields": []})
    empty = await api.post("/api/v1/mappings/suggest", json={"pipeline": pipeline_id})
    assert empty.json()["problems"][0]["pointer"] == "/pipeline"
    await scene.receive(
        pipeline_id, b'{"list": [{"v": 1}, {"v": 2}]}', b'{"list": [{"v": 3}]}', b'{"list": [{"v": 4}]}'
    )
    told = (await api.post("/api/v1/mappings/suggest", json={"pipeline": pipeline_id})).json()
    assert (told["mapping"]["explode"], told["rows"], told["dead"]) == ("$.list", 4, 0)
    assert told["notes"] == ["no value looks like the event's own time: the moment of receipt is used"]


async def test_who_gives_nothing_is_told(scene: Any, api: Any) -> None:
    for body, pointer in (({}, "/samples"), ({"samples": []}, "/samples"), ({"samples": [1] * 1001}, "/samples")):
        answer = await api.post("/api/v1/mappings/suggest", json=body)
        assert (answer.status_code, answer.json()["problems"][0]["pointer"]) == (422, pointer)
    assert (await api.post("/api/v1/mappings/suggest", json={"pipeline": "pl_none"})).status_code == 404
    pipeline_id = await scene.boilers()
    async with scene.client(scene.tokens["other"]) as stranger:
        assert (await stranger.post("/api/v1/mappings/suggest", json={"pipeline": pipeline_id})).status_code == 404
