"""The image and the manifests in the handbook fit each other, and what the program does by default."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from appliance.settings.load import load

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "handbook" / "deployment.md").read_text("utf-8")
DOCKERFILE = re.findall(r"```\n(FROM .*?)```", PAGE, re.DOTALL)[0]
HOME = "/var/lib/dash-appliance"


@pytest.fixture(scope="module")
def manifests() -> dict[str, dict[str, Any]]:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


def test_the_image_starts_with_what_it_says(tmp_path: Path) -> None:
    (line,) = re.findall(r"^ENV (.*)$", DOCKERFILE, re.MULTILINE)
    settings = load({}, dict(pair.split("=") for pair in line.split()))
    assert (settings.server.host, str(settings.server.data_dir)) == ("0.0.0.0", HOME)
    assert f"EXPOSE {settings.server.port}\n" in DOCKERFILE
    assert f"VOLUME {HOME}\n" in DOCKERFILE


def test_the_pod_is_the_user_of_the_image(manifests: dict[str, dict[str, Any]]) -> None:
    pod = manifests["StatefulSet"]["spec"]["template"]["spec"]
    user, group = pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]
    assert f"USER {user}:{group}\n" in DOCKERFILE
    assert f"useradd --uid {user} --gid {group} " in DOCKERFILE
    assert pod["securityContext"]["fsGroup"] == group
    assert pod["containers"][0]["volumeMounts"] == [{"name": "data", "mountPath": HOME}]


def test_the_pod_waits_as_long_as_the_program_may_take(manifests: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    pod = manifests["StatefulSet"]["spec"]["template"]["spec"]
    drains = load({"server.data_dir": str(tmp_path)}, {}).server.drain_timeout.total_seconds()
    assert pod["terminationGracePeriodSeconds"] >= 2 * drains
    (container,) = pod["containers"]
    assert container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] == 600
    paths = [container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")]
    assert paths == ["/livez", "/livez", "/readyz"]


def test_the_service_finds_the_pod(manifests: dict[str, dict[str, Any]]) -> None:
    service, kept = manifests["Service"], manifests["StatefulSet"]["spec"]
    assert kept["serviceName"] == service["metadata"]["name"]
    assert kept["selector"]["matchLabels"] == kept["template"]["metadata"]["labels"] == service["spec"]["selector"]
    assert service["spec"]["ports"][0]["targetPort"] == kept["template"]["spec"]["containers"][0]["ports"][0]["name"]
