"""How much of a machine's memory DuckDB gets: pure shares."""

from typing import Final

MIB: Final = 1 << 20
SILVER_PART: Final = 8  # one in so many bytes of the machine, over all organisations
LEAST_SILVER: Final = 64 * MIB
MOST_SILVER: Final = 512 * MIB  # for one organisation: what charts and retention need; larger ones are set by hand
MAPPER_PART: Final = 8
LEAST_MAPPER: Final = 128 * MIB
MOST_MAPPER: Final = 512 * MIB


def silver_share(machine: int, organisations: int) -> int:
    """Return the bytes that one organisation's store may use on a machine with ``machine`` bytes."""
    return min(MOST_SILVER, max(LEAST_SILVER, machine // SILVER_PART // max(1, organisations)))


def mapper_share(machine: int) -> int:
    """Return the bytes that mapping may use, all pipelines together."""
    return min(MOST_MAPPER, max(LEAST_MAPPER, machine // MAPPER_PART))
