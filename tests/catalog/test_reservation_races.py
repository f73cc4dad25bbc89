"""Races for one reservation, decided by the database: it ends one way only, and nobody waits for each other in a circle."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event

import pytest
from sqlalchemy import event
from tests.catalog.factories import Shelf, at_once
from tests.catalog.test_races import outcomes

from catalog.interface import Product, ReferenceTaken, ReservationGone, StockLine
from kernel.database.call import authenticated, run_call
from kernel.database.engines import Engines
from kernel.database.unit_of_work import Database

Call = Callable[[], object]
LONG_AGO = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def ordering(engines: Engines) -> Database:
    """A neighbour that calls the catalog inside a transaction of its own."""
    return engines.database("ordering")


@pytest.fixture
def no_deadlock(shelf: Shelf, engines: Engines) -> Iterator[None]:
    """None was found by the server, nor settled by a retry unseen."""
    met: list[str] = []

    def note(context: object) -> None:
        code = getattr(getattr(context, "original_exception", None), "pgcode", None)
        if code == "40P01":
            met.append(code)

    event.listen(engines.writer, "handle_error", note)
    yield
    event.remove(engines.writer, "handle_error", note)
    assert met == []


def returned(product: Product, quantity: int) -> list[StockLine]:
    return [StockLine(product_id=product.id, quantity=quantity)]


class TestOneEnd:
    def test_confirm_against_release_ends_one_way_and_tells_both(self, shelf: Shelf) -> None:
        seen = Counter[str]()
        for n in range(30):
            lamp, reference = shelf.product(stock=5), f"order:{n}"
            shelf.reserve(reference, (lamp, 2))
            calls = [partial(shelf.catalog.confirm, reference=reference), partial(shelf.catalog.release, reference=reference)]
            confirmed, released = at_once(calls if n % 2 else calls[::-1])[:: 1 if n % 2 else -1]
            assert released is None
            status = shelf.status(reference)
            assert status == ("released" if isinstance(confirmed, ReservationGone) else "confirmed")
            assert shelf.counts(lamp) == ((5, 0) if status == "released" else (3, 0))
            seen[status] += 1
        assert seen.total() == 30

    def test_a_release_that_waits_for_a_confirmation_finds_it_sold(self, shelf: Shelf, ordering: Database) -> None:
        lamp = shelf.product(stock=5)
        shelf.reserve("order:1", (lamp, 2))
        confirmed, releasing = Event(), Event()

        def pay() -> None:
            with ordering.transaction():
                shelf.catalog.confirm(reference="order:1")
                confirmed.set()
                releasing.wait(0.3)

        def cancel() -> None:
            confirmed.wait(5)
            shelf.catalog.release(reference="order:1")
            releasing.set()

        assert outcomes(at_once([pay, cancel])) == {"ok": 2}
        assert (shelf.status("order:1"), shelf.counts(lamp)) == ("confirmed", (3, 0))

    def test_a_confirmation_that_waits_for_a_release_finds_it_gone(self, shelf: Shelf, ordering: Database) -> None:
        lamp = shelf.product(stock=5)
        shelf.reserve("order:1", (lamp, 2))
        released, paying = Event(), Event()

        def cancel() -> None:
            with ordering.transaction():
                shelf.catalog.release(reference="order:1")
                released.set()
                paying.wait(0.3)

        def pay() -> None:
            released.wait(5)
            shelf.catalog.confirm(reference="order:1")

        assert outcomes(at_once([cancel, pay])) == {"ok": 1, "ReservationGone": 1}
        assert shelf.counts(lamp) == (5, 0)

    def test_eight_confirmations_sell_once(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=10)
        shelf.reserve("order:1", (lamp, 4))
        assert outcomes(at_once([partial(shelf.catalog.confirm, reference="order:1")] * 8)) == {"ok": 8}
        assert shelf.counts(lamp) == (6, 0)
        assert shelf.movements(lamp) == [("initial", 10), ("sale", -4)]

    def test_eight_refunds_with_one_reference_bring_back_once(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=10)
        restock = partial(shelf.catalog.restock, reference="refund:1", lines=returned(lamp, 3))
        assert outcomes(at_once([restock] * 8)) == {"ok": 8}
        assert shelf.counts(lamp) == (13, 0)

    def test_a_refund_with_the_reference_of_a_twin_that_reserves_is_one_of_both(self, shelf: Shelf) -> None:
        for n in range(8):
            lamp = shelf.product(stock=10)
            results = at_once(
                [
                    partial(shelf.reserve, f"both:{n}", (lamp, 1)),
                    partial(shelf.catalog.restock, reference=f"both:{n}", lines=returned(lamp, 1)),
                ]
            )
            assert [type(result) for result in results if isinstance(result, Exception)] == [ReferenceTaken]
            assert shelf.counts(lamp) in ((10, 1), (11, 0))


class TestSweep:
    def test_a_release_and_sweeps_at_once_let_go_once(self, shelf: Shelf) -> None:
        lamp = shelf.product(stock=100)
        for n in range(10):
            for part in range(4):
                shelf.reserve(f"order:{n}-{part}", (lamp, 2), until=LONG_AGO)
            releases = [partial(shelf.catalog.release, reference=f"order:{n}-{part}") for part in range(4)]
            results = at_once([*releases, *[shelf.catalog.release_expired] * 4])
            assert {type(result) for result in results} <= {type(None), int}
            assert shelf.counts(lamp) == (100, 0)

    def test_a_confirmation_against_a_sweep_ends_one_way(self, shelf: Shelf) -> None:
        for n in range(20):
            lamp, reference = shelf.product(stock=5), f"order:{n}"
            shelf.reserve(reference, (lamp, 2), until=LONG_AGO)
            confirmed, swept = at_once([partial(shelf.catalog.confirm, reference=reference), shelf.catalog.release_expired])
            if isinstance(confirmed, ReservationGone):
                assert (swept, shelf.counts(lamp)) == (1, (5, 0))
            else:
                assert (confirmed, swept, shelf.counts(lamp)) == (None, 0, (3, 0))

    def test_a_sweep_does_not_wait_for_a_confirmation_under_way(self, shelf: Shelf, ordering: Database) -> None:
        lamp, mug = shelf.product(stock=5), shelf.product(stock=5)
        shelf.reserve("order:1", (lamp, 1), until=LONG_AGO)
        shelf.reserve("order:2", (mug, 1), until=LONG_AGO)
        with ordering.transaction():
            shelf.catalog.confirm(reference="order:1")
            assert at_once([shelf.catalog.release_expired]) == [1]
        assert (shelf.counts(lamp), shelf.counts(mug)) == ((4, 0), (5, 0))

    def test_sweeps_at_once_share_the_work(self, shelf: Shelf) -> None:
        products = [shelf.product(stock=20) for _ in range(5)]
        for n in range(40):
            shelf.reserve(f"order:{n}", (products[n % 5], 1), (products[(n + 2) % 5], 1), until=LONG_AGO)
        swept = at_once([partial(shelf.catalog.release_expired, 15)] * 4)
        assert sum(n for n in swept if isinstance(n, int)) <= 40
        while shelf.catalog.release_expired(15):
            pass
        assert [shelf.counts(product) for product in products] == [(20, 0)] * 5


@pytest.mark.usefixtures("no_deadlock")
class TestAnyMix:
    def test_everything_at_once_deadlocks_never_and_every_count_is_right(self, shelf: Shelf) -> None:
        products = [shelf.product(stock=10_000) for _ in range(6)]

        def work(seed: int) -> None:
            dice = random.Random(seed)  # noqa: S311 -- not a secret
            for turn in range(12):
                # Few references, so that workers meet at them as well as at the products.
                reference = f"order:{dice.randrange(30)}"
                lines = [(product, dice.randint(1, 3)) for product in dice.sample(products, dice.randint(1, 6))]
                steps: list[Call] = [
                    partial(shelf.reserve, reference, *lines, until=LONG_AGO if dice.random() < 0.3 else None),
                    partial(shelf.catalog.confirm, reference=reference),
                    partial(shelf.catalog.release, reference=reference),
                    partial(shelf.catalog.restock, reference=f"refund:{seed // 2}-{turn}", lines=returned(lines[0][0], 1)),
                    shelf.catalog.release_expired,
                ]
                for step in dice.sample(steps, len(steps)):
                    # A call of its own, which the kernel may run again.
                    with suppress(ReferenceTaken, ReservationGone), authenticated(None):
                        run_call(step)

        assert outcomes(at_once([partial(work, seed) for seed in range(8)])) == {"ok": 8}
        shelf.catalog.release_expired(1000)
        assert all(on_hand >= reserved >= 0 for on_hand, reserved in map(shelf.counts, products))

    def test_twins_with_other_baskets_and_releases_of_their_reference(self, shelf: Shelf) -> None:
        lamp, mug, rug = (shelf.product(stock=1000) for _ in range(3))
        baskets = [[(lamp, 1), (mug, 1)], [(mug, 1), (rug, 1)], [(rug, 1), (lamp, 1)]]
        for n in range(15):
            twins = [partial(shelf.reserve, f"order:{n}", *basket) for basket in baskets]
            ends = [
                partial(shelf.catalog.release, reference=f"order:{n}"),
                partial(shelf.catalog.confirm, reference=f"order:{n}"),
            ]
            results = outcomes(at_once([*twins, *ends]))
            assert results["ReferenceTaken"] == 2
            assert set(results) <= {"ok", "ReferenceTaken", "ReservationGone"}
