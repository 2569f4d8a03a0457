"""An appliance with history, made once a run: every test that breaks one gets a copy of it."""

import pytest

from tests.crash.faults import Subject


@pytest.fixture(scope="session")
def made_subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return Subject.made(tmp_path_factory.mktemp("made"))
