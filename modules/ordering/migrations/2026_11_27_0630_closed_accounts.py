"""Closed accounts whose orders are still to be ended and forgotten."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "7b1d5e0c93f2"
down_revision: str | Sequence[str] | None = "dd83ef58b5c8"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "closed_accounts",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("next_look_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_closed_accounts")),
        schema="ordering",
    )
    op.create_index("ix_closed_accounts_next_look_at", "closed_accounts", ["next_look_at"], schema="ordering")


def downgrade() -> None:
    # Nobody comes back to accounts that are due: let the job catch up first (docs/ordering.md, "On call").
    op.drop_table("closed_accounts", schema="ordering")
