"""Scenarios: stimulate the shop, await what must follow, verify it.

    def test_a_paid_order_counts_as_sold(scenario: Scenario, shop: Shop) -> None:
        story = scenario.stimulate(lambda: pay(order))
        paid = story.await_event(OrderPaid, lambda event: event.order_id == order["id"])
        assert story.await_state(lambda: units_sold(lamp), 2) == 2

dispatcher  the application's, which delivers only when told to: `dispatcher.run_until_idle()`
scenario    on it: what follows is made to happen, not waited for, so a story that does not come true fails at once
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pytest
from tests.shop_fixtures import Shop

from kernel.database.dispatching.decoding import decode
from kernel.database.dispatching.dispatcher import Dispatcher
from kernel.pure.events import Event

T = TypeVar("T")
S = TypeVar("S")
E = TypeVar("E", bound=Event)
Query = Callable[..., list[tuple[Any, ...]]]

_TICK_SECONDS = 0.05


class Scenario:
    """`query` looks into the database past the wall. Without a dispatcher, another process's is waited for so long."""

    def __init__(self, query: Query, dispatcher: Dispatcher | None = None, *, seconds: float = 10) -> None:
        self.query = query
        self.dispatcher = dispatcher
        self.seconds = 0.0 if dispatcher else seconds

    def stimulate(self, act: Callable[[], T]) -> Story[T]:
        """Do it, and remember where its events begin."""
        ((last,),) = self.query("SELECT coalesce(max(id), 0) FROM kernel.outbox")
        return Story(scenario=self, result=act(), after=last)


@dataclass(frozen=True)
class Story(Generic[T]):
    """What follows from a stimulus, whose answer is `result`."""

    scenario: Scenario
    result: T
    after: int

    def await_event(self, kind: type[E], where: Callable[[E], bool] = lambda _: True) -> E:
        """The first event of this kind since the stimulus that fits."""

        def found() -> list[E]:
            return [event for event in self.events(kind) if where(event)]

        return self._until(found, bool, f"there is no {kind.name} that fits")[0]

    def await_state(self, read: Callable[[], S], expected: S | Callable[[S], bool]) -> S:
        """What `read` answers once it is `expected`, or once that says yes to it."""
        holds = expected if callable(expected) else expected.__eq__
        return self._until(read, holds, "the state is not the expected one")

    def await_deliveries(self) -> None:
        """Until every event since the stimulus was delivered to all its listeners."""
        sql = (
            "SELECT event.id FROM kernel.outbox AS event LEFT JOIN kernel.deliveries AS delivery ON outbox_id = event.id"
            " WHERE event.id > :after AND (fanned_out_at IS NULL OR status <> 'delivered')"
        )
        self._until(lambda: self.scenario.query(sql, after=self.after), lambda open_: not open_, "not all is delivered")

    def events(self, kind: type[E]) -> list[E]:
        """Those of this kind since the stimulus, in their order."""
        rows = self.scenario.query(
            "SELECT name, payload FROM kernel.outbox WHERE id > :after AND name = :name ORDER BY id",
            after=self.after,
            name=kind.name,
        )
        return [decode(kind, name, payload) for name, payload in rows]

    def _until(self, read: Callable[[], S], holds: Callable[[S], bool], failure: str) -> S:
        deadline = time.monotonic() + self.scenario.seconds
        while True:
            if self.scenario.dispatcher is not None:
                self.scenario.dispatcher.run_until_idle()
            found = read()
            if holds(found):
                return found
            if time.monotonic() >= deadline:
                raise AssertionError(f"{failure}: {found!r}. {self._told()}")
            time.sleep(_TICK_SECONDS)

    def _told(self) -> str:
        rows = self.scenario.query(
            "SELECT name, outbox.aggregate, listener, status, last_error FROM kernel.outbox LEFT JOIN kernel.deliveries"
            " ON outbox_id = id WHERE id > :after ORDER BY id, listener",
            after=self.after,
        )
        happened = [" ".join(str(cell) for cell in row if cell is not None) for row in rows]
        return f"Since the stimulus: {'; '.join(happened) or 'no event'}."


@pytest.fixture
def dispatcher(shop: Shop) -> Dispatcher:
    found: Dispatcher = shop.app.state.parts.dispatcher
    return found


@pytest.fixture
def scenario(shop: Shop, dispatcher: Dispatcher) -> Scenario:
    return Scenario(shop.query, dispatcher)
