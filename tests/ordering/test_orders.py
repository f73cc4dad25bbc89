"""Orders over HTTP on the real application: place, read, list, cancel."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from tests.shop_fixtures import Shop

from kernel.database.engines import Engines
from kernel.pure.principal import Principal
from ordering.crud.orders import list_orders, read_order

ADDRESS = {
    "name": "Ada Lovelace",
    "line1": "12 St James's Square",
    "line2": None,
    "city": "London",
    "postal_code": "SW1Y 4JH",
    "country": "GB",
}


def outbox(shop: Shop) -> list[str]:
    return [name for (name,) in shop.query("SELECT name FROM kernel.outbox ORDER BY id")]


class TestPlacing:
    def test_an_order_keeps_price_and_name_as_sold(self, shop: Shop) -> None:
        lamp = shop.product(name="Lamp", price="19.99")
        buyer = shop.person()
        order = shop.place(buyer, (lamp, 2)).json()
        shop.http.patch(
            f"/api/v1/products/{lamp['id']}", json={"price": "99.00", "name": "Other"}, headers=shop.headers(shop.admin())
        )
        again = shop.http.get(f"/api/v1/orders/{order['id']}", headers=shop.headers(buyer)).json()
        assert again == order
        assert again["items"] == [
            {
                "product_id": lamp["id"],
                "sku": lamp["sku"],
                "name": "Lamp",
                "quantity": 2,
                "unit_price": "19.99",
                "line_total": "39.98",
            }
        ]

    def test_the_answer_is_the_order_with_its_place_and_tag(self, shop: Shop) -> None:
        answer = shop.place(shop.person(), (shop.product(price="0.01"), 3), shipping_address=ADDRESS)
        order = answer.json()
        assert answer.status_code == 201
        assert answer.headers["location"] == f"/api/v1/orders/{order['id']}"
        assert answer.headers["etag"] == '"1.own"'
        assert order["status"] == "pending"
        assert order["total"] == "0.03"
        assert order["currency"] == "GBP"
        assert order["shipping_address"] == ADDRESS
        assert order["number"] != str(order["id"])

    def test_stock_is_taken(self, shop: Shop) -> None:
        lamp, shade = shop.product(stock=10), shop.product(stock=5)
        shop.place(shop.person(), (lamp, 4), (shade, 5))
        assert (shop.stock_of(lamp), shop.stock_of(shade)) == (6, 0)

    def test_lines_of_one_product_are_added_up(self, shop: Shop) -> None:
        lamp = shop.product(price="2.50", stock=10)
        order = shop.place(shop.person(), (lamp, 1), (lamp, 2)).json()
        assert [(line["quantity"], line["line_total"]) for line in order["items"]] == [(3, "7.50")]
        assert shop.stock_of(lamp) == 7

    def test_an_order_is_announced_in_the_same_commit(self, shop: Shop) -> None:
        order = shop.place(shop.person(), (shop.product(), 1)).json()
        events = shop.query("SELECT name, aggregate, payload FROM kernel.outbox")
        assert events == [
            (
                "ordering.OrderPlaced",
                f"order:{order['id']}",
                {
                    "order_id": order["id"],
                    "user_id": order["user_id"],
                    "number": order["number"],
                    "total": "19.99",
                    "currency": "GBP",
                },
            )
        ]

    def test_an_order_of_a_thousand_lines_is_placed_and_one_more_is_refused(self, shop: Shop) -> None:
        lamp = shop.product(stock=5000)
        assert shop.place(shop.person(), *[(lamp, 1)] * 1000).status_code == 201
        refused = shop.place(shop.person(), *[(lamp, 1)] * 1001)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"] == "/items"

    def test_the_largest_total_is_refused_before_it_overflows(self, shop: Shop) -> None:
        gems = [shop.product(price="99999999.99", stock=1_000_000) for _ in range(101)]
        answer = shop.place(shop.person(), *[(gem, 1_000_000) for gem in gems])
        assert answer.status_code == 422
        assert shop.stock_of(gems[0]) == 1_000_000


class TestRefusals:
    def test_out_of_stock_names_product_and_available_and_takes_nothing(self, shop: Shop) -> None:
        lamp, shade = shop.product(stock=10), shop.product(stock=2)
        answer = shop.place(shop.person(), (lamp, 1), (shade, 3))
        assert answer.status_code == 409
        problem = answer.json()
        assert problem["code"] == "out-of-stock"
        assert problem["shortages"] == [{"product_id": shade["id"], "requested": 3, "available": 2}]
        assert (shop.stock_of(lamp), shop.stock_of(shade)) == (10, 2)
        assert outbox(shop) == []

    def test_an_unknown_product_is_not_found(self, shop: Shop) -> None:
        answer = shop.place(shop.person(), ({"id": 999_999}, 1))
        assert answer.status_code == 404
        assert answer.json()["product_id"] == 999_999

    @pytest.mark.parametrize("status", ["draft", "archived"])
    def test_a_product_that_is_not_published_is_not_found(self, shop: Shop, status: str) -> None:
        assert shop.place(shop.person(), (shop.product(status=status), 1)).status_code == 404

    def test_without_a_token_nobody_orders(self, shop: Shop) -> None:
        answer = shop.http.post("/api/v1/orders", json={"items": []}, headers={"idempotency-key": "k"})
        assert answer.status_code == 401

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"items": []}, "/items"),
            ({}, "/items"),
            ({"items": [{"product_id": 1, "quantity": 0}]}, "/items/0/quantity"),
            ({"items": [{"product_id": 1, "quantity": -1}]}, "/items/0/quantity"),
            ({"items": [{"product_id": 1, "quantity": 1_000_001}]}, "/items/0/quantity"),
            ({"items": [{"product_id": 1, "quantity": 2**31}]}, "/items/0/quantity"),
            ({"items": [{"product_id": 1, "quantity": 1.5}]}, "/items/0/quantity"),
            ({"items": [{"product_id": 1, "quantity": "1"}]}, "/items/0/quantity"),
            ({"items": [{"product_id": 1, "quantity": True}]}, "/items/0/quantity"),
            ({"items": [{"product_id": 2**63, "quantity": 1}]}, "/items/0/product_id"),
            ({"items": [{"product_id": 0, "quantity": 1}]}, "/items/0/product_id"),
            ({"items": [{"product_id": 1, "quantity": 1}], "total": "0.00"}, "/total"),
            ({"items": [{"product_id": 1, "quantity": 1, "unit_price": "0.00"}]}, "/items/0/unit_price"),
            ({"items": [{"product_id": 1, "quantity": 1}], "status": "paid"}, "/status"),
            ({"items": [{"product_id": 1, "quantity": 1}], "shipping_address": {"name": "x"}}, "/shipping_address/line1"),
            (
                {"items": [{"product_id": 1, "quantity": 1}], "shipping_address": {**ADDRESS, "country": "gb"}},
                "/shipping_address/country",
            ),
            (
                {"items": [{"product_id": 1, "quantity": 1}], "shipping_address": {**ADDRESS, "name": "a\0b"}},
                "/shipping_address/name",
            ),
        ],
    )
    def test_an_invalid_body_is_answered_with_pointers(self, shop: Shop, body: dict[str, Any], pointer: str) -> None:
        headers = shop.headers(shop.person(), idempotency_key="k")
        answer = shop.http.post("/api/v1/orders", json=body, headers=headers)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert pointer in [error["pointer"] for error in answer.json()["errors"]]
        assert shop.query("SELECT count(*) FROM kernel.idempotency_keys") == [(0,)]

    def test_ten_thousand_lines_are_refused(self, shop: Shop) -> None:
        assert shop.place(shop.person(), *[({"id": 1}, 1)] * 10_000).status_code == 422

    def test_a_huge_body_is_refused_before_it_is_read(self, shop: Shop) -> None:
        headers = shop.headers(shop.person(), idempotency_key="k", content_type="application/json")
        answer = shop.http.post("/api/v1/orders", content=b" " * 10_000_000, headers=headers)
        assert answer.status_code == 413


class TestIdempotencyKey:
    def test_without_a_key_an_order_is_refused(self, shop: Shop) -> None:
        answer = shop.http.post(
            "/api/v1/orders",
            json={"items": [{"product_id": shop.product()["id"], "quantity": 1}]},
            headers=shop.headers(shop.person()),
        )
        assert answer.status_code == 400
        assert answer.json()["code"] == "idempotency-key-required"

    def test_a_replay_answers_the_stored_bytes_and_places_nothing(self, shop: Shop) -> None:
        lamp, buyer = shop.product(stock=10), shop.person()
        first = shop.place(buyer, (lamp, 1), key="k")
        again = shop.place(buyer, (lamp, 1), key="k")
        assert again.status_code == 201
        assert again.content == first.content
        assert again.headers["location"] == first.headers["location"]
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["idempotency-replayed"] == "true"
        assert "idempotency-replayed" not in first.headers
        assert shop.stock_of(lamp) == 9
        assert outbox(shop) == ["ordering.OrderPlaced"]

    def test_the_same_key_with_another_body_is_refused(self, shop: Shop) -> None:
        lamp, buyer = shop.product(), shop.person()
        shop.place(buyer, (lamp, 1), key="k")
        assert shop.place(buyer, (lamp, 2), key="k").status_code == 422

    def test_the_same_key_of_another_person_is_another_key(self, shop: Shop) -> None:
        lamp = shop.product()
        orders = {shop.place(shop.person(), (lamp, 1), key="k").json()["id"] for _ in range(2)}
        assert len(orders) == 2

    def test_a_refused_request_keeps_no_key(self, shop: Shop) -> None:
        lamp, buyer = shop.product(stock=0), shop.person()
        assert shop.place(buyer, (lamp, 1), key="k").status_code == 409
        movement = {"quantity": 5, "reason": "restock"}
        headers = shop.headers(shop.admin(), idempotency_key="m")
        shop.http.post(f"/api/v1/products/{lamp['id']}/stock-movements", json=movement, headers=headers)
        assert shop.place(buyer, (lamp, 1), key="k").status_code == 201

    def test_one_key_many_times_at_once_places_one_order(self, shop: Shop) -> None:
        lamp, buyer = shop.product(stock=50), shop.person()
        answers: list[Any] = []
        start = threading.Barrier(12)

        def place() -> None:
            start.wait(10)
            answers.append(shop.place(buyer, (lamp, 1), key="k"))

        threads = [threading.Thread(target=place) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
        assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 409)
        assert shop.stock_of(lamp) == 49
        assert shop.place(buyer, (lamp, 1), key="k").headers["idempotency-replayed"] == "true"


class TestReading:
    def test_somebody_elses_order_looks_like_none(self, shop: Shop) -> None:
        order = shop.place(shop.person(), (shop.product(), 1)).json()
        stranger = shop.headers(shop.person())
        assert shop.http.get(f"/api/v1/orders/{order['id']}", headers=stranger).status_code == 404
        assert shop.http.post(f"/api/v1/orders/{order['id']}/cancel", headers=stranger).status_code == 404
        assert shop.http.get(f"/api/v1/orders/{order['id']}").status_code == 401

    def test_an_admin_reads_every_order_under_a_tag_of_its_own(self, shop: Shop) -> None:
        order = shop.place(shop.person(), (shop.product(), 1)).json()
        answer = shop.http.get(f"/api/v1/orders/{order['id']}", headers=shop.headers(shop.admin()))
        assert answer.json() == order
        assert answer.headers["etag"] == '"1.admin"'

    def test_an_unchanged_order_is_not_sent_again(self, shop: Shop) -> None:
        buyer = shop.person()
        order = shop.place(buyer, (shop.product(), 1))
        path = order.headers["location"]
        answer = shop.http.get(path, headers=shop.headers(buyer, if_none_match=order.headers["etag"]))
        assert (answer.status_code, answer.content) == (304, b"")

    @pytest.mark.parametrize("order_id", ["0", "-1", "abc", str(2**63), "1e3", "%00", "9" * 400])
    def test_an_id_that_cannot_be_is_not_found(self, shop: Shop, order_id: str) -> None:
        assert shop.http.get(f"/api/v1/orders/{order_id}", headers=shop.headers(shop.person())).status_code == 404


class TestListing:
    def walk(self, shop: Shop, caller: Principal, **query: Any) -> list[int]:
        return [order["id"] for order in shop.walk("/api/v1/orders", caller, **query)]

    def test_pages_hold_every_own_order_once_newest_first(self, shop: Shop) -> None:
        lamp, buyer = shop.product(stock=100), shop.person()
        placed = [shop.place(buyer, (lamp, 1)).json()["id"] for _ in range(7)]
        shop.place(shop.person(), (lamp, 1))
        assert self.walk(shop, buyer, limit=3) == placed[::-1]

    def test_a_page_shows_each_order_with_its_lines(self, shop: Shop) -> None:
        lamp, shade, buyer = shop.product(), shop.product(), shop.person()
        orders = [shop.place(buyer, (lamp, 1), (shade, 2)).json() for _ in range(2)]
        page = shop.http.get("/api/v1/orders", headers=shop.headers(buyer)).json()
        assert page == {"items": orders[::-1], "next_cursor": None}

    def test_the_status_narrows_the_list(self, shop: Shop) -> None:
        lamp, buyer = shop.product(), shop.person()
        kept, gone = (shop.place(buyer, (lamp, 1)).json()["id"] for _ in range(2))
        shop.http.post(f"/api/v1/orders/{gone}/cancel", headers=shop.headers(buyer))
        assert self.walk(shop, buyer, status="pending") == [kept]
        assert self.walk(shop, buyer, status="cancelled") == [gone]

    def test_an_admin_sees_everybodys_orders_and_can_narrow_to_one_person(self, shop: Shop) -> None:
        lamp, admin = shop.product(), shop.admin()
        buyers = [shop.person(), shop.person()]
        first, second = (shop.place(buyer, (lamp, 1)).json()["id"] for buyer in buyers)
        assert self.walk(shop, admin) == [second, first]
        assert self.walk(shop, admin, user_id=buyers[0].user_id) == [first]

    def test_asking_for_ones_own_orders_by_name_is_no_different(self, shop: Shop) -> None:
        buyer = shop.person()
        order = shop.place(buyer, (shop.product(), 1)).json()["id"]
        shop.place(shop.person(), (shop.product(), 1))
        assert self.walk(shop, buyer, user_id=buyer.user_id) == [order]

    def test_asking_for_somebody_elses_orders_is_refused_whether_or_not_there_are_any(self, shop: Shop) -> None:
        buyer, nosy = shop.person(), shop.person()
        shop.place(buyer, (shop.product(), 1))
        for other in (buyer.user_id, 999_999):
            answer = shop.http.get(f"/api/v1/orders?user_id={other}", headers=shop.headers(nosy))
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (403, "forbidden")
            assert (problem["parameter"], problem["roles"]) == ("user_id", ["admin"])

    @pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=%00", "cursor=abc", "status=lost", "page=2"])
    def test_a_query_that_means_nothing_is_a_bad_request(self, shop: Shop, query: str) -> None:
        answer = shop.http.get(f"/api/v1/orders?{query}", headers=shop.headers(shop.person()))
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"


class TestCancelling:
    def test_stock_comes_back_and_the_order_says_so(self, shop: Shop) -> None:
        lamp, buyer = shop.product(stock=10), shop.person()
        order = shop.place(buyer, (lamp, 4)).json()
        answer = shop.http.post(f"/api/v1/orders/{order['id']}/cancel", headers=shop.headers(buyer))
        assert answer.status_code == 200
        cancelled = answer.json()
        assert [entry["action"] for entry in cancelled.pop("history")] == ["place", "cancel"]
        del order["history"]
        assert cancelled == {**order, "status": "cancelled", "expires_at": None, "allowed_actions": []}
        assert answer.headers["etag"] == '"2.own"'
        assert shop.stock_of(lamp) == 10
        assert outbox(shop) == ["ordering.OrderPlaced", "ordering.OrderCancelled"]

    def test_a_second_cancellation_is_refused_and_says_what_is_allowed(self, shop: Shop) -> None:
        lamp, buyer = shop.product(stock=10), shop.person()
        path = f"/api/v1/orders/{shop.place(buyer, (lamp, 4)).json()['id']}/cancel"
        shop.http.post(path, headers=shop.headers(buyer))
        answer = shop.http.post(path, headers=shop.headers(buyer))
        assert answer.status_code == 409
        assert answer.json()["status"] == 409
        assert (answer.json()["order_status"], answer.json()["allowed"]) == ("cancelled", [])
        assert shop.stock_of(lamp) == 10

    def test_cancelling_many_times_at_once_gives_stock_back_once(self, shop: Shop) -> None:
        lamp, buyer = shop.product(stock=10), shop.person()
        path = f"/api/v1/orders/{shop.place(buyer, (lamp, 4)).json()['id']}/cancel"
        answers: list[int] = []
        threads = [
            threading.Thread(target=lambda: answers.append(shop.http.post(path, headers=shop.headers(buyer)).status_code))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert Counter(answers) == {200: 1, 409: 7}
        assert shop.stock_of(lamp) == 10


def patiently(request: Callable[[], Any]) -> Any:
    """Repeat what waited too long for a lock (503), as a client would: a busy machine is not what these tests are about."""
    answer = request()
    for _ in range(10):
        if answer.status_code != 503:
            break
        answer = request()
    return answer


class TestRaces:
    def test_the_last_unit_is_sold_once(self, shop: Shop) -> None:
        lamp = shop.product(stock=1)
        buyers = [shop.person() for _ in range(16)]
        answers: list[int] = []
        threads = [
            threading.Thread(target=lambda buyer=buyer: answers.append(shop.place(buyer, (lamp, 1)).status_code))
            for buyer in buyers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert Counter(answers) == {201: 1, 409: 15}
        assert shop.stock_of(lamp) == 0

    def test_no_deadlock_reaches_a_client_who_takes_products_in_another_order(self, shop: Shop) -> None:
        lamp, shade = shop.product(stock=1000), shop.product(stock=1000)
        answers: list[int] = []

        def order(*lines: tuple[dict[str, Any], int]) -> None:
            buyer = shop.person()
            answers.extend(patiently(lambda: shop.place(buyer, *lines)).status_code for _ in range(10))

        pairs = [((lamp, 1), (shade, 1)), ((shade, 1), (lamp, 1))] * 3
        threads = [threading.Thread(target=order, args=lines) for lines in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert Counter(answers) == {201: 60}
        assert shop.stock_of(lamp) == shop.stock_of(shade) == 940


def test_the_database_itself_refuses_a_total_that_is_not_the_sum_of_the_lines(shop: Shop) -> None:
    order = shop.place(shop.person(), (shop.product(price="5.00"), 1)).json()
    with pytest.raises(Exception, match="its lines sum to"):
        shop.query("UPDATE ordering.orders SET total = 4.99 WHERE id = :id RETURNING id", id=order["id"])
    assert Decimal(order["total"]) == Decimal("5.00")


def test_a_product_that_is_priced_in_another_currency_is_not_sold(shop: Shop) -> None:
    lamp, shade, buyer = shop.product(stock=5), shop.product(stock=5), shop.person()
    shop.query("UPDATE catalog.products SET currency = 'EUR' WHERE id = :id RETURNING id", id=shade["id"])
    refused = shop.place(buyer, (lamp, 1), (shade, 1))
    assert (refused.status_code, refused.json()["code"]) == (409, "currency-mismatch")
    assert [refused.json()[name] for name in ("product_id", "priced_in", "sold_in")] == [shade["id"], "EUR", "GBP"]
    assert shop.query("SELECT sum(reserved) FROM catalog.stock") == [(0,)]
    assert shop.place(buyer, (lamp, 1)).status_code == 201


def test_an_address_comes_once_and_not_with_every_line(shop: Shop, engines: Engines) -> None:
    buyer = shop.person()
    lines = [(shop.product(), 1) for _ in range(3)]
    order = shop.place(buyer, *lines, shipping_address=ADDRESS).json()
    with engines.database("ordering").read() as connection:
        alone = read_order(connection, order["id"])
        page = list_orders(connection, user_id=buyer.user_id, status=None, before_id=order["id"] + 1, limit=1)
    assert [row.shipping_address for row in alone] == [row.shipping_address for row in page] == [{**ADDRESS}, None, None]
    assert shop.http.get("/api/v1/orders", headers=shop.headers(buyer)).json()["items"] == [order]
