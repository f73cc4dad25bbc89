"""The indexes by which old Idempotency-Keys are found; built beside those who write, so they are a revision of their own."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "c5b7d10e94a2"
down_revision: str | Sequence[str] | None = "a94c7e3f0d18"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

INDEXES = {"ix_idempotency_keys_answers": "status <> 202", "ix_idempotency_keys_attempts": "status = 202"}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, rows in INDEXES.items():
            # A build that was broken off leaves an invalid index behind.
            op.drop_index(name, "idempotency_keys", schema="kernel", postgresql_concurrently=True, if_exists=True)
            op.create_index(
                name,
                "idempotency_keys",
                ["created_at"],
                schema="kernel",
                postgresql_where=sa.text(rows),
                postgresql_concurrently=True,
            )


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, "idempotency_keys", schema="kernel")
