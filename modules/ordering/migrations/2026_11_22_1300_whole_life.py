"""The whole life of an order: its states, expiry, history, attempts to pay and refunds. Old code goes on placing orders."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "a4c1e90b7d52"
down_revision: str | Sequence[str] | None = "5f92c3d8a410"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

MONEY = sa.Numeric(precision=18, scale=2)
NOW = sa.text("now()")


def _time(name: str, *, default: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=NOW if default else None, nullable=False)


def _order_id(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["order_id"], ["ordering.orders.id"], name=op.f(f"fk_{table}_order_id_orders"), ondelete="CASCADE"
    )


def upgrade() -> None:
    _extend_orders()
    _create_history()
    _create_payments()
    _create_refunds()


def _extend_orders() -> None:
    for column in (
        # What is pending already gets its time from now on.
        sa.Column(
            "expires_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now() + interval '15 minutes'"),
            nullable=False,
        ),
        sa.Column("captured_amount", MONEY, server_default=sa.text("0"), nullable=False),
        sa.Column("refunded_amount", MONEY, server_default=sa.text("0"), nullable=False),
        sa.Column("refunding_amount", MONEY, server_default=sa.text("0"), nullable=False),
        sa.Column("tracking_reference", sa.Text(), nullable=True),
    ):
        op.add_column("orders", column, schema="ordering")
    op.execute("ALTER TABLE ordering.orders DROP CONSTRAINT ck_orders_status")
    op.execute(
        "ALTER TABLE ordering.orders ADD CONSTRAINT ck_orders_status CHECK"
        " (status IN ('pending', 'paid', 'shipped', 'delivered', 'cancelled', 'expired')) NOT VALID"
    )
    op.execute(
        "ALTER TABLE ordering.orders ADD CONSTRAINT ck_orders_refunds_within_capture CHECK (refunded_amount >= 0"
        " AND refunding_amount >= 0 AND refunded_amount + refunding_amount <= captured_amount) NOT VALID"
    )


def _create_history() -> None:
    op.create_table(
        "order_history",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("amount", MONEY, nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        _time("created_at", default=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_history")),
        _order_id("order_history"),
        schema="ordering",
    )
    op.create_index("ix_order_history_order_id_id", "order_history", ["order_id", "id"], schema="ordering")


def _create_payments() -> None:
    op.create_table(
        "payments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'started'"), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=True),
        sa.Column("amount", MONEY, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("gateway_key", sa.Uuid(), nullable=False),
        sa.Column("gateway_reference", sa.Text(), nullable=True),
        sa.Column("decline_code", sa.Text(), nullable=True),
        _time("next_check_at"),
        sa.Column("checks", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _time("created_at"),
        _time("updated_at", default=True),
        sa.CheckConstraint(
            "status IN ('started', 'authorised', 'captured', 'declined', 'reversing', 'reversed')",
            name=op.f("ck_payments_status"),
        ),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_payments_amount_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint("gateway_key", name=op.f("uq_payments_gateway_key")),
        _order_id("payments"),
        schema="ordering",
    )
    op.create_index("ix_payments_order_id_id", "payments", ["order_id", "id"], schema="ordering")
    op.create_index(
        "uq_payments_order_id_live",
        "payments",
        ["order_id"],
        unique=True,
        schema="ordering",
        postgresql_where=sa.text("status IN ('started', 'authorised', 'captured')"),
    )
    op.create_index(
        "ix_payments_unsettled_next_check_at",
        "payments",
        ["next_check_at"],
        schema="ordering",
        postgresql_where=sa.text("status IN ('started', 'authorised', 'reversing')"),
    )
    op.create_table(
        "payment_messages",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        _time("created_at", default=True),
        sa.PrimaryKeyConstraint("provider", "event_id", name=op.f("pk_payment_messages")),
        schema="ordering",
    )


def _create_refunds() -> None:
    op.create_table(
        "refunds",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'started'"), nullable=False),
        sa.Column("amount", MONEY, nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("actor_id", sa.BigInteger(), nullable=False),
        sa.Column("gateway_key", sa.Uuid(), nullable=False),
        sa.Column("gateway_reference", sa.Text(), nullable=True),
        sa.Column("failure_code", sa.Text(), nullable=True),
        _time("next_check_at"),
        sa.Column("checks", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _time("created_at"),
        _time("updated_at", default=True),
        sa.CheckConstraint("status IN ('started', 'succeeded', 'failed')", name=op.f("ck_refunds_status")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_refunds_amount_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refunds")),
        sa.UniqueConstraint("gateway_key", name=op.f("uq_refunds_gateway_key")),
        _order_id("refunds"),
        schema="ordering",
    )
    op.create_index("ix_refunds_order_id_id", "refunds", ["order_id", "id"], schema="ordering")
    op.create_index(
        "ix_refunds_unsettled_next_check_at",
        "refunds",
        ["next_check_at"],
        schema="ordering",
        postgresql_where=sa.text("status = 'started'"),
    )
    op.create_table(
        "refund_lines",
        sa.Column("refund_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("product_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("restock", sa.Boolean(), nullable=False),
        sa.CheckConstraint("quantity >= 1", name=op.f("ck_refund_lines_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["refund_id"], ["ordering.refunds.id"], name=op.f("fk_refund_lines_refund_id_refunds"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("refund_id", "product_id", name=op.f("pk_refund_lines")),
        schema="ordering",
    )


def downgrade() -> None:
    for table in ("refund_lines", "refunds", "payment_messages", "payments", "order_history"):
        op.drop_table(table, schema="ordering")
    op.execute("ALTER TABLE ordering.orders DROP CONSTRAINT ck_orders_refunds_within_capture")
    op.execute("ALTER TABLE ordering.orders DROP CONSTRAINT ck_orders_status")
    # The old code knows two states; of what was paid it must not think that it may still be cancelled.
    op.execute("UPDATE ordering.orders SET status = 'cancelled' WHERE status NOT IN ('pending', 'cancelled')")
    op.execute("ALTER TABLE ordering.orders ADD CONSTRAINT ck_orders_status CHECK (status IN ('pending', 'cancelled'))")
    for column in ("tracking_reference", "refunding_amount", "refunded_amount", "captured_amount", "expires_at"):
        op.drop_column("orders", column, schema="ordering")
