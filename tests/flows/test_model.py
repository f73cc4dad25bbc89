"""Whatever is done in whatever order, the shop agrees with a small model of it: stock, totals, states, and the money.

`make test` tells 100 stories of 50 steps, always the same ones; `make prove` 5,000 others, in ten slices of 500. Any other
number is a slice of other stories, and the same number is the same stories again:

    EMPORIUM_MODEL_SLICE=11 python -m pytest -n 2 -m prove tests/flows/test_model.py

The shop is the real application with a clock that moves only in the step `time_passes`. Each story has people and products of
its own. After each step the tables and the provider's books (the sandbox's own, past the shop) are compared with the model, and
over HTTP what the step was about, read by itself, and the lists of orders and of products; a list of which no row was written
since it was last compared is not asked for again. At a story's end everything is, once more. No threads and no client library
stand between: so a step takes a fifth of the time.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.database_fixtures import Clone
from tests.flows._model import NOTHING, TOKENS, Model, Order, Product, Returned
from tests.flows._world import Request, World, open_world

from kernel.database.engines import Engines
from kernel.pure.clock import FixedClock
from kernel.pure.principal import Principal

SLICE: Final = "EMPORIUM_MODEL_SLICE"
STEPS: Final = 50
SHORT: Final = 6
"""About so many of 31 stories are cut short: Hypothesis begins with the simplest, and varies what it had."""
_PRODUCT: Final = ("id", "price", "stock", "units_sold", "on_hand", "reserved")
_ORDER: Final = ("id", "user_id", "status", "total", "refunded_amount", "refund_status")
WORTH_GOING_ON: Final = ("tok_approve", "tok_refund_late", "tok_fail_after_charge", "tok_late", "tok_decline")
"""After which there is money to give back, now or later, or another attempt to make."""
OUTCOMES: Final = {
    *(("orders", status) for status in (201, 409)),
    *(("payments", status) for status in (201, 202, 402, 409)),
    *(("cancel", status) for status in (200, 409)),
    *(("refunds", status) for status in (201, 202, 409, 422)),
}


class Shopping(RuleBasedStateMachine):
    people: Bundle[Principal] = Bundle("people")
    products: Bundle[Product] = Bundle("products")
    orders: Bundle[Order] = Bundle("orders")

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.model = Model()
        self.requests: list[Request] = []
        self.people_there = 0
        self.asked_since = False
        self.begins_in_the_books = world.length_of_the_books()
        self.checks = 0
        self.named: Product | Order | None = None
        """What the last request was about."""
        self.listed_products: list[tuple[int, str]] = []
        self.listed_orders: list[tuple[int, str]] = []
        """What was written when the lists were last compared."""
        world.stories += 1

    @property
    def now(self) -> datetime:
        return self.world.clock.now()

    @initialize(target=people)
    def somebody_is_there(self) -> Principal:
        return self._person(registers=False)

    @initialize(target=products)
    def something_is_there(self) -> Product:
        return self._product("19.99", 30)

    @precondition(lambda self: len(self.requests) > 3 * self.people_there)
    @rule(target=people)
    def somebody_comes(self) -> Principal:
        # A password takes 20 ms of a core, and all accounts are alike to orders.
        return self._person(registers=self.world.stories % 5 == 0)

    @precondition(lambda self: len(self.requests) > 3 * len(self.model.products))
    @rule(target=products, price=st.sampled_from(["0.01", "0.10", "333.33"]), stock=st.integers(0, 6))
    def offer(self, price: str, stock: int) -> Product:
        return self._product(price, stock)

    @rule(product=products, quantity=st.integers(1, 5))
    def restock(self, product: Product, quantity: int) -> None:
        def expect(_: Request) -> int:
            product.on_hand += quantity
            return 201

        path = f"/api/v1/products/{product.id}/stock-movements"
        body = {"quantity": quantity, "reason": "restock"}
        self._submit(Request(self.world.admin, "POST", path, body, expect, product, keeps_answer=True))

    @rule(product=products, cents=st.integers(1, 100_000))
    def change_price(self, product: Product, cents: int) -> None:
        price = Decimal(cents).scaleb(-2)

        def expect(_: Request) -> int:
            product.price = price
            return 200

        self._submit(
            Request(self.world.admin, "PATCH", f"/api/v1/products/{product.id}", {"price": f"{price:.2f}"}, expect, product)
        )

    @rule(target=orders, owner=people, lines=st.lists(st.tuples(products, st.integers(1, 3)), min_size=1, max_size=3))
    def order(self, owner: Principal, lines: list[tuple[Product, int]]) -> Any:
        return self._place(owner, lines)

    @rule(target=orders, owner=people, product=products, quantity=st.integers(1, 3), token=st.sampled_from(WORTH_GOING_ON))
    def buy(self, owner: Principal, product: Product, quantity: int, token: str) -> Any:
        order = self._place(owner, [(product, quantity)])
        if isinstance(order, Order):
            self._pay(order, token)
        return order

    @rule(order=orders, token=st.sampled_from([*TOKENS]))
    def pay(self, order: Order, token: str) -> None:
        self._pay(order, token)

    @rule(order=orders)
    def cancel(self, order: Order) -> None:
        def expect(_: Request) -> int:
            return 200 if self.model.end(order, "cancelled") else 409

        self._submit(Request(order.owner, "POST", f"{_path(order)}/cancel", None, expect, order))

    @rule(order=orders, cents=st.none() | st.integers(1, 3_000))
    def refund_an_amount(self, order: Order, cents: int | None) -> None:
        amount = None if cents is None else Decimal(cents).scaleb(-2)
        self._refund(order, {} if amount is None else {"amount": f"{amount:.2f}"}, amount, ())

    @rule(order=orders, number=st.integers(0, 2), quantity=st.integers(1, 2), restock=st.booleans())
    def refund_goods(self, order: Order, number: int, quantity: int, restock: bool) -> None:
        # Rather one that was paid: the others are all refused alike.
        order = next((paid for paid in (order, *reversed(self.model.orders)) if paid.captured), order)
        product = list(order.lines)[number % len(order.lines)]
        item = {"product_id": product.id, "quantity": quantity, "restock": restock}
        self._refund(order, {"items": [item]}, None, (Returned(product, quantity, restock),))

    @rule(target=orders, number=st.integers(0, 1_000))
    def replay(self, number: int) -> Any:
        return self._submit(self.requests[number % len(self.requests)], again=True) if self.requests else multiple()

    @precondition(lambda self: self.asked_since)
    @rule(seconds=st.sampled_from([61, 16 * 60]))
    def time_passes(self, seconds: int) -> None:
        self.asked_since = False
        self.world.clock.advance(timedelta(seconds=seconds))
        dispatcher = self.world.app.state.parts.dispatcher
        dispatcher.run_jobs(due_only=False)
        dispatcher.run_until_idle()
        self.model.time_passes(self.now)

    @invariant()
    def the_shop_is_as_in_the_model_and_the_providers_books(self) -> None:
        products, orders = self.model.products, self.model.orders
        if not products:
            return
        self.checks += 1
        stored = self.world.stored(products, orders)
        for product in products:
            assert stored.stock[product.id] == [product.on_hand, self.model.reserved(product)] * 2, product
        books = self.world.at_the_provider(self.begins_in_the_books)
        for order in orders:
            assert stored.status[order.id] == order.status, order
            assert stored.money[order.id] == [order.total, order.captured, order.given_back("succeeded"), order.total], order
            assert books.get(stored.names[order.id], NOTHING) == order.at_the_provider, order
        if self.listed_products != stored.products_written:
            self.products_are_listed_as_in_the_model()
        if self.listed_orders != stored.orders_written:
            self.orders_are_listed_as_in_the_model()
        self.listed_products, self.listed_orders = stored.products_written, stored.orders_written
        if self.named is not None:
            self.is_told_as_in_the_model(self.named)
            self.named = None

    def products_are_listed_as_in_the_model(self) -> None:
        listed = self._newest("/api/v1/products", len(self.model.products))
        assert [_told_product(item) for item in listed] == [*map(self._shown_product, reversed(self.model.products))]

    def orders_are_listed_as_in_the_model(self) -> None:
        listed = self._newest("/api/v1/orders", len(self.model.orders))
        assert [_told_order(item) for item in listed] == [*map(_shown_order, reversed(self.model.orders))]

    def is_told_as_in_the_model(self, named: Product | Order) -> None:
        if isinstance(named, Product):
            assert _told_product(self.world.get(self.world.admin, f"/api/v1/products/{named.id}")) == self._shown_product(named)
        else:
            assert _told_order(self.world.get(named.owner, _path(named))) == _shown_order(named)

    def teardown(self) -> None:
        """In the end nothing is open: what the shop has captured and not refunded is what the provider has."""
        # The first step is not followed by a check: it brings either people or goods, and there have to be both.
        self.world.whole_stories += self.checks == STEPS - 1
        self.time_passes(16 * 60)
        if self.model.is_open():
            self.time_passes(16 * 60)
        assert not self.model.is_open()
        self.the_shop_is_as_in_the_model_and_the_providers_books()
        self.products_are_listed_as_in_the_model()
        self.orders_are_listed_as_in_the_model()
        everything: list[Product | Order] = [*self.model.products, *self.model.orders]
        for each in everything:
            self.is_told_as_in_the_model(each)
        for owner in {order.owner for order in self.model.orders}:
            own = [order.id for order in reversed(self.model.orders) if order.owner is owner]
            assert [item["id"] for item in self.world.get(owner, "/api/v1/orders?limit=100")["items"]] == own

    def _newest(self, path: str, number: int) -> list[dict[str, Any]]:
        """Of all stories: if one of ours is lacking, or is there without our doing, another stands in its place."""
        return list(self.world.get(self.world.admin, f"{path}?limit={number}")["items"]) if number else []

    def _shown_product(self, product: Product) -> dict[str, Any]:
        reserved = self.model.reserved(product)
        return {
            "id": product.id,
            "price": f"{product.price:.2f}",
            "stock": product.on_hand - reserved,
            "units_sold": product.counted,
            "on_hand": product.on_hand,
            "reserved": reserved,
        }

    def _person(self, *, registers: bool) -> Principal:
        self.people_there += 1
        if not registers:
            return self.world.person()
        body = {"email": f"{uuid4().hex}@example.com", "password": "a phrase for the model", "full_name": "Ada Lovelace"}
        answer = self.world.send(Request(None, "POST", "/api/v1/users", body, lambda _: 201))
        assert answer.status == 201, answer.body
        return Principal(user_id=answer.json()["id"], roles=frozenset(), epoch=1)

    def _product(self, price: str, stock: int) -> Product:
        body = {"name": "Desk lamp", "price": price, "stock": stock}
        answer = self.world.send(Request(self.world.admin, "POST", "/api/v1/products", body, lambda _: 201))
        assert answer.status == 201, answer.body
        product = Product(answer.json()["id"], Decimal(price), stock)
        self.model.products.append(product)
        return product

    def _place(self, owner: Principal, lines: list[tuple[Product, int]]) -> Any:
        wanted: Counter[Product] = Counter()
        for product, quantity in lines:
            wanted[product] += quantity

        def expect(request: Request) -> int:
            request.placed = self.model.place(owner, wanted, self.now)
            return 201 if request.placed else 409

        body = {"items": [{"product_id": product.id, "quantity": quantity} for product, quantity in lines]}
        return self._submit(Request(owner, "POST", "/api/v1/orders", body, expect, keeps_answer=True))

    def _pay(self, order: Order, token: str) -> None:
        def expect(request: Request) -> int:
            request.begun = request.begun or self.model.begin_payment(order, token, self.now)
            return 409 if request.begun is None else self.model.go_on_paying(request.begun)

        body = {"method": "card", "token": token}
        self._submit(Request(order.owner, "POST", f"{_path(order)}/payments", body, expect, order))

    def _refund(self, order: Order, body: dict[str, Any], amount: Decimal | None, items: tuple[Returned, ...]) -> None:
        def expect(request: Request) -> int:
            if request.begun is None:
                begun = self.model.begin_refund(order, amount, items, self.now)
                if isinstance(begun, int):
                    return begun
                request.begun = begun
            return self.model.go_on_refunding(request.begun)

        self._submit(Request(self.world.admin, "POST", f"{_path(order)}/refunds", body, expect, order))

    def _submit(self, request: Request, *, again: bool = False) -> Any:
        """Send it and compare; answers the order if it placed one."""
        if not again:
            self.requests.append(request)
        self.asked_since = True
        self.named = request.about
        answer = self.world.send(request)
        if request.kept is not None:
            assert (answer.body, answer.headers["idempotency-replayed"]) == (request.kept, "true")
            return multiple()
        expected = request.expect(request)
        self.world.outcomes[request.path.rpartition("/")[2], expected] += 1
        assert answer.status == expected, (request, answer.body)
        if request.keeps_answer and expected == 201:
            request.kept = answer.body
        if request.placed is None:
            return multiple()
        request.placed.id = answer.json()["id"]
        self.named = request.placed
        return request.placed


def _path(order: Order) -> str:
    return f"/api/v1/orders/{order.id}"


def _shown_order(order: Order) -> dict[str, Any]:
    refunded = order.given_back("succeeded")
    return {
        "id": order.id,
        "user_id": order.owner.user_id,
        "status": order.status,
        "total": f"{order.total:.2f}",
        "refunded_amount": f"{refunded:.2f}",
        "refund_status": "none" if refunded == 0 else "full" if refunded == order.captured else "partial",
        "items": sorted((product.id, quantity, f"{price:.2f}") for product, (quantity, price) in order.lines.items()),
    }


def _told_order(order: dict[str, Any]) -> dict[str, Any]:
    """Only what the model knows: the shop may tell more."""
    lines = [(line["product_id"], line["quantity"], line["unit_price"]) for line in order["items"]]
    return {**{name: order[name] for name in _ORDER}, "items": sorted(lines)}


def _told_product(product: dict[str, Any]) -> dict[str, Any]:
    return {name: product[name] for name in _PRODUCT}


@pytest.fixture
def world(database: Clone, engines: Engines, tmp_path: Path) -> Iterator[World]:
    own = Engines(engines.url, threads=2, roles=engines.roles)
    with open_world(database, own, FixedClock(datetime.now(UTC)), tmp_path) as world:
        yield world


def run(world: World, *, runs: int, number: int) -> None:
    """So many whole stories, or a few more: of those that Hypothesis tries some are short."""
    while world.whole_stories < runs:
        run_state_machine_as_test(
            seed(number)(lambda: Shopping(world)),  # type: ignore[arg-type]  # any factory will do
            settings=settings(
                max_examples=runs - world.whole_stories + SHORT,
                stateful_step_count=STEPS,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            ),
        )
        number += 1_000_000


@pytest.mark.parametrize("part", range(4))
def test_the_shop_agrees_with_the_model(world: World, part: int) -> None:
    run(world, runs=25, number=part)


@pytest.mark.prove
@pytest.mark.parametrize("part", range(10))
def test_the_shop_agrees_with_the_model_for_long(world: World, part: int) -> None:
    number = 1_000 * int(os.environ.get(SLICE, "1")) + part
    run(world, runs=50, number=number)
    if not world.outcomes.keys() >= OUTCOMES:
        # What is rare may take a few more.
        run(world, runs=100, number=number + 500)
    # Else the stories were not about much.
    assert world.outcomes.keys() >= OUTCOMES
