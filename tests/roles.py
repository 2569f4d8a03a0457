"""An ingestor and a web node on one PostgreSQL, each a process of its own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.running import RunningAppliance


class Pair(NamedTuple):
    ingestor: RunningAppliance
    web: RunningAppliance


@contextmanager
def ingestor_and_web(folder: Path, url: str, *, sample: bool = False) -> Iterator[Pair]:
    """Set one installation up from the command line, and give the two processes that serve it."""
    nodes = []
    for role in ("ingestor", "web"):
        (folder / role).mkdir()
        environment = {"DASH_DATABASE_URL": url, "DASH_SERVER_ROLE": role}
        nodes.append(RunningAppliance(folder / role, environment=environment))
    it = Pair(*nodes)
    it.ingestor.setup(sample=sample)
    it.web.data_dir.mkdir()
    shutil.copy(it.ingestor.data_dir / "secret.key", it.web.data_dir)
    it.web.token = it.ingestor.token
    for node in it:
        node.start()
    yield it
    for node in it:
        node.stop()
