"""A payment provider that does not answer: who pays has to wait, everybody else is served."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from tests.ordering.conftest import Till

THREADS = 8
"""As the shop of the tests has."""


def test_half_of_the_threads_at_most_wait_for_the_provider(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    buyer = till.shop.person()
    orders = [till.order(buyer) for _ in range(2 * THREADS)]
    answers, asked = threading.Event(), threading.Semaphore(0)
    authorise = till.sandbox.authorise

    def slowly(**charge: Any) -> Any:
        asked.release()
        assert answers.wait(30)
        return authorise(**charge)

    monkeypatch.setattr(till.sandbox, "authorise", slowly)
    paying = [threading.Thread(target=till.pay, args=(buyer, order)) for order in orders]
    for thread in paying:
        thread.start()
    try:
        assert all(asked.acquire(timeout=10) for _ in range(THREADS // 2))
        time.sleep(0.5)
        reading = threading.Thread(target=till.read, args=(buyer, orders[0]), daemon=True)
        reading.start()
        reading.join(5)
        assert not reading.is_alive(), "Reading an order waits for the provider."
        assert not asked.acquire(blocking=False)
    finally:
        answers.set()
        for thread in paying:
            thread.join(30)
    assert {till.read(buyer, order)["status"] for order in orders} == {"paid"}
