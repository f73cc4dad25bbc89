"""What the revision before could not do without keeping the old code waiting: fill `sold_out`, validate constraints."""

from __future__ import annotations

from collections.abc import Sequence

from alembic import op

revision: str = "a07c51f4e932"
down_revision: str | Sequence[str] | None = "5be3d20c8a47"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_CONSTRAINTS = (
    ("stock", "reserved_in_range", "reserved BETWEEN 0 AND quantity"),
    ("reservations", "status", "status IN ('held', 'confirmed', 'released', 'returned', 'taken')"),
    ("reservations", "held_until_some_time", "status <> 'held' OR held_until IS NOT NULL"),
)


def upgrade() -> None:
    # The index of what is exhausted leads to the rows; those written since the trigger came are right already.
    op.execute("UPDATE catalog.stock SET sold_out = true WHERE NOT available AND NOT sold_out")
    for table, name, _ in _CONSTRAINTS:
        op.execute(f"ALTER TABLE catalog.{table} VALIDATE CONSTRAINT ck_{table}_{name}")


def downgrade() -> None:
    for table, name, condition in _CONSTRAINTS:
        op.execute(
            f"ALTER TABLE catalog.{table} DROP CONSTRAINT ck_{table}_{name},"
            f" ADD CONSTRAINT ck_{table}_{name} CHECK ({condition}) NOT VALID"
        )
