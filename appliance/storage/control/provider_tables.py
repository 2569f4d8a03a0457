"""The tables of signing in on the word of a provider. ``plane`` imports them, so that they are always among all."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from appliance.storage.control.tables import Table


class ProviderRow(Table):
    """An OpenID provider by which people of the organisation sign in. ``document``: its secret is sealed."""

    __tablename__ = "sign_in_provider"
    __table_args__ = (UniqueConstraint("organisation_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"), index=True)
    name: Mapped[str]
    document: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class IdentityRow(Table):
    """Who a user is to an issuer. ``email``: as it was told when they came last; nobody is recognised by it."""

    __tablename__ = "sign_in_identity"
    __table_args__ = (UniqueConstraint("organisation_id", "issuer", "subject"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisation.id"), index=True)
    issuer: Mapped[str]
    subject: Mapped[str]
    user_id: Mapped[str] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    email: Mapped[str | None]
    created_at: Mapped[datetime]
    used_at: Mapped[datetime]
