"""The memory of a machine, and of control groups of both versions."""

from pathlib import Path

import pytest

from appliance.domain.memory import mapper_share, silver_share
from appliance.observe.machine import memory_bytes, raise_open_files

MIB = 1 << 20
GIB = 1 << 30


def group(root: Path, place: str, name: str, content: str) -> None:
    folder = root / "sys/fs/cgroup" / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)


def belongs(root: Path, line: str) -> None:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(line + "\n")


def test_without_a_group_it_is_the_machine(tmp_path: Path) -> None:
    assert memory_bytes(tmp_path) > 256 * MIB


def test_the_tightest_group_of_version_2_counts(tmp_path: Path) -> None:
    belongs(tmp_path, "0::/system.slice/dash.service")
    group(tmp_path, "system.slice/dash.service", "memory.max", "max\n")
    group(tmp_path, "system.slice", "memory.max", f"{128 * MIB}\n")
    assert memory_bytes(tmp_path) == 128 * MIB


def test_a_container_sees_its_own_group_at_the_root(tmp_path: Path) -> None:
    belongs(tmp_path, "0::/")
    group(tmp_path, "", "memory.max", f"{64 * MIB}\n")
    assert memory_bytes(tmp_path) == 64 * MIB


def test_version_1_says_it_under_another_name(tmp_path: Path) -> None:
    belongs(tmp_path, "3:cpu,cpuacct:/\n5:memory:/docker/abc")
    group(tmp_path, "memory", "memory.limit_in_bytes", f"{96 * MIB}\n")  # the group's own folder is not shown inside
    assert memory_bytes(tmp_path) == 96 * MIB


@pytest.mark.parametrize(
    ("machine", "organisations", "share"),
    [
        (256 * MIB, 1, 64 * MIB),  # an eighth were 32 MiB
        (2 * GIB, 1, 256 * MIB),
        (2 * GIB, 2, 128 * MIB),
        (64 * GIB, 1, 512 * MIB),
        (64 * GIB, 100, 85_899_345),  # 8 GiB / 100
        (2 * GIB, 0, 256 * MIB),
    ],
)
def test_an_organisation_gets_its_share(machine: int, organisations: int, share: int) -> None:
    assert silver_share(machine, organisations) == share


def test_mapping_gets_a_share_too() -> None:
    assert mapper_share(512 * MIB) == 128 * MIB
    assert mapper_share(2 * GIB) == 256 * MIB
    assert mapper_share(64 * GIB) == 512 * MIB


def test_as_many_files_as_allowed_may_be_open() -> None:
    assert raise_open_files() >= 256
    assert raise_open_files() == raise_open_files()
