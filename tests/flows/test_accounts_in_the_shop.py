"""Accounts in the whole shop: a customer's life from registering to deletion, as a client sees it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.ordering.conftest import ADDRESS
from tests.scenario import Scenario
from tests.shop_fixtures import Shop
from tests.users.users_app import PASSWORD, new_email

from kernel.database.dispatching.dispatcher import Dispatcher
from ordering.interface import OrderCancelled

USERS = "/api/v1/users"


def registered(shop: Shop, email: str) -> int:
    answer = shop.http.post(USERS, json={"email": email, "password": PASSWORD, "full_name": "Ada Lovelace"})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def logged_in(shop: Shop, email: str) -> dict[str, str]:
    answer = shop.http.post("/api/v1/auth/token", data={"username": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


def sent(shop: Shop, path: str, body: Any, headers: dict[str, str]) -> Any:
    answer = shop.http.post(path, json=body, headers={**headers, "idempotency-key": uuid4().hex})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_orders_outlive_the_account_of_their_buyer(shop: Shop) -> None:
    email = new_email()
    user_id = registered(shop, email)
    buyer = logged_in(shop, email)
    items = [{"product_id": shop.product()["id"], "quantity": 1}]
    placed = shop.http.post("/api/v1/orders", json={"items": items}, headers={**buyer, "idempotency-key": uuid4().hex})
    assert placed.status_code == 201, placed.text

    assert shop.http.delete(f"{USERS}/me", headers=buyer).status_code == 204

    order = shop.http.get(f"/api/v1/orders/{placed.json()['id']}", headers=shop.headers(shop.admin()))
    assert order.json()["user_id"] == user_id
    assert shop.http.get("/api/v1/orders", headers=buyer).status_code == 401


def test_a_closed_account_cancels_its_pending_orders_and_has_its_addresses_erased(
    shop: Shop, dispatcher: Dispatcher, scenario: Scenario
) -> None:
    email = new_email()
    registered(shop, email)
    buyer = logged_in(shop, email)
    lines = {"items": [{"product_id": shop.product()["id"], "quantity": 1}], "shipping_address": ADDRESS}
    orders = [sent(shop, "/api/v1/orders", lines, buyer) for _ in range(2)]
    pending, paid = (f"/api/v1/orders/{order['id']}" for order in orders)
    sent(shop, f"{paid}/payments", {"method": "card", "token": "tok_approve"}, buyer)

    story = scenario.stimulate(lambda: shop.http.delete(f"{USERS}/me", headers=buyer))

    assert story.result.status_code == 204
    story.await_deliveries()
    dispatcher.run_jobs(due_only=False)
    assert story.await_event(OrderCancelled).order_id == orders[0]["id"]
    admin = shop.headers(shop.admin())
    assert [shop.http.get(order, headers=admin).json()["shipping_address"] for order in (pending, paid)] == [None, None]
    assert shop.http.get(pending, headers=admin).json()["status"] == "cancelled"
    assert shop.http.get(f"{pending}/history", headers=admin).json()["items"][-1]["by"] == "system"


def test_a_disabled_customer_cannot_order_any_more(shop: Shop) -> None:
    email = new_email()
    user_id = registered(shop, email)
    buyer = logged_in(shop, email)
    items = [{"product_id": shop.product()["id"], "quantity": 1}]
    shop.http.post(f"{USERS}/{user_id}/disable", headers=shop.headers(shop.admin()))

    placed = shop.http.post("/api/v1/orders", json={"items": items}, headers={**buyer, "idempotency-key": uuid4().hex})

    assert placed.status_code == 401
    assert shop.query("SELECT count(*) FROM ordering.orders") == [(0,)]


def test_a_new_admin_works_in_the_whole_shop_and_a_former_one_does_not(shop: Shop) -> None:
    email = new_email()
    path = f"{USERS}/{registered(shop, email)}/roles/admin"
    assert shop.http.put(path, headers=shop.headers(shop.admin())).status_code == 200
    keeper = registered(shop, new_email())
    shop.http.put(f"{USERS}/{keeper}/roles/admin", headers=shop.headers(shop.admin()))
    admin = logged_in(shop, email)
    lamp = {"name": "Desk lamp", "price": "19.99"}
    assert shop.http.post("/api/v1/products", json=lamp, headers=admin).status_code == 201

    assert shop.http.delete(path, headers=shop.headers(shop.admin())).status_code == 204

    assert shop.http.post("/api/v1/products", json=lamp, headers=admin).status_code == 401
    assert shop.http.post("/api/v1/products", json=lamp, headers=logged_in(shop, email)).status_code == 403
