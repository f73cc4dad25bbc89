"""Two throw-away listeners and a dispatcher on a clock that stands still, for the tests of dispatching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import Engine, text

from kernel.database.dispatching.dispatcher import Dispatcher
from kernel.database.engines import Engines
from kernel.database.outbox import Outbox
from kernel.pure.clock import FixedClock
from kernel.pure.events import Event
from kernel.pure.listeners import DatabaseListener, Listener, OutsideListener

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
EFFECT = text(
    "INSERT INTO kernel.principals (user_id, epoch) VALUES (:id, 1)"
    " ON CONFLICT (user_id) DO UPDATE SET epoch = principals.epoch + 1"
)


@dataclass(frozen=True, kw_only=True)
class ThingHappened(Event):
    name: ClassVar[str] = "tests.ThingHappened"
    thing_id: int
    about: str = "thing"

    @property
    def aggregate(self) -> str:
        return self.about


@dataclass
class Bench:
    """A publisher, listeners and a dispatcher. The effect of the database listener: it counts, per thing."""

    engines: Engines
    superuser: Engine
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOW))
    jitter: float = 0.5
    sent: list[tuple[int, UUID]] = field(default_factory=list)
    fail: Callable[[ThingHappened], None] = lambda _: None

    def __post_init__(self) -> None:
        self.kernel = self.engines.database("kernel")
        self.database = self.engines.database("catalog")
        self.inside = DatabaseListener(name="tests.count", event=ThingHappened, handle=self.count)
        self.outside = OutsideListener(name="tests.send", event=ThingHappened, handle=self.send)

    def count(self, event: ThingHappened) -> None:
        with self.kernel.transaction() as session:
            session.execute(EFFECT, {"id": event.thing_id})
        self.fail(event)

    def send(self, event: ThingHappened, message_id: UUID) -> None:
        self.sent.append((event.thing_id, message_id))
        self.fail(event)

    def dispatcher(self, *listeners: Listener[Any], **more: Any) -> Dispatcher:
        return Dispatcher(self.kernel, self.clock, listeners, jitter=lambda: self.jitter, **more)

    def publish(self, *ids: int, about: str = "thing") -> None:
        outbox = Outbox(self.database, self.clock)
        with self.database.transaction():
            for thing_id in ids:
                outbox.publish(ThingHappened(thing_id=thing_id, about=about))

    def advance(self, **by: float) -> None:
        self.clock.advance(timedelta(**by))

    def query(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.superuser.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), values)]

    def execute(self, sql: str, **values: Any) -> None:
        with self.superuser.connect() as connection:
            connection.execute(text(sql), values)

    @property
    def effects(self) -> dict[int, int]:
        return {row[0]: row[1] for row in self.query("SELECT user_id, epoch FROM kernel.principals ORDER BY 1")}

    def statuses(self) -> list[tuple[Any, ...]]:
        return self.query("SELECT outbox_id, status, attempts FROM kernel.deliveries ORDER BY outbox_id, listener")
