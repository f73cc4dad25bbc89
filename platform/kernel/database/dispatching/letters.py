"""Letters: what people look at and do when events were not delivered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from kernel.database.dispatching.statements import DELETE_OLD_EVENTS
from kernel.database.types import AnyRow
from kernel.database.unit_of_work import Database
from kernel.pure.clock import Clock

_BATCH: Final = 1_000
_COUNTED: Final = 1_000

_LIST: Final = text(
    """
    SELECT delivery.outbox_id, delivery.listener, delivery.aggregate, delivery.status, delivery.attempts,
           delivery.next_attempt_at, delivery.last_error, event.name, event.occurred_at
      FROM kernel.deliveries AS delivery JOIN kernel.outbox AS event ON event.id = delivery.outbox_id
     WHERE delivery.status = ANY(:statuses)
     ORDER BY delivery.outbox_id, delivery.listener LIMIT :limit
    """
)
_COUNTS: Final = text("SELECT status, count(*) FROM kernel.deliveries WHERE status <> 'delivered' GROUP BY status")
_DEAD: Final = text("SELECT count(*) FROM (SELECT FROM kernel.deliveries WHERE status = 'dead' LIMIT :limit) AS dead")
_EVENT: Final = text(
    "SELECT id, event_id, name, aggregate, payload, occurred_at, fanned_out_at FROM kernel.outbox WHERE id = :id"
)
_DELIVERIES: Final = text(
    "SELECT listener, status, attempts, next_attempt_at, last_error, delivered_at FROM kernel.deliveries"
    " WHERE outbox_id = :id ORDER BY listener"
)
# Only dead ones: a delivered one would have its effect twice, and the others are on their way.
_RESUBMIT: Final = text(
    """
    UPDATE kernel.deliveries SET status = 'pending', attempts = 0, next_attempt_at = :now
     WHERE status = 'dead'
       AND (CAST(:id AS bigint) IS NULL OR outbox_id = :id)
       AND (CAST(:listener AS text) IS NULL OR listener = :listener)
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFile:
    """One event with all its deliveries."""

    id: int
    event_id: UUID
    name: str
    aggregate: str
    payload: Any
    occurred_at: datetime
    fanned_out_at: datetime | None
    deliveries: Sequence[AnyRow]
    """listener, status, attempts, next_attempt_at, last_error, delivered_at"""


class Letters:
    """For `emporium events` and `/readyz`; `database` is the kernel's handle."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def undelivered(self, *, dead_only: bool, limit: int) -> Sequence[AnyRow]:
        """outbox_id, listener, aggregate, status, attempts, next_attempt_at, last_error, name, occurred_at; oldest first."""
        statuses = ["dead"] if dead_only else ["pending", "leased", "dead"]
        with self._database.read() as connection:
            return connection.execute(_LIST, {"statuses": statuses, "limit": limit}).all()

    def counts(self) -> dict[str, int]:
        """How many deliveries of each status there are, except the delivered."""
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(_COUNTS)}

    def show(self, outbox_id: int) -> EventFile | None:
        with self._database.read() as connection:
            event = connection.execute(_EVENT, {"id": outbox_id}).one_or_none()
            if event is None:
                return None
            deliveries = connection.execute(_DELIVERIES, {"id": outbox_id}).all()
        return EventFile(**event._mapping, deliveries=deliveries)

    def resubmit(self, *, outbox_id: int | None, listener: str | None) -> int:
        """Give dead letters (of one event, of one listener) all their attempts again; answers how many."""
        values = {"id": outbox_id, "listener": listener, "now": self._clock.now()}
        with self._database.transaction() as session:
            return session.connection().execute(_RESUBMIT, values).rowcount

    def purge(self, *, before: datetime, dead: bool) -> int:
        """Delete events that happened before then and whose deliveries are all done (or dead); answers how many."""
        done = ["delivered", "dead"] if dead else ["delivered"]
        purged, after = 0, 0
        while True:
            values = {"before": before, "done": done, "after": after, "portion": _BATCH}
            with self._database.transaction() as session:
                portion = session.connection().execute(DELETE_OLD_EVENTS, values).one()
            purged += int(portion.deleted)
            if not portion.any_old:
                return purged
            after = portion.last


def dead_letters(connection: Any) -> str | None:
    """How many there are, in words; None without any. One look into a small index."""
    count = connection.execute(_DEAD, {"limit": _COUNTED}).scalar_one()
    if not count:
        return None
    number = f"{count} or more" if count == _COUNTED else str(count)
    return f"{number} dead letter{'' if count == 1 else 's'} (`emporium events list --dead`)"
