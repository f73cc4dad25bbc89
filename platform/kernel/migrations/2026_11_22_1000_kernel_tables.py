"""Kernel tables: outbox, idempotency keys, principals, and the check of a principal's epoch."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "3c1f6a0b7d52"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = ("kernel",)
depends_on: str | Sequence[str] | None = None

# Sent in front of the first statement of every authenticated request, so it reads one row by primary key and nothing else.
# The message holds no data: it may end up in an answer.
REQUIRE_PRINCIPAL = """
CREATE FUNCTION kernel.require_principal(user_id bigint, epoch bigint) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM FROM kernel.principals AS known
    WHERE known.user_id = require_principal.user_id AND known.epoch = require_principal.epoch;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the principal is not valid any more' USING ERRCODE = '28000';
  END IF;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("aggregate", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("event_id", name="uq_outbox_event_id"),
        schema="kernel",
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("owner_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", postgresql.JSONB(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "operation", "key", name="pk_idempotency_keys"),
        schema="kernel",
    )
    op.create_table(
        "principals",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_principals"),
        schema="kernel",
    )
    op.execute(REQUIRE_PRINCIPAL)


def downgrade() -> None:
    op.execute("DROP FUNCTION kernel.require_principal(bigint, bigint)")
    op.drop_table("principals", schema="kernel")
    op.drop_table("idempotency_keys", schema="kernel")
    op.drop_table("outbox", schema="kernel")
