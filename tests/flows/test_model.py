"""Whatever is done in whatever order, the shop agrees with a small model of it: stock, totals, states, and the money.

`make test` runs 20 stories of 25 steps, always the same ones; `make prove` 100 of 50. More, and other ones each time:

    EMPORIUM_MODEL_RUNS=5000 python -m pytest -m prove tests/flows/test_model.py

The shop is the real application, spoken to over HTTP, with a clock that moves only in the step `time_passes`. Each story has
people and products of its own. The payment provider's side is read from the sandbox's own books, past the shop.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
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
from sqlalchemy import create_engine
from starlette.testclient import TestClient
from tests.database_fixtures import Clone
from tests.flows._model import NOTHING, TOKENS, Attempt, Model, Order, Product
from tests.shop_fixtures import Shop, shop_settings

from app.application import create_app
from kernel.database.engines import Engines
from kernel.pure.clock import FixedClock
from kernel.pure.principal import Principal
from ordering.service.gateways.sandbox import FILE

RUNS: Final = "EMPORIUM_MODEL_RUNS"
WORTH_GOING_ON: Final = ("tok_approve", "tok_refund_late", "tok_fail_after_charge", "tok_late", "tok_decline")
"""After which there is money to give back, now or later, or another attempt to make."""
OUTCOMES: Final = {
    *(("orders", status) for status in (201, 409)),
    *(("payments", status) for status in (201, 202, 402, 409)),
    *(("cancel", status) for status in (200, 409)),
    *(("refunds", status) for status in (201, 202, 409, 422)),
}


@dataclass(eq=False)
class Request:
    """A request that can be sent again as it was. `expect` moves the model and answers the status; it is asked for each time
    that the shop does anything, which it does not when `kept` is its answer under this key."""

    caller: Principal | None
    method: str
    path: str
    body: dict[str, Any] | None
    expect: Callable[[Request], int]
    keeps_answer: bool = False
    key: str = field(default_factory=lambda: uuid4().hex)
    kept: bytes | None = None
    begun: Attempt | None = None
    placed: Order | None = None


@dataclass(frozen=True)
class World:
    shop: Shop
    clock: FixedClock
    books: Path
    outcomes: Counter[tuple[str, int]] = field(default_factory=Counter)

    def send(self, request: Request) -> Any:
        headers = self.shop.headers(request.caller, idempotency_key=request.key)
        return self.shop.http.request(request.method, request.path, json=request.body, headers=headers)

    def get(self, caller: Principal, path: str) -> Any:
        answer = self.shop.http.get(path, headers=self.shop.headers(caller))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def at_the_provider(self) -> dict[str, Decimal]:
        """By the names of orders: what was charged and not given back."""
        if not self.books.exists():
            return {}
        with closing(sqlite3.connect(self.books)) as books:
            rows = books.execute("SELECT order_name, kind, amount FROM entries").fetchall()
        sums: dict[str, Decimal] = {}
        for order, kind, amount in rows:
            sums[order] = sums.get(order, NOTHING) + (Decimal(amount) if kind == "capture" else -Decimal(amount))
        return sums


class Shopping(RuleBasedStateMachine):
    people: Bundle[Principal] = Bundle("people")
    products: Bundle[Product] = Bundle("products")
    orders: Bundle[Order] = Bundle("orders")

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.model = Model()
        self.requests: list[Request] = []
        self.registered = 0
        self.asked_since = False
        self.admin = world.shop.admin()

    @property
    def now(self) -> datetime:
        return self.world.clock.now()

    @initialize(target=people)
    def somebody_is_there(self) -> Principal:
        return self._person()

    @initialize(target=products)
    def something_is_there(self) -> Product:
        return self._product("19.99", 30)

    @precondition(lambda self: len(self.requests) > 3 * self.registered)
    @rule(target=people)
    def register(self) -> Principal:
        return self._person()

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
        self._submit(Request(self.admin, "POST", path, body, expect, keeps_answer=True))

    @rule(product=products, cents=st.integers(1, 100_000))
    def change_price(self, product: Product, cents: int) -> None:
        price = Decimal(cents).scaleb(-2)

        def expect(_: Request) -> int:
            product.price = price
            return 200

        self._submit(Request(self.admin, "PATCH", f"/api/v1/products/{product.id}", {"price": f"{price:.2f}"}, expect))

    @rule(target=orders, owner=people, lines=st.lists(st.tuples(products, st.integers(1, 3)), min_size=1, max_size=3))
    def order(self, owner: Principal, lines: list[tuple[Product, int]]) -> Any:
        return self._place(owner, lines)

    @rule(target=orders, owner=people, product=products, quantity=st.integers(1, 3), token=st.sampled_from(WORTH_GOING_ON))
    def buy(self, owner: Principal, product: Product, quantity: int, token: str) -> Any:
        order = self._place(owner, [(product, quantity)])
        if isinstance(order, Order):
            self._pay(order, token)
        return order

    @rule(order=orders, token=st.sampled_from(TOKENS))
    def pay(self, order: Order, token: str) -> None:
        self._pay(order, token)

    @rule(order=orders)
    def cancel(self, order: Order) -> None:
        path = f"{_path(order)}/cancel"
        self._submit(Request(order.owner, "POST", path, None, lambda _: 200 if self.model.end(order, "cancelled") else 409))

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
        self._refund(order, {"items": [item]}, None, ((product, quantity, restock),))

    @rule(target=orders, number=st.integers(0, 1_000))
    def replay(self, number: int) -> Any:
        return self._submit(self.requests[number % len(self.requests)], again=True) if self.requests else multiple()

    @precondition(lambda self: self.asked_since)
    @rule(seconds=st.sampled_from([61, 16 * 60]))
    def time_passes(self, seconds: int) -> None:
        self.asked_since = False
        self.world.clock.advance(timedelta(seconds=seconds))
        dispatcher = self.world.shop.app.state.parts.dispatcher
        dispatcher.run_jobs(due_only=False)
        dispatcher.run_until_idle()
        self.model.time_passes(self.now)
        for product in self.model.products:
            assert self._read(product)["units_sold"] == product.sold

    @invariant()
    def stock_is_what_was_moved_and_not_reserved(self) -> None:
        rows = self.world.shop.query(
            "SELECT s.product_id, quantity, reserved,"
            " (SELECT sum(quantity) FROM catalog.stock_movements AS m WHERE m.product_id = s.product_id),"
            " (SELECT sum(quantity) FROM catalog.reservation_lines AS l JOIN catalog.reservations USING (reference)"
            "  WHERE l.product_id = s.product_id AND status = 'held')"
            " FROM catalog.stock AS s WHERE s.product_id = ANY(:ids)",
            ids=[product.id for product in self.model.products],
        )
        stored = {row[0]: tuple(int(n or 0) for n in row[1:]) for row in rows}
        for product in self.model.products:
            reserved = self.model.reserved(product)
            assert stored[product.id] == (product.on_hand, reserved, product.on_hand, reserved), product
            shown = self._read(product)
            assert (shown["on_hand"], shown["reserved"]) == (product.on_hand, reserved), product
            assert shown["stock"] == product.on_hand - reserved, product
            assert Decimal(shown["price"]) == product.price, product

    @invariant()
    def orders_and_their_money_are_as_in_the_model_and_the_providers_books(self) -> None:
        books = self.world.at_the_provider()
        names = dict(
            self.world.shop.query(
                "SELECT id, stock_reference FROM ordering.orders WHERE id = ANY(:ids)",
                ids=[order.id for order in self.model.orders],
            )
        )
        for order in self.model.orders:
            shown = self.world.get(order.owner, _path(order))
            refunded = order.given_back("succeeded")
            lines = sorted((line["product_id"], line["quantity"], Decimal(line["unit_price"])) for line in shown["items"])
            assert lines == sorted((product.id, *line) for product, line in order.lines.items())
            assert Decimal(shown["total"]) == order.total
            assert (shown["status"], Decimal(shown["refunded_amount"])) == (order.status, refunded)
            whole = "none" if refunded == 0 else "full" if refunded == order.captured else "partial"
            assert shown["refund_status"] == whole
            assert books.get(names[order.id], NOTHING) == order.at_the_provider, order

    def teardown(self) -> None:
        """In the end nothing is open: what the shop has captured and not refunded is what the provider has."""
        self.time_passes(16 * 60)
        self.time_passes(16 * 60)
        self.stock_is_what_was_moved_and_not_reserved()
        self.orders_and_their_money_are_as_in_the_model_and_the_providers_books()
        assert all(attempt.status != "open" for order in self.model.orders for attempt in order.payments + order.refunds)

    def _person(self) -> Principal:
        body = {"email": f"{uuid4().hex}@example.com", "password": "a phrase for the model", "full_name": "Ada Lovelace"}
        answer = self.world.send(Request(None, "POST", "/api/v1/users", body, lambda _: 201))
        assert answer.status_code == 201, answer.text
        self.registered += 1
        return Principal(user_id=answer.json()["id"], roles=frozenset(), epoch=1)

    def _product(self, price: str, stock: int) -> Product:
        product = Product(self.world.shop.product(self.admin, price=price, stock=stock)["id"], Decimal(price), stock)
        self.model.products.append(product)
        return product

    def _read(self, product: Product) -> Any:
        return self.world.get(self.admin, f"/api/v1/products/{product.id}")

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

        self._submit(Request(order.owner, "POST", f"{_path(order)}/payments", {"method": "card", "token": token}, expect))

    def _refund(
        self, order: Order, body: dict[str, Any], amount: Decimal | None, items: tuple[tuple[Product, int, bool], ...]
    ) -> None:
        def expect(request: Request) -> int:
            if request.begun is None:
                begun = self.model.begin_refund(order, amount, items, self.now)
                if isinstance(begun, int):
                    return begun
                request.begun = begun
            return self.model.go_on_refunding(request.begun)

        self._submit(Request(self.admin, "POST", f"{_path(order)}/refunds", body, expect))

    def _submit(self, request: Request, *, again: bool = False) -> Any:
        """Send it and compare; answers the order if it placed one."""
        if not again:
            self.requests.append(request)
        self.asked_since = True
        answer = self.world.send(request)
        if request.kept is not None:
            assert (answer.content, answer.headers["idempotency-replayed"]) == (request.kept, "true")
            return multiple()
        expected = request.expect(request)
        self.world.outcomes[request.path.rpartition("/")[2], expected] += 1
        assert answer.status_code == expected, (request, answer.text)
        if request.keeps_answer and expected == 201:
            request.kept = answer.content
        if request.placed is None:
            return multiple()
        request.placed.id = answer.json()["id"]
        return request.placed


def _path(order: Order) -> str:
    return f"/api/v1/orders/{order.id}"


@pytest.fixture
def world(database: Clone, engines: Engines, tmp_path: Path) -> Iterator[World]:
    clock = FixedClock(datetime.now(UTC))
    own = Engines(engines.url, threads=2, roles=engines.roles)
    app = create_app(shop_settings(database, EMPORIUM_DATA_DIR=str(tmp_path)), engines=own, clock=clock)
    superuser = create_engine(database.superuser, pool_size=1, isolation_level="AUTOCOMMIT")
    with TestClient(app, raise_server_exceptions=False) as http:
        yield World(Shop(app, http, own, superuser), clock, tmp_path / FILE)
    superuser.dispose()


def run(world: World, *, runs: int, steps: int, derandomize: bool = True) -> None:
    run_state_machine_as_test(
        lambda: Shopping(world),  # type: ignore[arg-type]  # any factory will do
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            derandomize=derandomize,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


def test_the_shop_agrees_with_the_model(world: World) -> None:
    run(world, runs=20, steps=25)


@pytest.mark.prove
def test_the_shop_agrees_with_the_model_for_long(world: World) -> None:
    asked = os.environ.get(RUNS)
    run(world, runs=int(asked or 100), steps=50, derandomize=asked is None)
    # Else the stories were not about much.
    assert world.outcomes.keys() >= OUTCOMES
