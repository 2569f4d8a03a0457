"""Which organisation operates the appliance: the first one, for there was no way to make another."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; ids sort by the time of making."""
    op.add_column("organisation", sa.Column("operates", sa.Boolean(), nullable=False, server_default=sa.false()))
    organisation = sa.table("organisation", sa.column("id", sa.String()), sa.column("operates", sa.Boolean()))
    first = op.get_bind().scalar(sa.select(sa.func.min(organisation.c.id)))
    if first is not None:
        op.execute(organisation.update().where(organisation.c.id == first).values(operates=True))
