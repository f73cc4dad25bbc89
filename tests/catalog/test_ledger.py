"""Whatever happens to a stock: its movements sum to it, and it behaves like a simple count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.catalog.factories import Shelf, ignore

from catalog.interface import ManualReason, OutOfStock, Product, ReferenceTaken, StockLine
from catalog.service import ProductLine

STEPS = st.one_of(
    st.tuples(
        st.just("reserve"), st.integers(0, 4), st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6)), min_size=1, max_size=4)
    ),
    st.tuples(st.just("release"), st.integers(0, 4), st.none()),
    st.tuples(st.just("move"), st.integers(0, 2), st.integers(-6, 6).filter(bool)),
    st.tuples(st.just("count"), st.integers(0, 2), st.integers(0, 12)),
)


class Model:
    """What a clerk with a notebook would expect."""

    def __init__(self, stock: list[int]) -> None:
        self.stock = stock
        self.taken: dict[int, dict[int, int]] = {}
        self.released: set[int] = set()

    def reserve(self, reference: int, lines: list[tuple[int, int]]) -> type[Exception] | None:
        wanted: dict[int, int] = {}
        for which, quantity in lines:
            wanted[which] = wanted.get(which, 0) + quantity
        if reference in self.taken:
            return None if self.taken[reference] == wanted else ReferenceTaken
        if any(self.stock[which] < quantity for which, quantity in wanted.items()):
            return OutOfStock
        for which, quantity in wanted.items():
            self.stock[which] -= quantity
        self.taken[reference] = wanted
        return None

    def release(self, reference: int, _: None) -> None:
        if reference in self.taken and reference not in self.released:
            self.released.add(reference)
            for which, quantity in self.taken[reference].items():
                self.stock[which] += quantity

    def move(self, which: int, quantity: int) -> type[Exception] | None:
        if self.stock[which] + quantity < 0:
            return OutOfStock
        self.stock[which] += quantity
        return None

    def count(self, which: int, stock: int) -> None:
        self.stock[which] = stock


class Real:
    """The same on the database."""

    def __init__(self, shelf: Shelf, products: list[Product]) -> None:
        self.shelf = shelf
        self.products = products
        self.run = shelf.query("SELECT gen_random_uuid()")[0][0]
        self.moves = 0

    def reserve(self, reference: int, lines: list[tuple[int, int]]) -> None:
        wanted = [StockLine(product_id=self.products[which].id, quantity=quantity) for which, quantity in lines]
        self.shelf.catalog.reserve(reference=f"{self.run}:{reference}", lines=wanted)

    def release(self, reference: int, _: None) -> None:
        self.shelf.catalog.release(reference=f"{self.run}:{reference}")

    def move(self, which: int, quantity: int) -> None:
        self.moves += 1
        self.shelf.catalog.move_stock(
            product_id=self.products[which].id,
            quantity=quantity,
            reason=ManualReason.CORRECTION,
            reference=f"{self.run}:move:{self.moves}",
        )

    def count(self, which: int, stock: int) -> None:
        line = ProductLine(line=2, sku=self.products[which].sku, stock=stock)
        self.shelf.catalog.import_products(lines=[line], describes=False, report=ignore)


def outcome(call: Callable[..., Any], *arguments: Any) -> type[Exception] | None:
    try:
        call(*arguments)
    except (OutOfStock, ReferenceTaken) as error:
        return type(error)
    return None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=12))
def test_the_ledger_sums_to_the_stock_after_anything(shelf: Shelf, steps: list[tuple[str, int, Any]]) -> None:
    products = [shelf.product(stock=5) for _ in range(3)]
    model, real = Model([5, 5, 5]), Real(shelf, products)
    for kind, which, value in steps:
        expected = getattr(model, kind)(which, value)
        assert outcome(getattr(real, kind), which, value) == expected
    assert [shelf.stock(product) for product in products] == model.stock
    assert shelf.unbalanced() == []
