"""The kernel's own tables, in the schema `kernel`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, SmallInteger, Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB

from kernel.database.types import identity_column, module_metadata

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
)

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
)

principals: Final = Table(
    "principals",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
)
