"""Jobs that several nodes share, the nodes, their leases, and notices between them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _jobs()
    _needs()
    _nodes()
    _leases()
    _notices()


def _jobs() -> None:
    with op.batch_alter_table("job") as job:
        job.add_column(sa.Column("organisation_id", sa.String(), nullable=True))
        job.add_column(sa.Column("started_at", sa.DateTime(timezone=True), nullable=True))
        job.add_column(sa.Column("timeout_secs", sa.Double(), nullable=True))
        job.add_column(sa.Column("cancellable", sa.Boolean(), server_default=sa.true(), nullable=False))
        job.add_column(sa.Column("cancel_asked_at", sa.DateTime(timezone=True), nullable=True))
        job.add_column(sa.Column("done", sa.BigInteger(), nullable=True))
        job.add_column(sa.Column("total", sa.BigInteger(), nullable=True))
        job.add_column(sa.Column("said", sa.String(), nullable=True))
        job.create_foreign_key("fk_job_organisation_id", "organisation", ["organisation_id"], ["id"])
        job.create_index("ix_job_organisation_id", ["organisation_id"], unique=False)


def _needs() -> None:
    op.create_table(
        "job_need",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_job_need_job_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "capability", name="pk_job_need"),
    )
    op.create_index("ix_job_need_capability", "job_need", ["capability"], unique=False)


def _nodes() -> None:
    op.create_table(
        "node",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("life", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("offers", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("every_secs", sa.Double(), nullable=False),
        sa.Column("load", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_node"),
    )


def _leases() -> None:
    op.create_table(
        "lease",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("node_id", sa.String(), nullable=True),
        sa.Column("life", sa.String(), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_lease"),
    )
    op.create_index("ix_lease_life", "lease", ["life"], unique=False)


def _notices() -> None:
    op.create_table(
        "notice",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notice"),
    )
    op.create_index("ix_notice_at", "notice", ["at"], unique=False)
