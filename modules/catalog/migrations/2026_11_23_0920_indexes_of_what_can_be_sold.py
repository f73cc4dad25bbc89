"""Indexes of what can be sold, of best sellers and of what is held, built while everybody works."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "e91b6d3f7c08"
down_revision: str | Sequence[str] | None = "a07c51f4e932"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_INDEXES = (
    ("ix_products_published_units_sold", "products", ["units_sold", "id"], "status = 'published'"),
    ("ix_reservations_held", "reservations", ["held_until"], "status = 'held'"),
    ("ix_stock_sold_out", "stock", ["product_id"], "sold_out"),
    ("ix_stock_to_sell", "stock", ["product_id"], "NOT sold_out"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, table, columns, condition in _INDEXES:
            # A build that was broken off leaves an invalid index, which would only cost.
            op.drop_index(name, table, schema="catalog", if_exists=True, postgresql_concurrently=True)
            op.create_index(
                name, table, columns, schema="catalog", postgresql_where=sa.text(condition), postgresql_concurrently=True
            )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name, table, _, _ in reversed(_INDEXES):
            op.drop_index(name, table, schema="catalog", if_exists=True, postgresql_concurrently=True)
