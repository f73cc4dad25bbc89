"""What CatalogService promises to other modules, of the real service and of the fake alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.catalog.factories import Shelf, in_a_quarter

from catalog.fakes import FakeCatalogService
from catalog.interface import (
    MAX_STOCK,
    CatalogService,
    OutOfStock,
    ProductNotFound,
    ReferenceTaken,
    ReservationGone,
    Shortage,
    SoldLine,
    StockLimit,
    StockLine,
)
from kernel.pure.errors import Invalid

UNKNOWN = 999_999_999


@dataclass(frozen=True)
class Shop:
    """One implementation, and what a test needs beside it."""

    service: CatalogService
    add: Callable[..., int]
    """Put a published product on the shelf: name, price, stock -> id."""
    counts: Callable[[int], tuple[int, int]]
    """On hand, and reserved of it."""

    def stock(self, product_id: int) -> int:
        on_hand, reserved = self.counts(product_id)
        return on_hand - reserved

    def reserve(self, reference: str, *lines: tuple[int, int]) -> Sequence[SoldLine]:
        return self.service.reserve(reference=reference, lines=wished(lines), until=in_a_quarter())

    def restock(self, reference: str, *lines: tuple[int, int]) -> None:
        self.service.restock(reference=reference, lines=wished(lines))


def wished(lines: Sequence[tuple[int, int]]) -> list[StockLine]:
    return [StockLine(product_id=product_id, quantity=quantity) for product_id, quantity in lines]


def real(request: pytest.FixtureRequest) -> Shop:
    shelf: Shelf = request.getfixturevalue("shelf")

    def counts(product_id: int) -> tuple[int, int]:
        [row] = shelf.query("SELECT quantity, reserved FROM catalog.stock WHERE product_id = :id", id=product_id)
        return row[0], row[1]

    return Shop(shelf.catalog, lambda **values: shelf.product(**values).id, counts)


def fake(_: pytest.FixtureRequest) -> Shop:
    service = FakeCatalogService()

    def add(**values: Any) -> int:
        return service.add(product_id=len(service.on_hand) + 1, **values)

    return Shop(service, add, lambda product_id: (service.on_hand[product_id], service.reserved[product_id]))


@pytest.fixture(params=[real, fake])
def shop(request: pytest.FixtureRequest) -> Shop:
    made: Shop = request.param(request)
    return made


class TestReserve:
    def test_holds_the_stock_of_every_line_and_leaves_it_on_hand(self, shop: Shop) -> None:
        lamp, mug = shop.add(stock=10), shop.add(stock=5)
        shop.reserve("order:1", (lamp, 3), (mug, 5))
        assert (shop.stock(lamp), shop.stock(mug)) == (7, 0)
        assert (shop.counts(lamp), shop.counts(mug)) == ((10, 3), (5, 5))

    def test_what_is_held_is_short_for_others(self, shop: Shop) -> None:
        lamp = shop.add(stock=5)
        shop.reserve("order:1", (lamp, 3))
        with pytest.raises(OutOfStock) as refused:
            shop.reserve("order:2", (lamp, 3))
        assert refused.value.shortages == (Shortage(product_id=lamp, requested=3, available=2),)

    def test_answers_price_and_name_of_each_product_in_the_order_of_first_mention(self, shop: Shop) -> None:
        lamp, mug = shop.add(name="Lamp", price="19.99"), shop.add(name="Mug", price="0.05")
        sold = shop.reserve("order:1", (mug, 1), (lamp, 2))
        assert [(line.product_id, line.name, line.unit_price, line.quantity) for line in sold] == [
            (mug, "Mug", Decimal("0.05"), 1),
            (lamp, "Lamp", Decimal("19.99"), 2),
        ]

    def test_sums_lines_of_one_product(self, shop: Shop) -> None:
        lamp, mug = shop.add(stock=10), shop.add(stock=10)
        sold = shop.reserve("order:1", (lamp, 2), (mug, 1), (lamp, 3))
        assert [(line.product_id, line.quantity) for line in sold] == [(lamp, 5), (mug, 1)]
        assert shop.stock(lamp) == 5

    def test_summed_lines_are_compared_with_the_stock(self, shop: Shop) -> None:
        lamp = shop.add(stock=4)
        with pytest.raises(OutOfStock):
            shop.reserve("order:1", (lamp, 2), (lamp, 3))

    def test_takes_the_last_unit(self, shop: Shop) -> None:
        lamp = shop.add(stock=1)
        shop.reserve("order:1", (lamp, 1))
        assert shop.stock(lamp) == 0

    def test_a_shortage_takes_nothing_and_names_every_missing_product(self, shop: Shop) -> None:
        lamp, mug, rug = shop.add(stock=1), shop.add(stock=9), shop.add(stock=0)
        with pytest.raises(OutOfStock) as refused:
            shop.reserve("order:1", (lamp, 2), (mug, 1), (rug, 1))
        assert refused.value.shortages == (
            Shortage(product_id=lamp, requested=2, available=1),
            Shortage(product_id=rug, requested=1, available=0),
        )
        assert (shop.stock(lamp), shop.stock(mug)) == (1, 9)

    def test_a_refused_reference_can_be_used_again(self, shop: Shop) -> None:
        lamp = shop.add(stock=1)
        with pytest.raises(OutOfStock):
            shop.reserve("order:1", (lamp, 2))
        shop.reserve("order:1", (lamp, 1))
        assert shop.stock(lamp) == 0

    def test_an_unknown_product_takes_nothing_and_is_named(self, shop: Shop) -> None:
        lamp = shop.add(stock=5)
        with pytest.raises(ProductNotFound) as refused:
            shop.reserve("order:1", (lamp, 1), (UNKNOWN, 1))
        assert refused.value.data["product_id"] == UNKNOWN
        assert shop.stock(lamp) == 5

    def test_an_unknown_product_goes_before_a_shortage(self, shop: Shop) -> None:
        lamp = shop.add(stock=0)
        with pytest.raises(ProductNotFound):
            shop.reserve("order:1", (lamp, 1), (UNKNOWN, 1))

    def test_a_repeat_takes_nothing_more_and_answers_the_same(self, shop: Shop) -> None:
        lamp, mug = shop.add(stock=10), shop.add(stock=10)
        first = shop.reserve("order:1", (lamp, 2), (mug, 1))
        assert shop.reserve("order:1", (lamp, 2), (mug, 1)) == first
        assert (shop.stock(lamp), shop.stock(mug)) == (8, 9)

    def test_a_repeat_answers_when_nothing_is_left(self, shop: Shop) -> None:
        lamp = shop.add(stock=2)
        first = shop.reserve("order:1", (lamp, 2))
        assert shop.reserve("order:1", (lamp, 2)) == first

    def test_a_repeat_counts_sums_not_lines(self, shop: Shop) -> None:
        lamp = shop.add(stock=10)
        first = shop.reserve("order:1", (lamp, 1), (lamp, 2))
        assert shop.reserve("order:1", (lamp, 3)) == first
        assert shop.stock(lamp) == 7

    @pytest.mark.parametrize("change", ["quantity", "product", "fewer", "more"])
    def test_a_repeat_with_other_lines_is_refused(self, shop: Shop, change: str) -> None:
        lamp, mug, rug = shop.add(stock=10), shop.add(stock=10), shop.add(stock=10)
        shop.reserve("order:1", (lamp, 2), (mug, 1))
        other = {
            "quantity": [(lamp, 3), (mug, 1)],
            "product": [(lamp, 2), (rug, 1)],
            "fewer": [(lamp, 2)],
            "more": [(lamp, 2), (mug, 1), (rug, 1)],
        }[change]
        with pytest.raises(ReferenceTaken) as refused:
            shop.reserve("order:1", *other)
        assert refused.value.code == "reference-taken"
        assert (shop.stock(lamp), shop.stock(mug), shop.stock(rug)) == (8, 9, 10)

    def test_references_are_told_apart_as_a_whole(self, shop: Shop) -> None:
        lamp = shop.add(stock=10)
        shop.reserve("order:1", (lamp, 1))
        shop.reserve("order:10", (lamp, 1))
        assert shop.stock(lamp) == 8

    def test_no_lines_are_refused(self, shop: Shop) -> None:
        with pytest.raises(Invalid):
            shop.reserve("order:1")

    @pytest.mark.parametrize("quantities", [[0], [-1], [1_000_001], [600_000, 600_000], [3, -1], [3, 0]])
    def test_quantities_outside_of_1_to_1_000_000_are_refused(self, shop: Shop, quantities: list[int]) -> None:
        lamp = shop.add(stock=10)
        with pytest.raises(Invalid):
            shop.reserve("order:1", *[(lamp, quantity) for quantity in quantities])
        assert shop.stock(lamp) == 10


class TestRelease:
    def test_gives_back_every_line(self, shop: Shop) -> None:
        lamp, mug = shop.add(stock=10), shop.add(stock=10)
        shop.reserve("order:1", (lamp, 3), (mug, 1))
        shop.service.release(reference="order:1")
        assert (shop.stock(lamp), shop.stock(mug)) == (10, 10)

    def test_gives_back_once(self, shop: Shop) -> None:
        lamp = shop.add(stock=10)
        shop.reserve("order:1", (lamp, 3))
        shop.service.release(reference="order:1")
        shop.service.release(reference="order:1")
        assert shop.stock(lamp) == 10

    def test_an_unknown_reference_changes_nothing(self, shop: Shop) -> None:
        lamp = shop.add(stock=10)
        shop.service.release(reference="order:404")
        assert shop.stock(lamp) == 10

    def test_a_release_that_came_too_early_does_not_swallow_the_later_one(self, shop: Shop) -> None:
        lamp = shop.add(stock=10)
        shop.service.release(reference="order:1")
        shop.reserve("order:1", (lamp, 3))
        shop.service.release(reference="order:1")
        assert shop.stock(lamp) == 10

    def test_only_the_lines_of_the_reference_come_back(self, shop: Shop) -> None:
        lamp = shop.add(stock=10)
        shop.reserve("order:1", (lamp, 3))
        shop.reserve("order:2", (lamp, 4))
        shop.service.release(reference="order:1")
        assert shop.stock(lamp) == 6

    def test_a_released_reference_stays_used(self, shop: Shop) -> None:
        lamp = shop.add(stock=10)
        shop.reserve("order:1", (lamp, 3))
        shop.service.release(reference="order:1")
        shop.reserve("order:1", (lamp, 3))
        assert shop.stock(lamp) == 10

    def test_what_was_sold_stays_sold(self, shop: Shop) -> None:
        lamp = shop.add(stock=10)
        shop.reserve("order:1", (lamp, 3))
        shop.service.confirm(reference="order:1")
        shop.service.release(reference="order:1")
        assert shop.counts(lamp) == (7, 0)


class TestConfirm:
    def test_sells_what_is_held(self, shop: Shop) -> None:
        lamp, mug = shop.add(stock=10), shop.add(stock=5)
        shop.reserve("order:1", (lamp, 3), (mug, 5))
        shop.reserve("order:2", (lamp, 1))
        shop.service.confirm(reference="order:1")
        assert (shop.counts(lamp), shop.counts(mug)) == ((7, 1), (0, 0))

    def test_sells_once(self, shop: Shop) -> None:
        lamp = shop.add(stock=10)
        shop.reserve("order:1", (lamp, 3))
        shop.service.confirm(reference="order:1")
        shop.service.confirm(reference="order:1")
        assert shop.counts(lamp) == (7, 0)

    def test_does_not_look_at_the_clock(self, shop: Shop) -> None:
        lamp = shop.add(stock=10)
        long_ago = in_a_quarter() - timedelta(days=2)
        shop.service.reserve(reference="order:1", lines=wished([(lamp, 3)]), until=long_ago)
        shop.service.confirm(reference="order:1")
        assert shop.counts(lamp) == (7, 0)

    def test_what_was_released_is_gone(self, shop: Shop) -> None:
        lamp = shop.add(stock=10)
        shop.reserve("order:1", (lamp, 3))
        shop.service.release(reference="order:1")
        with pytest.raises(ReservationGone) as refused:
            shop.service.confirm(reference="order:1")
        assert refused.value.code == "reservation-gone"
        assert shop.counts(lamp) == (10, 0)

    def test_an_unknown_reference_is_gone(self, shop: Shop) -> None:
        with pytest.raises(ReservationGone):
            shop.service.confirm(reference="order:404")

    def test_a_repeated_reservation_after_it_holds_nothing_more(self, shop: Shop) -> None:
        lamp = shop.add(stock=10)
        first = shop.reserve("order:1", (lamp, 3))
        shop.service.confirm(reference="order:1")
        assert shop.reserve("order:1", (lamp, 3)) == first
        assert shop.counts(lamp) == (7, 0)


class TestRestock:
    def test_brings_back_every_line(self, shop: Shop) -> None:
        lamp, mug = shop.add(stock=10), shop.add(stock=0)
        shop.restock("refund:1", (lamp, 1), (mug, 2), (lamp, 3))
        assert (shop.counts(lamp), shop.counts(mug)) == ((14, 0), (2, 0))

    def test_brings_back_once_whatever_the_lines(self, shop: Shop) -> None:
        lamp, mug = shop.add(stock=10), shop.add(stock=10)
        shop.restock("refund:1", (lamp, 1))
        shop.restock("refund:1", (lamp, 1))
        shop.restock("refund:1", (mug, 1))
        assert (shop.stock(lamp), shop.stock(mug)) == (11, 10)

    def test_two_refunds_of_one_order_both_bring_back(self, shop: Shop) -> None:
        lamp = shop.add(stock=10)
        shop.restock("refund:1", (lamp, 1))
        shop.restock("refund:2", (lamp, 1))
        assert shop.stock(lamp) == 12

    def test_leaves_what_others_hold(self, shop: Shop) -> None:
        lamp = shop.add(stock=10)
        shop.reserve("order:1", (lamp, 4))
        shop.restock("refund:1", (lamp, 1))
        assert shop.counts(lamp) == (11, 4)

    def test_an_unknown_product_brings_back_nothing_and_is_named(self, shop: Shop) -> None:
        lamp = shop.add(stock=10)
        with pytest.raises(ProductNotFound) as refused:
            shop.restock("refund:1", (lamp, 1), (UNKNOWN, 1))
        assert refused.value.data["product_id"] == UNKNOWN
        assert shop.stock(lamp) == 10
        shop.restock("refund:1", (lamp, 1))
        assert shop.stock(lamp) == 11

    def test_the_reference_of_a_reservation_is_refused(self, shop: Shop) -> None:
        lamp = shop.add(stock=10)
        shop.reserve("order:1", (lamp, 1))
        with pytest.raises(ReferenceTaken):
            shop.restock("order:1", (lamp, 1))
        shop.restock("refund:1", (lamp, 1))
        with pytest.raises(ReferenceTaken):
            shop.reserve("refund:1", (lamp, 1))
        shop.service.release(reference="refund:1")
        with pytest.raises(ReservationGone):
            shop.service.confirm(reference="refund:1")
        assert shop.counts(lamp) == (11, 1)

    @pytest.mark.parametrize("quantities", [[], [0], [-1], [600_000, 600_000], [3, -1]])
    def test_quantities_outside_of_1_to_1_000_000_are_refused(self, shop: Shop, quantities: list[int]) -> None:
        lamp = shop.add(stock=10)
        with pytest.raises(Invalid):
            shop.restock("refund:1", *[(lamp, quantity) for quantity in quantities])
        assert shop.stock(lamp) == 10

    def test_more_than_a_product_can_hold_brings_back_nothing(self, shop: Shop) -> None:
        lamp, mug = shop.add(stock=10), shop.add(stock=MAX_STOCK)
        with pytest.raises(StockLimit):
            shop.restock("refund:1", (lamp, 1), (mug, 1))
        assert (shop.stock(lamp), shop.stock(mug)) == (10, MAX_STOCK)


def test_both_are_catalog_services(shop: Shop) -> None:
    assert isinstance(shop.service, CatalogService)
