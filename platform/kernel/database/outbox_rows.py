"""How events are written to the transactional outbox: rows kept by the unit of work, sent in one statement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Text, bindparam, text

OUTBOX_INSERT: Final = text(
    "INSERT INTO kernel.outbox (event_id, name, aggregate, payload, occurred_at)"
    " SELECT event_id, name, aggregate, payload, occurred_at FROM jsonb_to_recordset(CAST(:events AS jsonb))"
    " AS event (event_id uuid, name text, aggregate text, payload jsonb, occurred_at timestamptz)"
).bindparams(bindparam("events", type_=Text))


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """One event on its way to `kernel.outbox`; `event_id` is the message id that receivers de-duplicate by."""

    event_id: UUID
    name: str
    aggregate: str
    payload: dict[str, Any]
    occurred_at: datetime


def as_json(rows: Sequence[OutboxRow]) -> str:
    return json.dumps(
        [
            {
                "event_id": str(row.event_id),
                "name": row.name,
                "aggregate": row.aggregate,
                "payload": row.payload,
                "occurred_at": row.occurred_at.isoformat(),
            }
            for row in rows
        ]
    )
