"""Drift of each partition, so that nodes do not write over one another's."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table anew: SQLite cannot give one another key. What was kept becomes the first node's."""
    before = sa.table(
        "drift", sa.column("pipeline_id"), sa.column("baseline", sa.JSON()), sa.column("findings", sa.JSON()),
        sa.column("updated_at", sa.DateTime(timezone=True)),
    )  # fmt: skip
    kept = [dict(row) for row in op.get_bind().execute(sa.select(before)).mappings()]
    op.drop_table("drift")
    after = op.create_table(
        "drift",
        sa.Column("pipeline_id", sa.String(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("baseline", sa.JSON(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("acknowledged", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipeline.id"], name="fk_drift_pipeline_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("pipeline_id", "partition", name="pk_drift"),
    )
    if kept:
        op.bulk_insert(after, [{**row, "partition": 0, "acknowledged": []} for row in kept])
