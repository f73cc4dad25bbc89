"""Listeners: who hears which event, and with what promise. A module builds its own in `listeners.py`.

def build_listeners(service: DatabaseCatalogService) -> Sequence[Listener]:
    return [DatabaseListener(name="catalog.count_units_sold", event=OrderPaid, handle=service.count_units_sold)]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar
from uuid import UUID

from kernel.pure.events import Event

E = TypeVar("E", bound=Event)

MAX_ATTEMPTS = 12
"""With the back-off between them a little more than an hour."""
LEASE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class DatabaseListener(Generic[E]):
    """Changes the database only: claim, effect and mark are one transaction, so the effect happens exactly once.

    `name` is `<module>.<what it does>` and stays: deliveries are stored under it. `handle` gets the event inside of a
    transaction, which the services that it calls join; it makes no outside calls.
    """

    name: str
    event: type[E]
    handle: Callable[[E], object]
    max_attempts: int = MAX_ATTEMPTS


@dataclass(frozen=True, kw_only=True)
class OutsideListener(Generic[E]):
    """Acts outside of the database (mail, webhook): at least once, with a message id that stays the same.

    `handle` gets the event and the message id, outside of any transaction; the receiver de-duplicates by that id. It must give
    up before `lease` ends: then the delivery is tried again, by whoever comes first.
    """

    name: str
    event: type[E]
    handle: Callable[[E, UUID], object]
    max_attempts: int = MAX_ATTEMPTS
    lease: timedelta = LEASE


Listener = DatabaseListener[E] | OutsideListener[E]
