"""The handbook's page about sources is tried out: its documents, its lists of keys, its shell commands."""

import json
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.catalog import SOURCES
from appliance.components.lint import decode, lint
from appliance.components.shape import fields
from appliance.components.source import InboundRequest
from appliance.sources.host_metrics_mapping import HOST_METRICS_MAPPING
from appliance.sources.signatures import Signature
from appliance.sources.webhook import Webhook, WebhookConfig
from tests.fakes.resources import resources

PAGE = (Path(__file__).parents[3] / "docs/handbook/sources.md").read_text("utf-8")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", blocks("json"))
def test_its_documents_are_right(block: str) -> None:
    document = json.loads(block)
    assert lint(SOURCES[document["type"]].config, document) == []


@pytest.mark.parametrize("type_name", SOURCES)
def test_every_key_is_explained_with_its_default(type_name: str) -> None:
    section = PAGE.split(f"\n## {type_name}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
    named = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert fields(SOURCES[type_name].config).keys() <= named


def test_every_scheme_is_explained() -> None:
    assert all(f"| `{scheme.value}` |" in PAGE for scheme in Signature)


def test_every_metric_is_named() -> None:
    assert all(f"`{field['name']}`" in PAGE for field in HOST_METRICS_MAPPING["fields"])


@pytest.mark.parametrize(("block", "signature"), list(zip(blocks("sh"), ["standard_webhooks", "github"], strict=True)))
def test_its_commands_sign_as_the_webhook_expects(block: str, signature: str) -> None:
    """``curl`` is replaced by a function that prints what it was given."""
    script = "curl() { printf '%s\\0' \"$@\"; }\n" + block
    environment = {"SECRET": SECRET, "URL": "http://h/in/p", "PATH": "/usr/bin:/bin"}
    given = subprocess.run(["bash", "-euc", script], env=environment, capture_output=True, check=True).stdout
    words = given.decode().split("\0")
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    body = words[words.index("--data-binary") + 1].encode()
    judge = Webhook(
        decode(WebhookConfig, {"type": "webhook", "signature": signature, "secrets": [SECRET]}), resources()
    )
    admission = judge.admit(InboundRequest(headers, body, None, datetime.now(UTC)))
    assert bytes(admission.payloads[0]) == body
    assert admission.delivery_id
