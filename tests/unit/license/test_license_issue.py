"""The vendor's commands: a key, a licence and a list made by them are accepted by the product's side."""

import stat
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from license.issue import main
from license.keys import KeyRing
from license.verify import Here, accept, revocations

PASSPHRASE = {"DASH_ISSUE_PASSPHRASE": "correct horse"}
CODE = "000G-40R4-0M30-FMK7"


def ran(*arguments: str, env: dict[str, str] = PASSPHRASE, given: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, env=env, input=given)


@pytest.fixture
def key(tmp_path: Path) -> tuple[Path, bytes]:
    file = tmp_path / "vendor.pem"
    told = ran("key", str(file)).output
    return file, bytes.fromhex(told.split()[-1])


def test_a_licence_for_one_installation(key: tuple[Path, bytes]) -> None:
    file, public = key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"ENCRYPTED PRIVATE KEY" in file.read_bytes()
    done = ran(
        "license", "--key", str(file), "--customer", "Wärme & Söhne", "--edition", "Team", "--users", "50",
        "--feature", "white_label", "--valid-from", "2027-01-01", "--valid-to", "2027-12-31", "--request", CODE.lower(),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = accept(done.stdout, KeyRing([public]), Here(installation=CODE, today=date(2027, 1, 1)))
    assert (found.customer, found.limits.users, found.limits.pipelines) == ("Wärme & Söhne", 50, None)
    assert found.maintenance_to == date(2027, 12, 31)
    shown = ran("inspect", "-", "--public", public.hex(), given=done.stdout)
    assert '"customer": "Wärme & Söhne"' in shown.output
    assert "signed by it" in shown.output
    strange = ran("inspect", "-", "--public", "00" * 31 + "02", given=done.stdout)
    assert (strange.exit_code, "does not know" in strange.output) == (1, True)


def test_a_list(key: tuple[Path, bytes]) -> None:
    file, public = key
    done = ran("revocations", "--key", str(file), "--number", "2", "lic_b", "lic_a")
    assert revocations(done.stdout, KeyRing([public])).licenses == ("lic_a", "lic_b")
    assert '"number": 2' in ran("inspect", "-", given=done.stdout).output


def test_what_goes_wrong_is_told_in_a_sentence(key: tuple[Path, bytes], tmp_path: Path) -> None:
    file, _ = key
    again = ran("key", str(file))
    assert (again.exit_code, "never written over" in again.output) == (1, True)
    wanted = ("license", "--key", str(file), "--customer", "A", "--edition", "Team")
    other = ran(*wanted, "--valid-to", "2027-01-01", env={"DASH_ISSUE_PASSPHRASE": "wrong"})
    assert (other.exit_code, "the passphrase is another one" in other.output) == (1, True)
    back = ran(*wanted, "--valid-from", "2027-02-01", "--valid-to", "2027-01-01")
    assert (back.exit_code, "valid_to is before valid_from" in back.output) == (1, True)
    code = ran(*wanted, "--valid-to", "2027-01-01", "--request", "000G-40R4-0M30-FMK8")
    assert (code.exit_code, "is wrong" in code.output) == (1, True)
    none = ran("inspect", "-", given="hello")
    assert (none.exit_code, "no licence in it" in none.output) == (1, True)
    bare = ran("key", str(tmp_path / "bare.pem"), env={"DASH_ISSUE_PASSPHRASE": ""}, given="\n\n")
    assert (bare.exit_code != 0, (tmp_path / "bare.pem").exists()) == (True, False)
