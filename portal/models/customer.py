"""The merchant's customers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import BigId, Model, UtcDateTime, utcnow

ID_PREFIX = "cus_"


class Customer(Model):
    """One row is a person in one merchant's programme, known by at least one identifier."""

    __tablename__ = "customers"
    __table_args__ = (
        # The identifier comes first: were it the merchant, PostgreSQL might take any of the four to look for any identifier.
        UniqueConstraint("external_id", "merchant_id"),
        UniqueConstraint("email", "merchant_id"),
        UniqueConstraint("phone", "merchant_id"),
        UniqueConstraint("klaviyo_profile_id", "merchant_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    merchant_id: Mapped[int] = mapped_column(ForeignKey("merchants.id", ondelete="CASCADE"))
    # The shop's own id. Read and matched, never written to Klaviyo: it may belong to a shop connector there.
    external_id: Mapped[str | None] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(254))
    phone: Mapped[str | None] = mapped_column(String(20))
    klaviyo_profile_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)

    @property
    def public_id(self) -> str:
        return f"{ID_PREFIX}{self.id}"

    @property
    def label(self) -> str:
        """What a person calls this customer."""
        return self.email or self.phone or self.external_id or self.klaviyo_profile_id or self.public_id

    @property
    def reachable(self) -> bool:
        """Klaviyo can be told about this customer."""
        return bool(self.klaviyo_profile_id or self.email or self.phone)
