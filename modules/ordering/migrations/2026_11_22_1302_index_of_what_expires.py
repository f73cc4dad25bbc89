"""The index of orders that expire, built while everybody works."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "c6d20f9a7e14"
down_revision: str | Sequence[str] | None = "b81f5d2c6e03"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # A build that was broken off leaves an invalid index, which would only cost.
        op.drop_index("ix_orders_pending_expires_at", "orders", schema="ordering", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_orders_pending_expires_at",
            "orders",
            ["expires_at"],
            schema="ordering",
            postgresql_where=sa.text("status = 'pending'"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_orders_pending_expires_at", "orders", schema="ordering", if_exists=True, postgresql_concurrently=True)
