"""Orders and their lines; the total is checked against the lines at COMMIT."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "5f92c3d8a410"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = ("ordering",)
depends_on: str | Sequence[str] | None = None


# Once per order, at COMMIT, when all its lines are there. SECURITY DEFINER: before PostgreSQL 18 a deferred trigger runs as
# whichever role the transaction's last statement ran as.
CHECK_TOTAL = """
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
"""
CHECK_TOTAL_TRIGGER = """
CREATE CONSTRAINT TRIGGER ck_orders_total_is_sum_of_lines
AFTER INSERT OR UPDATE OF total ON ordering.orders DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION ordering.check_order_total()
"""


def upgrade() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "number",
            sa.Text(),
            sa.Computed(
                "'EM-'::text || lpad(((id * 387420489 + 1220703125) % 10000000000)::text, 10, '0'::text)", persisted=True
            ),
            nullable=False,
        ),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("total", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("stock_reference", sa.Text(), nullable=False),
        sa.Column("shipping_address", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("status IN ('pending', 'cancelled')", name=op.f("ck_orders_status")),
        sa.CheckConstraint("total >= 0", name=op.f("ck_orders_total_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("number", name=op.f("uq_orders_number")),
        sa.UniqueConstraint("stock_reference", name=op.f("uq_orders_stock_reference")),
        schema="ordering",
    )
    op.create_index("ix_orders_status_id", "orders", ["status", "id"], unique=False, schema="ordering")
    op.create_index("ix_orders_user_id_id", "orders", ["user_id", "id"], unique=False, schema="ordering")
    op.create_index("ix_orders_user_id_status_id", "orders", ["user_id", "status", "id"], unique=False, schema="ordering")
    op.create_table(
        "order_lines",
        sa.Column("order_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price", sa.Numeric(precision=10, scale=2), nullable=False),
        sa.Column(
            "line_total",
            sa.Numeric(precision=18, scale=2),
            sa.Computed("quantity * unit_price", persisted=True),
            nullable=False,
        ),
        sa.CheckConstraint("quantity BETWEEN 1 AND 1000000", name=op.f("ck_order_lines_quantity_in_range")),
        sa.CheckConstraint("unit_price >= 0", name=op.f("ck_order_lines_unit_price_not_negative")),
        sa.ForeignKeyConstraint(
            ["order_id"], ["ordering.orders.id"], name=op.f("fk_order_lines_order_id_orders"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("order_id", "position", name=op.f("pk_order_lines")),
        schema="ordering",
    )
    op.execute(CHECK_TOTAL)
    op.execute(CHECK_TOTAL_TRIGGER)


def downgrade() -> None:
    op.drop_table("order_lines", schema="ordering")
    op.drop_table("orders", schema="ordering")
    op.execute("DROP FUNCTION ordering.check_order_total()")
