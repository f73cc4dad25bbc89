"""A product's stock while an order lives: held, sold, counted as sold, and back again; over HTTP, with events delivered."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.catalog.http import Api
from tests.scenario import Scenario
from tests.shop_fixtures import Shop

from ordering.interface import OrderPaid


def post(shop: Shop, caller: Any, order: dict[str, Any], action: str, body: Any) -> dict[str, Any]:
    headers = shop.headers(caller, idempotency_key=uuid4().hex)
    answer = shop.http.post(f"/api/v1/orders/{order['id']}/{action}", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def seen(admin: Api, product: dict[str, Any]) -> tuple[int, int, int, int]:
    """On hand, reserved, what can be sold, and what was."""
    read = admin.read(product).json()
    return read["on_hand"], read["reserved"], read["stock"], read["units_sold"]


def test_an_order_holds_then_sells_then_counts_and_a_refund_brings_back(shop: Shop, scenario: Scenario) -> None:
    admin, public = Api(shop, shop.admin()), Api(shop, None)
    lamp, mug = admin.created(name="Lamp", stock=10), admin.created(name="Mug", stock=10)
    buyer = shop.person()
    order = shop.place(buyer, (lamp, 3)).json()
    assert seen(admin, lamp) == (10, 3, 7, 0)
    assert public.names(sort="best-selling") == ["Mug", "Lamp"]

    story = scenario.stimulate(lambda: post(shop, buyer, order, "payments", {"method": "card", "token": "tok_approve"}))
    assert seen(admin, lamp)[:3] == (7, 0, 7)
    story.await_event(OrderPaid, lambda paid: paid.order_id == order["id"])
    assert story.await_state(lambda: seen(admin, lamp), (7, 0, 7, 3)) == (7, 0, 7, 3)
    assert public.names(sort="best-selling") == ["Lamp", "Mug"]
    story.await_deliveries()
    assert seen(admin, lamp) == (7, 0, 7, 3)

    items = [{"product_id": lamp["id"], "quantity": 2, "restock": True}]
    post(shop, admin.caller, order, "refunds", {"items": items, "reason": "Too bright"})
    assert seen(admin, lamp) == (9, 0, 9, 3)
    assert [(item["reason"], item["quantity"]) for item in admin.movements(lamp)] == [
        ("return", 2),
        ("sale", -3),
        ("initial", 10),
    ]
    assert seen(admin, mug) == (10, 0, 10, 0)
