"""Whatever happens to a stock: its movements sum to it, what is held to what is reserved, as in a clerk's notebook."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.catalog.factories import Shelf, ignore, in_a_quarter

from catalog.interface import ManualReason, OutOfStock, Product, ReferenceTaken, ReservationGone, StockLine
from catalog.service import ProductLine

STEPS = st.one_of(
    st.tuples(
        st.just("reserve"), st.integers(0, 4), st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6)), min_size=1, max_size=4)
    ),
    st.tuples(st.sampled_from(["confirm", "release"]), st.integers(0, 4), st.none()),
    st.tuples(st.just("restock"), st.integers(0, 4), st.tuples(st.integers(0, 2), st.integers(1, 6))),
    st.tuples(st.just("expire"), st.just(0), st.none()),
    st.tuples(st.just("move"), st.integers(0, 2), st.integers(-6, 6).filter(bool)),
    st.tuples(st.just("count"), st.integers(0, 2), st.integers(0, 12)),
)


class Model:
    """What a clerk with a notebook would expect."""

    def __init__(self, on_hand: list[int]) -> None:
        self.on_hand = on_hand
        self.held: dict[int, dict[int, int]] = {}
        self.wanted: dict[int, dict[int, int]] = {}
        self.sold: set[int] = set()
        self.returned: set[int] = set()

    def reserved(self, which: int) -> int:
        return sum(lines.get(which, 0) for lines in self.held.values())

    def reserve(self, reference: int, lines: list[tuple[int, int]]) -> type[Exception] | None:
        wanted: dict[int, int] = {}
        for which, quantity in lines:
            wanted[which] = wanted.get(which, 0) + quantity
        if reference in self.wanted:
            return None if self.wanted[reference] == wanted else ReferenceTaken
        if any(self.on_hand[which] - self.reserved(which) < quantity for which, quantity in wanted.items()):
            return OutOfStock
        self.wanted[reference] = self.held[reference] = wanted
        return None

    def confirm(self, reference: int, _: None) -> type[Exception] | None:
        for which, quantity in self.held.get(reference, {}).items():
            self.on_hand[which] -= quantity
        if self.held.pop(reference, None):
            self.sold.add(reference)
        return None if reference in self.sold else ReservationGone

    def release(self, reference: int, _: None) -> None:
        self.held.pop(reference, None)

    def expire(self, _: int, __: None) -> None:
        # Odd references are held until long ago.
        self.held = {reference: lines for reference, lines in self.held.items() if reference % 2 == 0}

    def restock(self, reference: int, line: tuple[int, int]) -> None:
        if reference not in self.returned:
            self.returned.add(reference)
            self.on_hand[line[0]] += line[1]

    def move(self, which: int, quantity: int) -> type[Exception] | None:
        if self.on_hand[which] + quantity < self.reserved(which):
            return OutOfStock
        self.on_hand[which] += quantity
        return None

    def count(self, which: int, stock: int) -> None:
        if stock >= self.reserved(which):
            self.on_hand[which] = stock


class Real:
    """The same on the database."""

    def __init__(self, shelf: Shelf, products: list[Product]) -> None:
        self.shelf = shelf
        self.products = products
        self.run = shelf.query("SELECT gen_random_uuid()")[0][0]
        self.moves = 0

    def reserve(self, reference: int, lines: list[tuple[int, int]]) -> None:
        wanted = [StockLine(product_id=self.products[which].id, quantity=quantity) for which, quantity in lines]
        until = in_a_quarter() - timedelta(days=reference % 2)
        self.shelf.catalog.reserve(reference=f"{self.run}:{reference}", lines=wanted, until=until)

    def confirm(self, reference: int, _: None) -> None:
        self.shelf.catalog.confirm(reference=f"{self.run}:{reference}")

    def expire(self, _: int, __: None) -> None:
        self.shelf.catalog.release_expired()

    def restock(self, reference: int, line: tuple[int, int]) -> None:
        lines = [StockLine(product_id=self.products[line[0]].id, quantity=line[1])]
        self.shelf.catalog.restock(reference=f"{self.run}:return:{reference}", lines=lines)

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
    except (OutOfStock, ReferenceTaken, ReservationGone) as error:
        return type(error)
    return None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=16))
def test_ledger_and_reservations_agree_with_the_stock_after_anything(shelf: Shelf, steps: list[tuple[str, int, Any]]) -> None:
    products = [shelf.product(stock=5) for _ in range(3)]
    model, real = Model([5, 5, 5]), Real(shelf, products)
    for kind, which, value in steps:
        expected = getattr(model, kind)(which, value)
        assert outcome(getattr(real, kind), which, value) == expected
        assert [shelf.counts(product) for product in products] == [(model.on_hand[n], model.reserved(n)) for n in range(3)]
    assert shelf.unbalanced() == []
    assert shelf.held_wrong() == []
