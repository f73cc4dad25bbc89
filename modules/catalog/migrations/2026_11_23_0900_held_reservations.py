"""Reservations that hold stock for a while, instead of taking it at once; units sold per product.

Expand: the code that takes at once goes on serving beside the code that holds. What it writes is told apart by the
status `taken`, and the flag `sold_out` is set by a trigger, because a generated column would rewrite the table.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "5be3d20c8a47"
down_revision: str | Sequence[str] | None = "c41f0a9d7b35"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Constraints of tables that have rows are validated in the next revision, without keeping anybody waiting.
_CONSTRAINTS = (
    ("stock", "reserved_in_range", "reserved BETWEEN 0 AND quantity"),
    ("reservations", "status", "status IN ('held', 'confirmed', 'released', 'returned', 'taken')"),
    ("reservations", "held_until_some_time", "status <> 'held' OR held_until IS NOT NULL"),
)

_FUNCTION = """
CREATE FUNCTION catalog.note_sold_out() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  NEW.sold_out := NEW.quantity <= NEW.reserved;
  RETURN NEW;
END
$$
"""
_TRIGGER = """
CREATE TRIGGER sold_out BEFORE INSERT OR UPDATE OF quantity, reserved ON catalog.stock
FOR EACH ROW EXECUTE FUNCTION catalog.note_sold_out()
"""


def upgrade() -> None:
    op.add_column("stock", sa.Column("reserved", sa.Integer(), server_default=sa.text("0"), nullable=False), schema="catalog")
    op.add_column(
        "stock", sa.Column("sold_out", sa.Boolean(), server_default=sa.text("false"), nullable=False), schema="catalog"
    )
    op.add_column(
        "reservations", sa.Column("status", sa.Text(), server_default=sa.text("'taken'"), nullable=False), schema="catalog"
    )
    op.add_column("reservations", sa.Column("held_until", sa.DateTime(timezone=True), nullable=True), schema="catalog")
    op.add_column(
        "reservations",
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        schema="catalog",
    )
    op.add_column(
        "products", sa.Column("units_sold", sa.BigInteger(), server_default=sa.text("0"), nullable=False), schema="catalog"
    )
    for table, name, condition in _CONSTRAINTS:
        op.execute(f"ALTER TABLE catalog.{table} ADD CONSTRAINT ck_{table}_{name} CHECK ({condition}) NOT VALID")
    op.execute(_FUNCTION)
    op.execute(_TRIGGER)
    op.create_table(
        "reservation_lines",
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_reservation_lines_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["reference"],
            ["catalog.reservations.reference"],
            name=op.f("fk_reservation_lines_reference_reservations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["product_id"], ["catalog.products.id"], name=op.f("fk_reservation_lines_product_id_products")),
        sa.PrimaryKeyConstraint("reference", "product_id", name=op.f("pk_reservation_lines")),
        schema="catalog",
    )
    op.create_index("ix_reservation_lines_product_id", "reservation_lines", ["product_id"], unique=False, schema="catalog")


def downgrade() -> None:
    op.drop_table("reservation_lines", schema="catalog")
    op.execute("DROP TRIGGER sold_out ON catalog.stock")
    op.execute("DROP FUNCTION catalog.note_sold_out()")
    for table, name, _ in reversed(_CONSTRAINTS):
        op.execute(f"ALTER TABLE catalog.{table} DROP CONSTRAINT ck_{table}_{name}")
    op.drop_column("products", "units_sold", schema="catalog")
    for column in ("created_at", "held_until", "status"):
        op.drop_column("reservations", column, schema="catalog")
    for column in ("sold_out", "reserved"):
        op.drop_column("stock", column, schema="catalog")
