"""An order's states over HTTP: every allowed step, every forbidden one, and what the order says of itself."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ordering.conftest import ADDRESS, Till

from kernel.pure.principal import Principal
from ordering.interface import OrderStatus
from ordering.service import TRANSITIONS, allowed_actions

ACTIONS: dict[str, Any] = {
    "pay": ("payments", {"method": "card"}),
    "cancel": ("cancel", None),
    "ship": ("ship", {"tracking_reference": "T-1"}),
    "deliver": ("deliver", None),
    "refund": ("refunds", {}),
}
BY_ADMIN = {
    "pending": ["pay", "cancel", "set-shipping-address"],
    "paid": ["ship", "set-shipping-address", "refund"],
    "shipped": ["deliver", "refund"],
    "delivered": ["refund"],
    "cancelled": [],
    "expired": [],
}
BY_OWNER = {
    status: [action for action in actions if action in ("pay", "cancel", "set-shipping-address")]
    for status, actions in BY_ADMIN.items()
}


def bring(till: Till, buyer: Principal, status: str) -> dict[str, Any]:
    """An order in this state, by the public ways."""
    order, admin = till.order(buyer), till.shop.admin()
    if status in ("paid", "shipped", "delivered"):
        assert till.pay(buyer, order).status_code == 201
    if status in ("shipped", "delivered"):
        assert till.post(admin, order, "ship", {"tracking_reference": "T-1"}).status_code == 200
    if status == "delivered":
        assert till.post(admin, order, "deliver").status_code == 200
    if status == "cancelled":
        assert till.post(buyer, order, "cancel").status_code == 200
    if status == "expired":
        till.overdue(order)
        assert till.service.expire_orders() == 1
    return order


@pytest.mark.parametrize("status", BY_ADMIN)
class TestEveryState:
    def test_the_order_says_what_its_owner_and_an_admin_may_do(self, till: Till, status: str) -> None:
        buyer = till.shop.person()
        order = bring(till, buyer, status)
        own, admins = till.read(buyer, order), till.read(till.shop.admin(), order)
        assert (own["status"], admins["status"]) == (status, status)
        assert own["allowed_actions"] == BY_OWNER[status]
        assert admins["allowed_actions"] == BY_ADMIN[status]
        assert (own["expires_at"] is None) is (status != "pending")

    @pytest.mark.parametrize("action", ACTIONS)
    def test_an_action_is_done_or_refused_with_the_state_and_what_is_allowed(
        self, till: Till, status: str, action: str
    ) -> None:
        buyer, admin = till.shop.person(), till.shop.admin()
        order = bring(till, buyer, status)
        before = till.read(admin, order)
        path, body = ACTIONS[action]
        answer = till.post(admin, order, path, body, key="k" if action in ("pay", "refund") else None)
        if action in BY_ADMIN[status]:
            assert answer.status_code in (200, 201), answer.text
            return
        assert answer.status_code == 409
        problem = answer.json()
        assert problem["code"] == "action-not-allowed"
        assert (problem["order_status"], problem["allowed"]) == (status, BY_ADMIN[status])
        assert till.read(admin, order) == before

    def test_the_address_can_be_set_until_the_order_has_gone(self, till: Till, status: str) -> None:
        buyer = till.shop.person()
        order = bring(till, buyer, status)
        path = f"/api/v1/orders/{order['id']}/shipping-address"
        answer = till.shop.http.put(path, json={**ADDRESS, "city": "York"}, headers=till.shop.headers(buyer))
        if status in ("pending", "paid"):
            assert answer.status_code == 200
            assert answer.json()["shipping_address"]["city"] == "York"
        else:
            assert answer.status_code == 409
            assert answer.json()["allowed"] == BY_OWNER[status]


class TestTheWholeWay:
    def test_the_history_tells_who_did_what(self, till: Till) -> None:
        buyer = till.shop.person()
        order = bring(till, buyer, "delivered")
        till.refund(order, amount="5.00", reason="Scratched")
        told = [
            (step["action"], step["status"], step["by"], step["amount"], step["note"])
            for step in till.listed(buyer, order, "/history")
        ]
        assert told == [
            ("place", "pending", "customer", None, None),
            ("pay", "paid", "customer", "39.98", None),
            ("ship", "shipped", "admin", None, "T-1"),
            ("deliver", "delivered", "admin", None, None),
            ("refund", "delivered", "admin", "5.00", "Scratched"),
        ]
        assert till.events(order) == ["OrderPlaced", "OrderPaid", "OrderShipped", "OrderDelivered", "OrderRefunded"]

    def test_paying_sells_what_was_reserved(self, till: Till) -> None:
        lamp, buyer = till.shop.product(stock=10), till.shop.person()
        order = till.order(buyer, (lamp, 3))
        assert till.stock(lamp) == (10, 3)
        till.pay(buyer, order)
        assert till.stock(lamp) == (7, 0)

    @pytest.mark.parametrize("end", ["cancelled", "expired"])
    def test_an_order_that_ends_unpaid_lets_its_stock_go_once(self, till: Till, end: str) -> None:
        buyer = till.shop.person()
        order = bring(till, buyer, end)
        assert till.stock({"id": order["items"][0]["product_id"]}) == (10, 0)
        assert till.events(order) == ["OrderPlaced", "OrderCancelled" if end == "cancelled" else "OrderExpired"]
        assert till.listed(buyer, order, "/history")[-1]["by"] == ("customer" if end == "cancelled" else "system")
        assert till.service.expire_orders() == 0

    def test_an_order_in_time_does_not_expire(self, till: Till) -> None:
        order = till.order(till.shop.person())
        assert till.service.expire_orders() == 0
        assert not till.service.expire_order(order_id=order["id"])

    def test_without_an_address_nothing_is_shipped(self, till: Till) -> None:
        buyer, admin = till.shop.person(), till.shop.admin()
        order = till.order(buyer, shipping_address=None)
        till.pay(buyer, order)
        refused = till.post(admin, order, "ship", {"tracking_reference": "T-1"})
        assert (refused.status_code, refused.json()["code"]) == (409, "shipping-address-required")
        assert refused.json()["order_status"] == "paid"
        path = f"/api/v1/orders/{order['id']}/shipping-address"
        till.shop.http.put(path, json=ADDRESS, headers=till.shop.headers(buyer))
        shipped = till.post(admin, order, "ship", {"tracking_reference": "T-1"})
        assert shipped.status_code == 200
        assert shipped.json()["tracking_reference"] == "T-1"
        assert shipped.headers["etag"] != refused.headers.get("etag")

    @pytest.mark.parametrize("action", ["ship", "deliver", "refunds"])
    def test_only_admins_ship_deliver_and_refund(self, till: Till, action: str) -> None:
        buyer = till.shop.person()
        order = bring(till, buyer, "paid")
        body = {"tracking_reference": "T-1"} if action == "ship" else {}
        assert till.post(buyer, order, action, body, key="k").status_code == 403

    @pytest.mark.parametrize("what", ["/history", "/payments", "/payments/1"])
    def test_somebody_elses_order_shows_nothing(self, till: Till, what: str) -> None:
        buyer = till.shop.person()
        order = bring(till, buyer, "paid")
        path = f"/api/v1/orders/{order['id']}{what}"
        assert till.shop.http.get(path, headers=till.shop.headers(till.shop.person())).status_code == 404
        assert till.pay(till.shop.person(), order).status_code == 404


def test_the_table_has_no_way_back_and_none_past_an_end() -> None:
    order = list(OrderStatus)
    assert all(order.index(step.before) < order.index(step.after) for step in TRANSITIONS.values())
    for end in (OrderStatus.DELIVERED, OrderStatus.CANCELLED, OrderStatus.EXPIRED):
        assert allowed_actions(end, refundable=0, is_admin=True) == ()  # type: ignore[arg-type] # nothing left


class TestNotReady:
    def test_an_order_that_is_being_paid_cannot_be_paid_again_and_its_tag_says_so(self, till: Till) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        path = f"/api/v1/orders/{order['id']}"
        before = till.shop.http.get(path, headers=till.shop.headers(buyer))
        assert till.pay(buyer, order, token="tok_timeout").status_code == 202
        during = till.shop.http.get(path, headers=till.shop.headers(buyer, if_none_match=before.headers["etag"]))
        assert during.status_code == 200
        assert (before.json()["allowed_actions"], during.json()["allowed_actions"]) == (
            ["pay", "cancel", "set-shipping-address"],
            ["cancel", "set-shipping-address"],
        )
        [listed] = till.shop.http.get("/api/v1/orders", headers=till.shop.headers(buyer)).json()["items"]
        assert listed == during.json()

    def test_an_order_whose_payment_was_declined_can_be_paid(self, till: Till) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        assert till.pay(buyer, order, token="tok_decline").status_code == 402
        assert till.read(buyer, order)["allowed_actions"] == BY_OWNER["pending"]

    def test_an_order_without_an_address_cannot_be_shipped_until_it_has_one(self, till: Till) -> None:
        buyer, admin = till.shop.person(), till.shop.admin()
        order = till.order(buyer, shipping_address=None)
        assert till.pay(buyer, order).status_code == 201
        assert till.read(admin, order)["allowed_actions"] == ["set-shipping-address", "refund"]
        path = f"/api/v1/orders/{order['id']}/shipping-address"
        assert till.shop.http.put(path, json=ADDRESS, headers=till.shop.headers(buyer)).status_code == 200
        assert till.read(admin, order)["allowed_actions"] == BY_ADMIN["paid"]
