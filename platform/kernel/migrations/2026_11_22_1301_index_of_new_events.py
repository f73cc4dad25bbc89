"""The index of events that wait to be fanned out; built beside those who write, so it is a revision of its own."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "a94c7e3f0d18"
down_revision: str | Sequence[str] | None = "8d20e5b1c6f4"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # A build that was broken off leaves an invalid index behind.
        op.drop_index("ix_outbox_new", "outbox", schema="kernel", postgresql_concurrently=True, if_exists=True)
        op.create_index(
            "ix_outbox_new",
            "outbox",
            ["id"],
            schema="kernel",
            postgresql_where=sa.text("fanned_out_at IS NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_index("ix_outbox_new", "outbox", schema="kernel")
