"""The handbook's page on mappings tells what is so: its examples run, its lists are complete."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from appliance.components.mapper import Mapped
from appliance.mapping import grammar
from appliance.mapping.expression import DEEPEST, LONGEST, MOST_NODES
from appliance.mapping.moment import FORMATS

PAGE = (Path(__file__).parents[3] / "docs/handbook/mapping.md").read_text("utf-8")
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def told(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, Decimal) else value


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_give_the_rows_they_show(mapped: Callable[..., Mapped], example: dict[str, Any]) -> None:
    answer = mapped(example["mapping"], example["event"])
    rows = [{name: told(value) for name, value in row.items()} for row in answer.rows.to_pylist()]
    shown = [{name: row[name] for name in wanted} for row, wanted in zip(rows, example["rows"], strict=True)]
    assert shown == example["rows"]
    assert answer.dead.num_rows == 0


def test_the_list_of_functions_is_complete() -> None:
    listed = re.findall(r"`(\w+)`", PAGE.split("these functions:")[1].split("They mean")[0])
    assert listed == sorted({*grammar.FUNCTIONS, *grammar.PLAIN_FUNCTIONS})


def test_formats_and_limits_are_named() -> None:
    assert [form for form in FORMATS if f"`{form}`" not in PAGE] == []
    assert f"at most {LONGEST:,} characters, {MOST_NODES} parts and {DEEPEST} levels" in " ".join(PAGE.split())
