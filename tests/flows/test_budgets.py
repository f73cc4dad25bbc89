"""Budgets of the hot routes, counted on the wire on the real application with the wall on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import anyio.to_thread
import pytest
from fastapi.routing import APIRoute
from tests.asgi import ask
from tests.database_fixtures import Clone
from tests.shop_fixtures import Shop, shop_settings
from tests.wire import Wire, wire

from app.application import create_app
from kernel.database.engines import Engines
from kernel.http.executor import HopExecutor
from kernel.http.hop_route import HopRoute
from kernel.pure.principal import Principal


@dataclass
class Cost:
    """What one request took, seen from outside."""

    status: int = 0
    messages: list[str] = field(default_factory=list)
    hops: int = 0
    other_hops: int = 0
    held: list[int] = field(default_factory=list)
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Meter:
    """The shop's application once more, behind a wire that counts."""

    app: Any
    engines: Engines
    wire: Wire
    shop: Shop

    def ask(self, method: str, path: str, caller: Principal | None = None, body: Any = None, **headers: str) -> Cost:
        """One request; asserts nothing."""
        return asyncio.run(self._ask(method, path, caller, body, headers))

    async def _ask(self, method: str, path: str, caller: Principal | None, body: Any, headers: dict[str, str]) -> Cost:
        cost = Cost()

        def count_held(_: Any) -> None:
            pools: Any = (self.engines.writer.pool, self.engines.reader.pool)
            cost.held.append(sum(pool.checkedout() for pool in pools))

        executor: HopExecutor = self.app.state.executor
        before, first = executor.hops, len(self.wire.messages)
        others = _OTHER_HOPS.count
        content = b"" if body is None else json.dumps(body).encode()
        sent = self.shop.headers(caller, **headers)
        answer = await ask(self.app, method, path, body=content, headers=sent, on_message=count_held)
        cost.status, cost.headers, cost.body = answer.status, answer.headers, answer.body
        cost.hops, cost.other_hops = executor.hops - before, _OTHER_HOPS.count - others
        cost.messages = self.wire.messages[first:]
        return cost


class _OtherHops:
    """Counts what goes to the framework's own thread pool."""

    count = 0


_OTHER_HOPS = _OtherHops()


@pytest.fixture
def meter(shop: Shop, database: Clone, engines: Engines, monkeypatch: pytest.MonkeyPatch) -> Iterator[Meter]:
    original = anyio.to_thread.run_sync

    async def counted(*args: Any, **kwargs: Any) -> Any:
        _OTHER_HOPS.count += 1
        return await original(*args, **kwargs)

    monkeypatch.setattr(anyio.to_thread, "run_sync", counted)
    with wire(engines.url) as proxy:
        behind = Engines(proxy.url, threads=2, roles=engines.roles)
        app = create_app(shop_settings(database), engines=behind)
        # The first use of an engine asks the server for its version and settings.
        for engine in (behind.writer, behind.reader):
            engine.connect().close()
        yield Meter(app, behind, proxy, shop)
        app.state.executor.shutdown()
        behind.close()


def order_of(*lines: tuple[dict[str, Any], int]) -> dict[str, Any]:
    return {"items": [{"product_id": product["id"], "quantity": quantity} for product, quantity in lines]}


def assert_shape(cost: Cost, status: int) -> None:
    """What every request keeps: one hop, no other thread, no connection held while the answer is sent."""
    assert cost.status == status, cost.body
    assert (cost.hops, cost.other_hops) == (1, 0)
    assert set(cost.held) == {0}


class TestReads:
    def test_reading_a_product_is_one_round_trip(self, meter: Meter) -> None:
        lamp = meter.shop.product()
        cost = meter.ask("GET", f"/api/v1/products/{lamp['id']}")
        assert_shape(cost, 200)
        assert len(cost.messages) == 1

    def test_so_it_is_for_somebody_signed_in_whose_rights_are_checked(self, meter: Meter) -> None:
        lamp = meter.shop.product()
        cost = meter.ask("GET", f"/api/v1/products/{lamp['id']}", meter.shop.admin())
        assert_shape(cost, 200)
        assert len(cost.messages) == 1
        assert "kernel.require_principal" in cost.messages[0]

    @pytest.mark.parametrize("query", ["", "?sort=price&limit=2", "?q=lamp&in_stock=true"])
    def test_listing_products_is_one_round_trip(self, meter: Meter, query: str) -> None:
        for _ in range(3):
            meter.shop.product()
        cost = meter.ask("GET", f"/api/v1/products{query}")
        assert_shape(cost, 200)
        assert len(cost.messages) == 1

    def test_reading_an_order_with_its_lines_is_one_round_trip(self, meter: Meter) -> None:
        buyer = meter.shop.person()
        order = meter.shop.place(buyer, (meter.shop.product(), 1), (meter.shop.product(), 2)).json()
        cost = meter.ask("GET", f"/api/v1/orders/{order['id']}", buyer)
        assert_shape(cost, 200)
        assert len(cost.messages) == 1
        assert len(json.loads(cost.body)["items"]) == 2
        assert [entry["action"] for entry in json.loads(cost.body)["history"]] == ["place"]

    def test_listing_orders_with_their_lines_is_one_round_trip(self, meter: Meter) -> None:
        buyer = meter.shop.person()
        for _ in range(3):
            meter.shop.place(buyer, (meter.shop.product(), 1))
        cost = meter.ask("GET", "/api/v1/orders?limit=2", buyer)
        assert_shape(cost, 200)
        assert len(cost.messages) == 1
        assert [len(order["history"]) for order in json.loads(cost.body)["items"]] == [1, 1]


class TestPlacing:
    def test_an_order_of_two_lines_is_at_most_eight_round_trips(self, meter: Meter) -> None:
        lines = [(meter.shop.product(), 1), (meter.shop.product(), 2)]
        cost = meter.ask("POST", "/api/v1/orders", meter.shop.person(), order_of(*lines), idempotency_key="k")
        assert_shape(cost, 201)
        assert len(cost.messages) <= 8
        assert cost.messages[0].startswith("BEGIN")
        assert cost.messages[-1] == "COMMIT"

    def test_an_order_of_five_hundred_lines_is_at_most_ten(self, meter: Meter) -> None:
        lines = [(meter.shop.product(), 1) for _ in range(500)]
        cost = meter.ask("POST", "/api/v1/orders", meter.shop.person(), order_of(*lines), idempotency_key="k")
        assert_shape(cost, 201)
        assert len(json.loads(cost.body)["items"]) == 500
        assert len(cost.messages) <= 10
        assert cost.messages[-1] == "COMMIT"

    def test_a_replayed_key_is_three(self, meter: Meter) -> None:
        buyer, lines = meter.shop.person(), [(meter.shop.product(), 1)]
        first = meter.ask("POST", "/api/v1/orders", buyer, order_of(*lines), idempotency_key="k")
        again = meter.ask("POST", "/api/v1/orders", buyer, order_of(*lines), idempotency_key="k")
        assert_shape(again, 201)
        assert again.body == first.body
        assert len(again.messages) == 3

    def test_a_refused_order_ends_with_its_rollback(self, meter: Meter) -> None:
        lines = [(meter.shop.product(stock=0), 1)]
        cost = meter.ask("POST", "/api/v1/orders", meter.shop.person(), order_of(*lines), idempotency_key="k")
        assert_shape(cost, 409)
        assert cost.messages[-1] == "ROLLBACK"


class TestPaying:
    def test_paying_is_three_transactions_and_at_most_seventeen_round_trips(self, meter: Meter) -> None:
        buyer = meter.shop.person()
        order = meter.shop.place(buyer, (meter.shop.product(), 1), (meter.shop.product(), 2)).json()
        path = f"/api/v1/orders/{order['id']}/payments"
        cost = meter.ask("POST", path, buyer, {"method": "card"}, idempotency_key="k")
        assert_shape(cost, 201)
        # Begun, authorised, captured: none of them holds a connection while the provider is asked.
        assert [message.split()[0] for message in cost.messages].count("COMMIT") == 3
        assert len(cost.messages) <= 17
        again = meter.ask("POST", path, buyer, {"method": "card"}, idempotency_key="k")
        assert_shape(again, 201)
        assert again.body == cost.body
        assert len(again.messages) == 4


class TestOutcomesOnTheWire:
    def test_a_commit_whose_answer_is_lost_is_503_and_the_replay_settles_it(self, meter: Meter) -> None:
        lamp, buyer = meter.shop.product(stock=10), meter.shop.person()
        meter.ask("POST", "/api/v1/orders", buyer, order_of((lamp, 1)), idempotency_key="warm")
        meter.wire.cut("^COMMIT$", after_forwarding=True)
        lost = meter.ask("POST", "/api/v1/orders", buyer, order_of((lamp, 1)), idempotency_key="k")
        assert lost.status == 503
        assert lost.headers["retry-after"]
        assert json.loads(lost.body)["code"] == "outcome-unknown"
        replay = meter.ask("POST", "/api/v1/orders", buyer, order_of((lamp, 1)), idempotency_key="k")
        assert replay.headers["idempotency-replayed"] == "true"
        assert meter.shop.stock_of(lamp) == 8

    def test_a_connection_that_breaks_before_commit_is_not_noticed_by_the_client(self, meter: Meter) -> None:
        lamp, buyer = meter.shop.product(stock=10), meter.shop.person()
        meter.ask("POST", "/api/v1/orders", buyer, order_of((lamp, 1)), idempotency_key="warm")
        meter.wire.cut("INSERT INTO ordering.orders", after_forwarding=True)
        cost = meter.ask("POST", "/api/v1/orders", buyer, order_of((lamp, 1)), idempotency_key="k")
        assert cost.status == 201
        assert meter.shop.stock_of(lamp) == 8


def test_every_route_of_the_api_is_of_our_route_class(shop: Shop) -> None:
    routes = [route for route in shop.app.routes if isinstance(route, APIRoute) and route.path.startswith("/api/")]
    assert len(routes) >= 13
    assert all(isinstance(route, HopRoute) for route in routes)
