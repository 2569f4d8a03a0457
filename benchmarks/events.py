"""The events that every benchmark sends: 235 bytes on average, 9 mapped fields."""

import random
from typing import Any, Final

import orjson

MAPPING: Final[dict[str, Any]] = {
    "time": {"path": "$.ts", "format": "unix_ms"},
    "fields": [
        {"name": "device", "path": "$.device", "type": "string", "required": True},
        {"name": "site", "path": "$.site", "type": "string"},
        {"name": "temp_c", "path": "$.temp_c", "type": "float", "min": -80, "max": 200},
        {"name": "humidity", "path": "$.humidity", "type": "float", "min": 0, "max": 100},
        {"name": "pressure", "path": "$.pressure", "type": "float"},
        {"name": "battery", "path": "$.battery", "type": "integer"},
        {"name": "counter", "path": "$.counter", "type": "integer"},
        {"name": "ok", "path": "$.ok", "type": "boolean"},
        {"name": "note", "path": "$.note", "type": "string"},
    ],
    "unmapped": "drop",
}


def make(count: int, *, seed: int = 7, start_ms: int = 1_790_000_000_000, step_ms: int = 1) -> list[bytes]:
    """Return ``count`` events, one each ``step_ms`` from ``start_ms`` on; the same for the same ``seed``."""
    source = random.Random(seed)
    return [
        orjson.dumps(
            {
                "ts": start_ms + number * step_ms,
                "device": f"boiler-{number % 500:04d}",
                "site": f"plant-{number % 7}",
                "temp_c": round(source.gauss(60, 8), 3),
                "humidity": round(source.uniform(20, 80), 2),
                "pressure": round(source.gauss(1013, 5), 2),
                "battery": source.randrange(100),
                "counter": number,
                "ok": number % 50 != 0,
                "note": "routine reading taken by the controller on schedule, see the plant log",
            }
        )
        for number in range(count)
    ]
