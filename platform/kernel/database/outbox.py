"""The transactional outbox: an event is stored if, and only if, the change that it tells of is."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import uuid4

from pydantic_core import to_jsonable_python

from kernel.database.outbox_rows import OutboxRow
from kernel.database.unit_of_work import Database
from kernel.pure.clock import Clock
from kernel.pure.events import Event, Events


class Outbox(Events):
    """Publishes into the running transaction; all events of one transaction are written in one statement."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def publish(self, event: Event) -> None:
        self._database.add_to_outbox(
            OutboxRow(
                event_id=uuid4(),
                name=event.name,
                aggregate=event.aggregate,
                payload=payload_of(event),
                occurred_at=self._clock.now(),
            )
        )


def payload_of(event: Event) -> dict[str, Any]:
    """The event as JSON values, which is how it is stored; `dispatching.decoding.decode` goes the other way."""
    payload: dict[str, Any] = to_jsonable_python(
        {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    )
    return payload
