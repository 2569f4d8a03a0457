"""What holds of a row store whatever is done to it, on hypertables whose rows go into the columnstore at once."""

from itertools import count

import pytest
from hypothesis import settings

from appliance.components.silver import SilverStore
from appliance.storage.silver_postgres.connections import Connections
from tests.property.test_silver_amended import Amended
from tests.property.test_silver_generations_hold import Generations
from tests.timescale import Converting, needs_timescale

pytestmark = needs_timescale

_numbers = count(1)


class InColumns:
    """A history in a schema of its own."""

    connections: Connections
    schema = ""

    def open(self) -> SilverStore:
        self.schema = self.schema or f"dash_history_{next(_numbers)}"
        return Converting(self.connections, self.schema)


@pytest.fixture(scope="module", autouse=True)
def _connected(request: pytest.FixtureRequest) -> None:
    InColumns.connections = request.getfixturevalue("timescale_connections")


class GenerationsInColumns(InColumns, Generations):
    pass


class AmendedInColumns(InColumns, Amended):
    pass


TestGenerationsInColumns = GenerationsInColumns.TestCase
TestGenerationsInColumns.settings = settings(max_examples=12, stateful_step_count=10, deadline=None)
TestAmendedInColumns = AmendedInColumns.TestCase
TestAmendedInColumns.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
