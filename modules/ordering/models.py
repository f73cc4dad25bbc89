"""Ordering's tables: orders, their lines and history, attempts to pay, refunds, providers' messages, closed accounts."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from kernel.database.types import COLUMN_TYPES, CreatedAt, Id, Price, Total, declare, module_metadata

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
    expires_at: Mapped[datetime] = mapped_column(server_default=text("now() + interval '15 minutes'"))
    captured_amount: Mapped[Total] = mapped_column(server_default=text("0"))
    refunded_amount: Mapped[Total] = mapped_column(server_default=text("0"))
    # Held for refunds that the provider has not answered yet.
    refunding_amount: Mapped[Total] = mapped_column(server_default=text("0"))
    tracking_reference: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("number"),
        UniqueConstraint("stock_reference"),
        CheckConstraint("status IN ('pending', 'paid', 'shipped', 'delivered', 'cancelled', 'expired')", name="status"),
        CheckConstraint(
            "refunded_amount >= 0 AND refunding_amount >= 0 AND refunded_amount + refunding_amount <= captured_amount",
            name="refunds_within_capture",
        ),
        Index("ix_orders_pending_expires_at", "expires_at", postgresql_where=text("status = 'pending'")),
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


# An order's total is checked once per order, at COMMIT, when all its lines are there. SECURITY DEFINER: before PostgreSQL 18
# a deferred trigger runs as whichever role the transaction's last statement ran as.
declare(
    Base.metadata,
    """
    CREATE FUNCTION ordering.check_order_total() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
    DECLARE
      lines numeric;
    BEGIN
      SELECT sum(line.line_total) INTO lines FROM ordering.order_lines AS line WHERE line.order_id = NEW.id;
      IF lines IS DISTINCT FROM NEW.total THEN
        RAISE EXCEPTION 'order % has a total of %, its lines sum to %', NEW.id, NEW.total, lines
          USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_orders_total_is_sum_of_lines';
      END IF;
      RETURN NULL;
    END
    $$
    """,
    """
    CREATE CONSTRAINT TRIGGER ck_orders_total_is_sum_of_lines
    AFTER INSERT OR UPDATE OF total ON ordering.orders DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION ordering.check_order_total()
    """,
)


class OrderHistory(Base):
    """What happened to an order, one row each; never changed."""

    __tablename__ = "order_history"

    id: Mapped[Id]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey(Order.id, ondelete="CASCADE"))
    action: Mapped[str]
    status: Mapped[str]
    # customer, admin or system; who exactly is for the shop's own eyes.
    actor: Mapped[str]
    actor_id: Mapped[int | None]
    amount: Mapped[Total | None]
    note: Mapped[str | None]
    created_at: Mapped[CreatedAt]

    __table_args__ = (Index("ix_order_history_order_id_id", "order_id", "id"),)


class PaymentAttempt(Base):
    """An attempt to pay, committed before the provider hears of it; the provider knows it by `gateway_key`."""

    __tablename__ = "payments"

    id: Mapped[Id]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey(Order.id, ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(server_default=text("'started'"))
    provider: Mapped[str]
    method: Mapped[str]
    # What the provider gave the client to pay with; forgotten once the attempt is settled.
    token: Mapped[str | None]
    amount: Mapped[Total]
    currency: Mapped[str]
    gateway_key: Mapped[UUID] = mapped_column(Uuid)
    gateway_reference: Mapped[str | None]
    decline_code: Mapped[str | None]
    # When the reconciler looks after it, if nobody has settled it by then.
    next_check_at: Mapped[datetime]
    checks: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    created_at: Mapped[datetime]
    updated_at: Mapped[CreatedAt]

    __table_args__ = (
        UniqueConstraint("gateway_key"),
        CheckConstraint(
            "status IN ('started', 'authorised', 'captured', 'declined', 'reversing', 'reversed')",
            name="status",
        ),
        CheckConstraint("amount >= 0", name="amount_not_negative"),
        Index("ix_payments_order_id_id", "order_id", "id"),
        # One attempt at a time, and one capture for ever.
        Index(
            "uq_payments_order_id_live",
            "order_id",
            unique=True,
            postgresql_where=text("status IN ('started', 'authorised', 'captured')"),
        ),
        Index(
            "ix_payments_unsettled_next_check_at",
            "next_check_at",
            postgresql_where=text("status IN ('started', 'authorised', 'reversing')"),
        ),
    )


class RefundRow(Base):
    """A refund, committed with its amount held before the provider hears of it."""

    __tablename__ = "refunds"

    id: Mapped[Id]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey(Order.id, ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(server_default=text("'started'"))
    amount: Mapped[Total]
    currency: Mapped[str]
    reason: Mapped[str | None]
    actor_id: Mapped[int]
    gateway_key: Mapped[UUID] = mapped_column(Uuid)
    gateway_reference: Mapped[str | None]
    failure_code: Mapped[str | None]
    next_check_at: Mapped[datetime]
    checks: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    created_at: Mapped[datetime]
    updated_at: Mapped[CreatedAt]

    __table_args__ = (
        UniqueConstraint("gateway_key"),
        CheckConstraint("status IN ('started', 'succeeded', 'failed')", name="status"),
        CheckConstraint("amount > 0", name="amount_positive"),
        Index("ix_refunds_order_id_id", "order_id", "id"),
        Index("ix_refunds_unsettled_next_check_at", "next_check_at", postgresql_where=text("status = 'started'")),
    )


class RefundLineRow(Base):
    __tablename__ = "refund_lines"

    refund_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey(RefundRow.id, ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    product_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    quantity: Mapped[int] = mapped_column(Integer)
    restock: Mapped[bool]

    __table_args__ = (CheckConstraint("quantity >= 1", name="quantity_positive"),)


class PaymentMessage(Base):
    """A webhook of a payment provider that was taken in: one that comes again is not, for thirty days."""

    __tablename__ = "payment_messages"

    provider: Mapped[str] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[CreatedAt] = mapped_column(index=True)


class ClosedAccount(Base):
    """An account that was closed, until its pending orders are cancelled and its addresses erased."""

    __tablename__ = "closed_accounts"

    user_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    closed_at: Mapped[CreatedAt]
    next_look_at: Mapped[CreatedAt] = mapped_column(index=True)
