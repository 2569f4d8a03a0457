"""The whole flow of the built program on a machine without network, as nobody. Prints what was seen as one JSON object.

Run by conftest.py inside namespaces of its own: no route, the program's directory read-only.

    flow.py PROGRAM SCRATCH UID ARTEFACTS CHROMIUM
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import psutil
from playwright.async_api import async_playwright
from standardwebhooks import Webhook

PROGRAM, SCRATCH, UID, ARTEFACTS, CHROMIUM = sys.argv[1:6]
DATA = f"{SCRATCH}/data"
URL = "http://127.0.0.1:8080"
EMAIL, PASSWORD = "ada@example.org", "correct horse battery staple"
DEADLINE_SECS = 30.0
seen: dict[str, Any] = {}


def alone(*command: str) -> list[str]:
    """As nobody, with nothing in the environment. A developer who is not root is unprivileged already."""
    nobody = ["setpriv", "--reuid", UID, "--regid", UID, "--clear-groups", "--no-new-privs"] if int(UID) else []
    return [*nobody, "env", "-i", PROGRAM, *command]


def ran(*command: str) -> dict[str, Any]:
    """Run one command to its end."""
    answer = subprocess.run(alone(*command, "--data-dir", DATA), capture_output=True, text=True, timeout=60, cwd="/")
    return {"code": answer.returncode, "out": answer.stdout, "err": answer.stderr}


def until(what: str, look: Callable[[], Any], secs: float = DEADLINE_SECS) -> Any:
    """Return what ``look`` answers as soon as that is true."""
    deadline = time.monotonic() + secs
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    raise SystemExit(f"waited {secs} s in vain for {what}")


class Served:
    """The program while it serves."""

    def __init__(self) -> None:
        began = time.monotonic()
        self.log = open(f"{SCRATCH}/log", "ab")  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            alone("serve", "--data-dir", DATA), stdout=subprocess.PIPE, stderr=self.log, text=True, cwd="/"
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        self.ready_secs = time.monotonic() - began
        if not self.line:
            raise SystemExit(f"it did not start:\n{Path(f'{SCRATCH}/log').read_text()}")

    def stop(self) -> tuple[int, float]:
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.log.close()
        return code, time.monotonic() - began

    def tree(self) -> list[psutil.Process]:
        itself = psutil.Process(self.process.pid)
        return [itself, *itself.children(recursive=True)]


def network() -> None:
    """Prove that there is no way out, so that what follows proves something."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        try:
            out.connect(("192.0.2.1", 53))
            seen["network"] = "there is a route"
        except OSError as error:
            seen["network"] = error.strerror


def set_up() -> str:
    password = f"{SCRATCH}/password"
    Path(password).write_text(PASSWORD + "\n")
    os.chmod(password, 0o644)
    command = ("setup", "--admin-email", EMAIL, "--admin-password-file", password, "--sample", "--print-token")
    first = ran(*command)
    seen["setup"] = first
    seen["setup_again"] = ran(*command)
    return str(first["out"]).strip()


def sent(secret: str, url: str, identity: str, event: object) -> httpx.Response:
    body = json.dumps(event)
    now = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": identity,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(identity, now, body),
    }
    return httpx.post(urljoin(URL, url), content=body, headers=headers, trust_env=False)


def told(answer: httpx.Response) -> dict[str, Any]:
    return {"status": answer.status_code, "body": answer.json()}


def main_job(api: httpx.Client) -> str:
    document = {
        "name": "boiler-room",
        "source": {"type": "webhook"},
        "mapping": {
            "fields": [
                {"name": "device", "path": "$.device", "type": "string", "required": True},
                {"name": "temp_c", "expr": "(temp_f - 32) * 5 / 9", "type": "float"},
            ]
        },
    }
    created = api.post("/api/v1/pipelines", json=document)
    seen["created"] = created.status_code
    pipeline = created.json()
    event = {"device": "b1", "temp_f": 131}
    began = time.monotonic()
    seen["accepted"] = told(sent(pipeline["secret"], pipeline["ingest_url"], "msg_1", event))
    records = f"/api/v1/pipelines/{pipeline['id']}/records"
    rows = until("the record", lambda: api.get(records).json()["items"])
    seen["event_to_record_secs"] = time.monotonic() - began
    seen["record"] = {name: rows[0][name] for name in ("device", "temp_c", "_seq")}
    seen["again"] = told(sent(pipeline["secret"], pipeline["ingest_url"], "msg_1", event))
    seen["wrong"] = sent("whsec_" + "A" * 32, pipeline["ingest_url"], "msg_2", event).status_code
    measures = [{"op": "avg", "field": "temp_c", "as": "mean"}, {"op": "count", "as": "n"}]
    seen["query"] = api.post("/api/v1/query", json={"pipeline": pipeline["id"], "measures": measures}).json()["rows"]
    seen["parquet"] = (
        api.get(records, headers={"accept": "application/vnd.apache.parquet"}).content[:4].decode("latin-1")
    )
    seen["ledger"] = api.get(f"/api/v1/pipelines/{pipeline['id']}/ledger").json()
    for path in ("/livez", "/readyz", "/metrics", "/api/openapi.json", "/api/docs"):
        seen[path] = api.get(path).status_code
    handbook()
    return records


def handbook() -> None:
    """Look into the handbook as somebody who is not signed in."""
    seen["/docs"] = {}
    for path in ("/docs/", "/docs/errors", "/docs/_/search-index.js", "/docs/nothing"):
        answer = httpx.get(URL + path, trust_env=False)
        seen["/docs"][path] = [answer.status_code, answer.headers["content-type"], len(answer.text)]
    seen["/docs"]["E_UNAVAILABLE"] = 'id="e_unavailable"' in httpx.get(f"{URL}/docs/errors", trust_env=False).text


async def screens() -> None:
    """Sign in and open the pages in a real browser; note every request and every complaint."""
    async with async_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM or None, args=flags)
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        requests: list[str] = []
        failed: list[str] = []
        errors: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.on("response", lambda reply: failed.append(f"{reply.status} {reply.url}") if reply.status >= 400 else None)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(f"{URL}/sign-in")
        seen["title"] = await page.title()
        await page.screenshot(path=f"{ARTEFACTS}/binary-sign-in.png")
        await page.fill("input[name=email]", EMAIL)
        await page.fill("input[name=password]", PASSWORD)
        await page.click("button[type=submit]")
        await page.wait_for_url(lambda url: "/sign-in" not in url)
        for name, path, wanted in (
            ("pipelines", "/pipelines", "boiler-room"),
            ("dashboards", "/dashboards", "This host"),
        ):
            await page.goto(URL + path)
            await page.get_by_text(wanted).first.wait_for()
            await page.screenshot(path=f"{ARTEFACTS}/binary-{name}.png")
        await page.get_by_text("This host").first.click()
        await page.locator("canvas").first.wait_for()
        await page.wait_for_function("!document.querySelector('.skeleton')")  # the feed has delivered
        await page.screenshot(path=f"{ARTEFACTS}/binary-dashboard.png")
        await browser.close()
    own = (URL, "data:", "blob:", URL.replace("http", "ws"))
    seen["foreign_requests"] = [url for url in requests if not url.startswith(own)]
    seen["failed_requests"] = failed
    seen["browser_errors"] = errors


def idle(served: Served) -> None:
    """Measure at rest, with the sample workspace measuring this host each second and nobody looking."""
    time.sleep(3)
    before = [(one, one.cpu_times()) for one in served.tree()]
    time.sleep(10)
    used = sum(sum(one.cpu_times()[:2]) - sum(times[:2]) for one, times in before)
    seen["idle_cpu_percent"] = used * 10
    seen["idle_rss_mib"] = sum(one.memory_info().rss for one in served.tree()) / 2**20


def main() -> None:
    network()
    seen["version"] = subprocess.run(alone("version"), capture_output=True, text=True, cwd="/").stdout
    token = set_up()
    cold = Served()
    seen["ready"] = cold.line
    seen["stopped"] = cold.stop()[0]
    served = Served()
    seen["second_instance"] = ran("serve", "--port", "8081") | {"owner": served.process.pid}
    idle(served)
    with httpx.Client(base_url=URL, headers={"authorization": f"Bearer {token}"}, trust_env=False) as api:
        records = main_job(api)
        asyncio.run(screens())
        seen["doctor"] = ran("doctor", "--json")
        seen["stopped_again"], seen["stop_secs"] = served.stop()
        seen["verify"] = ran("verify")
        seen["license"] = ran("license", "show", "--json")
        seen["airgap"] = ran("doctor", "--airgap", "--json")
        last = Served()
        seen["ready_secs"] = min(served.ready_secs, last.ready_secs)  # both warm; the machine may have been busy
        seen["after_restart"] = api.get(records).json()["items"][0]["device"]
        seen["stopped_last"] = last.stop()[0]
    seen["log_has_secrets"] = any(
        secret in Path(f"{SCRATCH}/log").read_text() for secret in (token, PASSWORD, "whsec_")
    )
    print(json.dumps(seen))


main()
