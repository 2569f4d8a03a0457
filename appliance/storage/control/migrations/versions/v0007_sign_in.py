"""Providers by which people sign in, who somebody is to one, and by which one a session came."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("session", sa.Column("provider_id", sa.String(), nullable=True))
    op.add_column("session", sa.Column("id_token", sa.String(), nullable=True))
    op.create_table(
        "sign_in_provider",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name="fk_sign_in_provider_organisation_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sign_in_provider"),
        sa.UniqueConstraint("organisation_id", "name", name="uq_sign_in_provider_organisation_id_name"),
    )  # fmt: skip
    op.create_index("ix_sign_in_provider_organisation_id", "sign_in_provider", ["organisation_id"])
    op.create_table(
        "sign_in_identity",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("organisation_id", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("used_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name="fk_sign_in_identity_organisation_id"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name="fk_sign_in_identity_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sign_in_identity"),
        sa.UniqueConstraint(
            "organisation_id", "issuer", "subject", name="uq_sign_in_identity_organisation_id_issuer_subject"
        ),
    )  # fmt: skip
    op.create_index("ix_sign_in_identity_organisation_id", "sign_in_identity", ["organisation_id"])
    op.create_index("ix_sign_in_identity_user_id", "sign_in_identity", ["user_id"])
