"""Notes of versions, replays, drift, erasures, usage."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pipeline_version", sa.Column("note", sa.String(), nullable=True))
    _replays()
    _drift()
    _erasures()
    _usage()


def _replays() -> None:
    op.create_table(
        "replay",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation_id", sa.String(), nullable=False),
        sa.Column("pipeline_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name="fk_replay_organisation_id"),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipeline.id"], name="fk_replay_pipeline_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_replay"),
    )
    op.create_index("ix_replay_organisation_id", "replay", ["organisation_id"], unique=False)
    op.create_index("ix_replay_pipeline_id", "replay", ["pipeline_id"], unique=False)


def _drift() -> None:
    op.create_table(
        "drift",
        sa.Column("pipeline_id", sa.String(), nullable=False),
        sa.Column("baseline", sa.JSON(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pipeline_id"], ["pipeline.id"], name="fk_drift_pipeline_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("pipeline_id", name="pk_drift"),
    )


def _erasures() -> None:
    op.create_table(
        "erasure",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation_id", sa.String(), nullable=False),
        sa.Column("pipeline_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name="fk_erasure_organisation_id"),
        sa.PrimaryKeyConstraint("id", name="pk_erasure"),
    )
    op.create_index("ix_erasure_organisation_id", "erasure", ["organisation_id"], unique=False)


def _usage() -> None:
    op.create_table(
        "usage",
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("at", name="pk_usage"),
    )
