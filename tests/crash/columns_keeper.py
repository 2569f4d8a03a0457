"""A process to be killed: puts the old rows of one pipeline into columns.

columns_keeper.py DSN SCHEMA
"""

import sys

from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from tests.silver_batches import PLAIN
from tests.timescale import LONG_AFTER

PostgresSilver(Connections(sys.argv[1], size=2), sys.argv[2]).upkeep.arrange(PLAIN, LONG_AFTER)
