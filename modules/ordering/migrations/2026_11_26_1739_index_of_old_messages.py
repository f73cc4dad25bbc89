"""The index of messages by age, built while everybody works."""

from __future__ import annotations

from collections.abc import Sequence

from alembic import op

revision: str = "dd83ef58b5c8"
down_revision: str | Sequence[str] | None = "c6d20f9a7e14"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

INDEX = "ix_payment_messages_created_at"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # A build that was broken off leaves an invalid index, which would only cost.
        op.drop_index(INDEX, "payment_messages", schema="ordering", if_exists=True, postgresql_concurrently=True)
        op.create_index(INDEX, "payment_messages", ["created_at"], schema="ordering", postgresql_concurrently=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(INDEX, "payment_messages", schema="ordering", if_exists=True, postgresql_concurrently=True)
