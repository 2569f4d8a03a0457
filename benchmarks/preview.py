"""Preview of a change over 100,000 stored events, beside mapping the same events once on one thread in this process.

Asked of a running appliance over HTTP: Bronze is read, both mappings run over the same frames, rows are compared.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import msgspec

from appliance.domain.event import Frame
from appliance.domain.mapping import Mapping
from appliance.mapping import Mapper, compile_mapping
from benchmarks.events import MAPPING, make
from benchmarks.report import Figure, median, spread
from benchmarks.running import appliance
from tests.running import standard_headers

EVENTS, REQUEST, ROUNDS = 100_000, 2_000, 7


def changed() -> dict[str, Any]:
    """Return the mapping with a limit, a wider type, a computed field, one field less, and what is left kept."""
    fields: list[dict[str, Any]] = [dict(field) for field in MAPPING["fields"] if field["name"] != "note"]
    fields[2]["max"] = 75
    fields[5]["type"] = "float"
    fields.append({"name": "temp_f", "expr": "temp_c * 9 / 5 + 32", "type": "float"})
    return {**MAPPING, "fields": fields, "unmapped": "keep"}


def figures() -> Iterator[Figure]:
    events = make(EVENTS)
    with appliance() as one:
        pipeline_id, secret = one.create_pipeline("preview", MAPPING)
        _send(f"{one.url}/in/{pipeline_id}", secret, events)
        one.wait_refined(pipeline_id, 60)
        body = {"pipeline": pipeline_id, "mapping": changed(), "compare": True, "range": {"last": EVENTS}}
        took, once, told = [], [], {}
        with one.client() as client:
            for _ in range(ROUNDS):
                began = time.perf_counter()
                told = client.post("/api/v1/mappings/preview", json=body).raise_for_status().json()["comparison"]
                took.append(time.perf_counter() - began)
                once.append(_mapped_once(events))
    seen = {kind: told[kind]["count"] for kind in ("removed", "changed")}
    remark = f"{spread(took)}; {told['events']:,} events, {seen['removed']:,} rows gone, {seen['changed']:,} changed"
    yield Figure("preview of a change over 100,000 events", median(took), "s", 1.0, at_least=False, remark=remark)
    ratio = [whole / alone for whole, alone in zip(took, once, strict=True)]
    yield Figure("  as a ratio to mapping them once", median(ratio), "×", remark=spread(ratio))


def _send(url: str, secret: str, events: Sequence[bytes]) -> None:
    with httpx.Client(trust_env=False, timeout=60) as client:
        for first in range(0, len(events), REQUEST):
            body = b"[" + b",".join(events[first : first + REQUEST]) + b"]"
            client.post(url, content=body, headers=standard_headers(secret, f"msg_{first}", body)).raise_for_status()


def _mapped_once(events: Sequence[bytes]) -> float:
    frames = [
        Frame(first + 1, len(events[first : first + REQUEST]), 0, b"\n".join(events[first : first + REQUEST]))
        for first in range(0, len(events), REQUEST)
    ]
    mapper, compiled = Mapper(), compile_mapping(msgspec.convert(MAPPING, Mapping))
    mapper.run(compiled, frames[:1])
    began = time.perf_counter()
    mapper.run(compiled, frames)
    took = time.perf_counter() - began
    mapper.close()
    return took
