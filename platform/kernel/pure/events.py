"""Events: facts that a module announces, declared in its `interface.py`, delivered after commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events: past tense, frozen, ids and values only.

    `name` is stable, `<module>.<ClassName>`. `aggregate` names the thing the fact is about (`"order:17"`); deliveries of one
    aggregate keep their order.
    """

    name: ClassVar[str]

    @property
    def aggregate(self) -> str:
        raise NotImplementedError


@runtime_checkable
class Events(Protocol):
    """Where services announce facts."""

    def publish(self, event: Event) -> None:
        """Write the event to the outbox in the running transaction; without one, RuntimeError.

        The event is delivered if, and only if, that transaction commits.
        """
        ...
