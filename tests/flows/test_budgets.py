"""Budgets across modules, counted on the wire on the real application with the wall on: shapes, limits, broken lines."""

from __future__ import annotations

import json
from typing import Any

from fastapi.routing import APIRoute
from tests.meter import ROOT, Meter, assert_shape
from tests.shop_fixtures import Shop

from app.contracts.gates.work.budgets import read_budgets
from kernel.http.hop_route import HopRoute


def order_of(*lines: tuple[dict[str, Any], int]) -> dict[str, Any]:
    return {"items": [{"product_id": product["id"], "quantity": quantity} for product, quantity in lines]}


def test_the_budgets_of_the_hot_routes_are_the_houses() -> None:
    """What each costs is measured by its module's own test_budgets.py; how much it may be at most is not up to the module."""
    budgets = {module: read_budgets(ROOT, module).routes for module in ("catalog", "ordering")}
    assert budgets["catalog"]["catalog_read_product"] == 1
    assert budgets["catalog"]["catalog_list_products"] == 1
    assert budgets["ordering"]["ordering_read_order"] == 1
    assert budgets["ordering"]["ordering_list_orders"] == 1
    assert budgets["ordering"]["ordering_place_order"] <= 8


class TestReads:
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

    def test_a_refused_order_ends_with_its_rollback_and_one_look_for_a_twin(self, meter: Meter) -> None:
        lines = [(meter.shop.product(stock=0), 1)]
        cost = meter.ask("POST", "/api/v1/orders", meter.shop.person(), order_of(*lines), idempotency_key="k")
        assert_shape(cost, 409)
        *_, rolled_back, looked = cost.messages
        assert rolled_back == "ROLLBACK"
        assert "FROM kernel.idempotency_keys" in looked


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
