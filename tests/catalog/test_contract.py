"""What CatalogService promises to other modules, of the real service and of the fake alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from tests.catalog.factories import Shelf

from catalog.fakes import FakeCatalogService
from catalog.interface import CatalogService, OutOfStock, ProductNotFound, ReferenceTaken, Shortage, SoldLine, StockLine
from kernel.pure.errors import Invalid

UNKNOWN = 999_999_999


@dataclass(frozen=True)
class Shop:
    """One implementation, and the two things that a test needs beside it."""

    service: CatalogService
    add: Callable[..., int]
    """Put a published product on the shelf: name, price, stock -> id."""
    stock: Callable[[int], int]

    def reserve(self, reference: str, *lines: tuple[int, int]) -> Sequence[SoldLine]:
        wanted = [StockLine(product_id=product_id, quantity=quantity) for product_id, quantity in lines]
        return self.service.reserve(reference=reference, lines=wanted)


def real(request: pytest.FixtureRequest) -> Shop:
    shelf: Shelf = request.getfixturevalue("shelf")

    def stock(product_id: int) -> int:
        return int(shelf.query("SELECT quantity FROM catalog.stock WHERE product_id = :id", id=product_id)[0][0])

    return Shop(shelf.catalog, lambda **values: shelf.product(**values).id, stock)


def fake(_: pytest.FixtureRequest) -> Shop:
    service = FakeCatalogService()

    def add(**values: Any) -> int:
        return service.add(product_id=len(service.stock) + 1, **values)

    return Shop(service, add, service.stock.__getitem__)


@pytest.fixture(params=[real, fake])
def shop(request: pytest.FixtureRequest) -> Shop:
    made: Shop = request.param(request)
    return made


class TestReserve:
    def test_takes_the_stock_of_every_line(self, shop: Shop) -> None:
        lamp, mug = shop.add(stock=10), shop.add(stock=5)
        shop.reserve("order:1", (lamp, 3), (mug, 5))
        assert (shop.stock(lamp), shop.stock(mug)) == (7, 0)

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


def test_both_are_catalog_services(shop: Shop) -> None:
    assert isinstance(shop.service, CatalogService)
