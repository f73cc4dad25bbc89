"""The kernel's own tables, in the schema `kernel`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from kernel.database.types import declare, identity_column, module_metadata

SCHEMA: Final = "kernel"

metadata: Final = module_metadata(SCHEMA)

outbox: Final = Table(
    "outbox",
    metadata,
    identity_column(),
    Column("event_id", Uuid, nullable=False, unique=True, server_default=func.gen_random_uuid()),
    Column("name", Text, nullable=False),
    Column("aggregate", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # When its deliveries were written, one per listener.
    Column("fanned_out_at", DateTime(timezone=True)),
    Index("ix_outbox_new", "id", postgresql_where=text("fanned_out_at IS NULL")),
)

_UNFINISHED: Final = text("status IN ('pending', 'leased')")

deliveries: Final = Table(
    "deliveries",
    metadata,
    Column("outbox_id", BigInteger, ForeignKey(outbox.c.id, ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("listener", Text, primary_key=True),
    Column("aggregate", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    # Of a leased one: when its lease ends.
    Column("next_attempt_at", DateTime(timezone=True), nullable=False),
    Column("last_error", Text),
    Column("delivered_at", DateTime(timezone=True)),
    CheckConstraint("status IN ('pending', 'leased', 'delivered', 'dead')", name="status"),
    Index("ix_deliveries_unfinished", "listener", "outbox_id", postgresql_where=_UNFINISHED),
    Index("ix_deliveries_holding", "aggregate", "listener", "outbox_id", postgresql_where=_UNFINISHED),
    Index("ix_deliveries_dead", "outbox_id", postgresql_where=text("status = 'dead'")),
)

jobs: Final = Table(
    "jobs",
    metadata,
    Column("name", Text, primary_key=True),
    # While it runs: when another process may start it, should this one have been killed.
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
)

ATTEMPT_STATUS: Final = 202
"""The stored status of a key that stands for an attempt, which goes on after its commit: its body is the attempt's id."""

idempotency_keys: Final = Table(
    "idempotency_keys",
    metadata,
    Column("owner_id", BigInteger, primary_key=True, autoincrement=False),
    Column("operation", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # A row is in one of them: keys of attempts are kept for longer, and would stand before the others in one index of both.
    Index("ix_idempotency_keys_answers", "created_at", postgresql_where=text(f"status <> {ATTEMPT_STATUS}")),
    Index("ix_idempotency_keys_attempts", "created_at", postgresql_where=text(f"status = {ATTEMPT_STATUS}")),
)

principals: Final = Table(
    "principals",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
)

declare(
    metadata,
    # Sent in front of the first statement of every authenticated request. The message holds no data: it may end up in an
    # answer.
    """
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
    """,
)
