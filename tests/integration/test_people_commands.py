"""``organisation``, ``user`` and ``token`` on a running appliance, as an operator uses them."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.running import EMAIL, RunningAppliance


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAppliance]:
    one = RunningAppliance(tmp_path_factory.mktemp("people"))
    one.setup()
    one.start()
    (one.folder / "pass").write_text("a long pass phrase\nnot this line\n")
    yield one
    one.stop()


def ask(one: RunningAppliance, *arguments: str, token: str | None = None) -> Any:
    (one.folder / "token").write_text(token or one.token)
    return one.run(*arguments, "--url", one.url, "--token-file", str(one.folder / "token"))


def told(answer: Any) -> Any:
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def signs_in(one: RunningAppliance, email: str, password: str) -> bool:
    given = {"email": email, "password": password}
    return httpx.post(f"{one.url}/api/v1/session", json=given, trust_env=False).status_code == 201


def test_an_organisation_comes_and_goes(one: RunningAppliance) -> None:
    new = ("organisation", "create", "Rival Works", "--admin-email", "eve@example.net")
    made = told(ask(one, *new, "--admin-password-file", str(one.folder / "pass"), "--json"))
    assert signs_in(one, "eve@example.net", "a long pass phrase")
    again = ask(one, *new, "--admin-password-file", str(one.folder / "pass"))
    assert (again.returncode, "choose another name" in again.stderr) == (1, True)
    listed = ask(one, "organisation", "list").stdout.splitlines()
    assert [line.split()[1] for line in listed] == ["NAME", "Default", "Rival"]
    assert listed[1].endswith("operates")
    assert "is called Rivals" in ask(one, "organisation", "rename", "Rival Works", "Rivals").stdout
    unsure = ask(one, "organisation", "delete", "Rivals", "--confirm", "Rival Works")
    assert (unsure.returncode, "as a confirmation" in unsure.stderr) == (1, True)
    gone = told(ask(one, "organisation", "delete", made["id"], "--confirm", "Rivals", "--json"))
    assert gone == {"id": made["id"], "deleted": True}
    assert not signs_in(one, "eve@example.net", "a long pass phrase")


def test_people_are_added_and_shut_out(one: RunningAppliance) -> None:
    file = ("--password-file", str(one.folder / "pass"))
    told(ask(one, "user", "create", "bob@example.org", "--role", "editor", *file, "--json"))
    assert ask(one, "user", "role", "bob@example.org", "viewer").stdout == "bob@example.org: is viewer\n"
    assert told(ask(one, "user", "disable", "bob@example.org", "--json"))["disabled"] is True
    assert not signs_in(one, "bob@example.org", "a long pass phrase")
    assert "shut out" in ask(one, "user", "list").stdout
    assert ask(one, "user", "enable", "bob@example.org").returncode == 0
    (one.folder / "other").write_text("another pass phrase")
    assert ask(one, "user", "password", "bob@example.org", "--password-file", str(one.folder / "other")).returncode == 0
    assert signs_in(one, "bob@example.org", "another pass phrase")
    nobody = ask(one, "user", "disable", "carol@example.org")
    assert (nobody.returncode, nobody.stderr.splitlines()[0]) == (
        1, "error: there is no user 'carol@example.org': see 'user list'"
    )  # fmt: skip


def test_a_token_is_printed_once_and_revoked(one: RunningAppliance) -> None:
    made = ask(one, "token", "create", "grafana", "--role", "viewer", "--expires-in", "90d")
    token = made.stdout.strip()
    assert token.startswith("dash_")
    assert ask(one, "token", "list", token=token).returncode == 1  # a viewer
    assert token[:9] in ask(one, "token", "list").stdout
    assert ask(one, "token", "revoke", "grafana").stdout == "grafana: revoked\n"
    assert "the token is not known" in ask(one, "jobs", "list", token=token).stderr
    assert "grafana" not in ask(one, "token", "list").stdout
    assert "--expires-in" in ask(one, "token", "create", "x", "--expires-in", "soon").stderr


def test_a_password_is_given_at_the_machine_when_nobody_can_sign_in(one: RunningAppliance) -> None:
    recover = ("user", "recover", EMAIL, "--password-file", str(one.folder / "other"))
    (one.folder / "other").write_text("another pass phrase")
    busy = one.run(*recover)
    assert (busy.returncode, str(one.pid) in busy.stderr) == (75, True)
    one.stop()
    assert one.run(*recover).stdout == f"{EMAIL}: has the new password\n"
    assert "nobody signs in with 'x@y.z'" in one.run("user", "recover", "x@y.z", *recover[3:]).stderr
    one.start()
    assert signs_in(one, EMAIL, "another pass phrase")
