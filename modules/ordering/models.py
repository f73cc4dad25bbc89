"""Ordering's tables: orders and their lines, with price and name as sold."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Computed, ForeignKey, Index, Integer, Numeric, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from kernel.database.types import COLUMN_TYPES, CreatedAt, Id, Price, Total, module_metadata

# A fixed permutation of 0 … 10^10 - 1 (the multiplier shares no factor with 10), so that a number neither shows how many
# orders there are nor collides; the id itself makes it unique.
ORDER_NUMBER = "'EM-'::text || lpad(((id * 387420489 + 1220703125) % 10000000000)::text, 10, '0'::text)"


class Base(DeclarativeBase):
    metadata = module_metadata("ordering")
    type_annotation_map = COLUMN_TYPES


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[Id]
    number: Mapped[str] = mapped_column(Computed(ORDER_NUMBER, persisted=True))
    # The users' module owns the account; ids cross, foreign keys do not.
    user_id: Mapped[int]
    status: Mapped[str]
    total: Mapped[Total]
    currency: Mapped[str]
    stock_reference: Mapped[str]
    shipping_address: Mapped[dict[str, str | None] | None] = mapped_column(JSONB(none_as_null=True))
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]

    __table_args__ = (
        UniqueConstraint("number"),
        UniqueConstraint("stock_reference"),
        CheckConstraint("status IN ('pending', 'cancelled')", name="status"),
        CheckConstraint("total >= 0", name="total_not_negative"),
        Index("ix_orders_user_id_id", "user_id", "id"),
        Index("ix_orders_user_id_status_id", "user_id", "status", "id"),
        Index("ix_orders_status_id", "status", "id"),
    )


class OrderLine(Base):
    __tablename__ = "order_lines"

    order_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey(Order.id, ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    product_id: Mapped[int]
    sku: Mapped[str]
    name: Mapped[str]
    quantity: Mapped[int] = mapped_column(Integer)
    unit_price: Mapped[Price]
    line_total: Mapped[Total] = mapped_column(Numeric(18, 2), Computed("quantity * unit_price", persisted=True))

    __table_args__ = (
        CheckConstraint("quantity BETWEEN 1 AND 1000000", name="quantity_in_range"),
        CheckConstraint("unit_price >= 0", name="unit_price_not_negative"),
    )
