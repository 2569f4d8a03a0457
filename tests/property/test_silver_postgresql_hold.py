"""What holds of a row store whatever is done to it, on PostgreSQL: the same models, fewer histories."""

from itertools import count
from typing import ClassVar

import pytest
from hypothesis import settings

from appliance.components.silver import SilverStore
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from tests.property.test_silver_amended import Amended
from tests.property.test_silver_generations_hold import Generations, KeyedGenerations

_numbers = count(1)


class OnPostgres:
    """A history in a schema of its own."""

    connections: ClassVar[Connections]
    schema = ""

    def open(self) -> SilverStore:
        self.schema = self.schema or f"dash_history_{next(_numbers)}"
        return PostgresSilver(self.connections, self.schema)


@pytest.fixture(scope="module", autouse=True)
def _connected(silver_connections: Connections) -> None:
    OnPostgres.connections = silver_connections


class GenerationsOnPostgres(OnPostgres, Generations):
    pass


class KeyedGenerationsOnPostgres(OnPostgres, KeyedGenerations):
    pass


class AmendedOnPostgres(OnPostgres, Amended):
    pass


TestGenerationsOnPostgres = GenerationsOnPostgres.TestCase
TestGenerationsOnPostgres.settings = settings(max_examples=12, stateful_step_count=10, deadline=None)
TestKeyedGenerationsOnPostgres = KeyedGenerationsOnPostgres.TestCase
TestKeyedGenerationsOnPostgres.settings = settings(max_examples=12, stateful_step_count=10, deadline=None)
TestAmendedOnPostgres = AmendedOnPostgres.TestCase
TestAmendedOnPostgres.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
