"""Check the old rows against the new constraints, while everybody goes on working."""

from __future__ import annotations

from collections.abc import Sequence

from alembic import op

revision: str = "b81f5d2c6e03"
down_revision: str | Sequence[str] | None = "a4c1e90b7d52"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

STATUS = "status IN ('pending', 'paid', 'shipped', 'delivered', 'cancelled', 'expired')"
REFUNDS = "refunded_amount >= 0 AND refunding_amount >= 0 AND refunded_amount + refunding_amount <= captured_amount"


def upgrade() -> None:
    op.execute("ALTER TABLE ordering.orders VALIDATE CONSTRAINT ck_orders_status")
    op.execute("ALTER TABLE ordering.orders VALIDATE CONSTRAINT ck_orders_refunds_within_capture")


def downgrade() -> None:
    for name, rule in (("ck_orders_refunds_within_capture", REFUNDS), ("ck_orders_status", STATUS)):
        op.execute(f"ALTER TABLE ordering.orders DROP CONSTRAINT {name}")
        op.execute(f"ALTER TABLE ordering.orders ADD CONSTRAINT {name} CHECK ({rule}) NOT VALID")
