"""Users in the whole shop: a customer's life from registering to deletion, as a client sees it."""

from __future__ import annotations

from uuid import uuid4

from tests.shop_fixtures import Shop
from tests.users.users_app import PASSWORD, new_email

USERS = "/api/v1/users"


def registered(shop: Shop, email: str) -> int:
    answer = shop.http.post(USERS, json={"email": email, "password": PASSWORD, "full_name": "Ada Lovelace"})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def logged_in(shop: Shop, email: str) -> dict[str, str]:
    answer = shop.http.post("/api/v1/auth/token", data={"username": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


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


def test_the_api_describes_every_route_of_users(shop: Shop) -> None:
    document = shop.http.get("/openapi.json").json()

    operations = {
        operation["operationId"]
        for path, methods in document["paths"].items()
        if path.startswith((USERS, "/api/v1/auth"))
        for operation in methods.values()
    }
    assert len(operations) == 18
    assert all(name.startswith("users_") for name in operations)
    assert "password_hash" not in str(document)
