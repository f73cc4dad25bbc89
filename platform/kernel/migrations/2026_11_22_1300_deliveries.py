"""Deliveries of events to listeners, and the periodic jobs' timetable."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "8d20e5b1c6f4"
down_revision: str | Sequence[str] | None = "3c1f6a0b7d52"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("outbox", sa.Column("fanned_out_at", sa.DateTime(timezone=True), nullable=True), schema="kernel")
    op.create_table(
        "deliveries",
        sa.Column("outbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("listener", sa.Text(), nullable=False),
        sa.Column("aggregate", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('pending', 'leased', 'delivered', 'dead')", name=op.f("ck_deliveries_status")),
        sa.ForeignKeyConstraint(
            ["outbox_id"], ["kernel.outbox.id"], name=op.f("fk_deliveries_outbox_id_outbox"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("outbox_id", "listener", name="pk_deliveries"),
        schema="kernel",
    )
    unfinished = sa.text("status IN ('pending', 'leased')")
    op.create_index(
        "ix_deliveries_unfinished", "deliveries", ["listener", "outbox_id"], schema="kernel", postgresql_where=unfinished
    )
    op.create_index(
        "ix_deliveries_holding",
        "deliveries",
        ["aggregate", "listener", "outbox_id"],
        schema="kernel",
        postgresql_where=unfinished,
    )
    op.create_index(
        "ix_deliveries_dead", "deliveries", ["outbox_id"], schema="kernel", postgresql_where=sa.text("status = 'dead'")
    )
    op.create_table(
        "jobs",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_jobs"),
        schema="kernel",
    )


def downgrade() -> None:
    op.drop_table("jobs", schema="kernel")
    op.drop_table("deliveries", schema="kernel")
    op.drop_column("outbox", "fanned_out_at", schema="kernel")
