"""A payment provider that does not answer: who pays has to wait, and not for ever; everybody else is served."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.ordering.conftest import Till

WAITING = 4
"""Half of the threads of the tests' shop."""


class Provider:
    """Keeps those who ask it waiting until it is told to answer."""

    def __init__(self, authorise: Any) -> None:
        self._authorise = authorise
        self._answers = threading.Event()
        self._asked = threading.Semaphore(0)

    def __call__(self, **charge: Any) -> Any:
        self._asked.release()
        assert self._answers.wait(30)
        return self._authorise(**charge)

    def await_asked(self, times: int) -> None:
        assert all(self._asked.acquire(timeout=10) for _ in range(times))

    def is_asked_more(self) -> bool:
        return self._asked.acquire(blocking=False)

    def answer(self) -> None:
        self._answers.set()


@pytest.fixture
def provider(till: Till, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    provider = Provider(till.sandbox.authorise)
    monkeypatch.setattr(till.sandbox, "authorise", provider)
    yield provider
    provider.answer()


def test_half_of_the_threads_at_most_wait_for_it(till: Till, provider: Provider) -> None:
    buyer = till.shop.person()
    orders = [till.order(buyer) for _ in range(WAITING + 3)]
    paying = [threading.Thread(target=till.pay, args=(buyer, order)) for order in orders]
    for thread in paying:
        thread.start()
    provider.await_asked(WAITING)
    time.sleep(0.5)
    reading = threading.Thread(target=till.read, args=(buyer, orders[0]), daemon=True)
    reading.start()
    reading.join(2)
    assert not reading.is_alive(), "Reading an order waits for the provider."
    assert not provider.is_asked_more()
    provider.answer()
    for thread in paying:
        thread.join(30)
    assert {till.read(buyer, order)["status"] for order in orders} == {"paid"}


def test_who_finds_no_place_in_time_hears_so_and_has_begun_nothing(
    till: Till, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ordering.router.gate.WAIT_SECONDS", 0.1)
    buyer = till.shop.person()
    *orders, last = [till.order(buyer) for _ in range(WAITING + 1)]
    paying = [threading.Thread(target=till.pay, args=(buyer, order)) for order in orders]
    for thread in paying:
        thread.start()
    provider.await_asked(WAITING)
    refused = till.pay(buyer, last, key="k")
    assert (refused.status_code, refused.json()["code"]) == (503, "payments-unavailable")
    assert refused.headers["retry-after"] == "2"
    assert till.listed(buyer, last, "/payments") == []
    provider.answer()
    for thread in paying:
        thread.join(30)
    assert till.pay(buyer, last, key="k").status_code == 201
