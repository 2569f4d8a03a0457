"""The vault: sealed at rest, useless without its key."""

import stat
from pathlib import Path

import pytest

from appliance.errors import ConfigError, FatalError
from appliance.storage.control.vault import KEY_FILE, Vault


def test_what_is_sealed_comes_back(tmp_path: Path) -> None:
    sealed = Vault.open(tmp_path).seal("häuptling\n")
    assert "huptling" not in sealed
    assert Vault.open(tmp_path).unseal(sealed) == "häuptling\n"


def test_the_key_is_for_the_owner_alone(tmp_path: Path) -> None:
    Vault.open(tmp_path / "data")
    assert stat.S_IMODE((tmp_path / "data" / KEY_FILE).stat().st_mode) == 0o600
    assert [file.name for file in (tmp_path / "data").iterdir()] == [KEY_FILE]


def test_two_seals_of_the_same_text_differ(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path)
    assert vault.seal("x") != vault.seal("x")


def test_another_key_opens_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    sealed = Vault.open(tmp_path / "a").seal("x")
    with pytest.raises(FatalError, match="sealed with another key") as caught:
        Vault.open(tmp_path / "b").unseal(sealed)
    assert caught.value.hint == "put the original secret.key back into the data directory"


def test_a_file_that_is_no_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("not a key")
    with pytest.raises(ConfigError, match="does not hold a key"):
        Vault.open(tmp_path)
