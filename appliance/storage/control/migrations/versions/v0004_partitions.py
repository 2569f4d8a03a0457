"""Partitions of events, each given once to one node, and what each has received of each pipeline."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Whoever kept events before there were partitions has numbered them as partition 0 does.
_FIRST = """
INSERT INTO partition (number, node_id, given_at)
SELECT 0, id, started_at FROM node ORDER BY started_at, id LIMIT 1
"""


def upgrade() -> None:
    op.create_table(
        "partition",
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("node_id", sa.String(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_partition"),
        sa.UniqueConstraint("node_id", name="uq_partition_node_id"),
    )
    op.create_table(
        "received",
        sa.Column("pipeline_id", sa.String(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("pipeline_id", "partition", name="pk_received"),
    )
    op.execute(_FIRST)
