"""The history that an order answers with: in every answer, of every order on a page, and never behind its ETag."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ordering.conftest import ADDRESS, Till

from kernel.pure.principal import Principal


def told(order: dict[str, Any]) -> list[str]:
    return [entry["action"] for entry in order["history"]]


def set_address(till: Till, caller: Principal, order: dict[str, Any], **changes: Any) -> Any:
    path = f"/api/v1/orders/{order['id']}/shipping-address"
    return till.shop.http.put(path, json={**ADDRESS, **changes}, headers=till.shop.headers(caller))


def test_every_answer_of_an_order_holds_its_history_so_far(till: Till) -> None:
    buyer, admin = till.shop.person(), till.shop.admin()
    order = till.order(buyer)
    answers = [order, set_address(till, buyer, order, city="York").json()]
    assert till.pay(buyer, order).status_code == 201
    answers.append(till.read(buyer, order))
    answers += [
        till.post(admin, order, "ship", {"tracking_reference": "T-1"}).json(),
        till.post(admin, order, "deliver").json(),
    ]
    assert till.refund(order, amount="5.00", reason="Scratched").status_code == 201
    answers.append(till.read(buyer, order))
    steps = ["place", "set-shipping-address", "pay", "ship", "deliver", "refund"]
    assert [told(answer) for answer in answers] == [steps[: length + 1] for length in range(len(steps))]


def test_cancelling_answers_with_the_end(till: Till) -> None:
    buyer = till.shop.person()
    cancelled = till.post(buyer, till.order(buyer), "cancel").json()
    assert told(cancelled) == ["place", "cancel"]
    assert cancelled["history"][-1]["status"] == "cancelled"


def test_it_is_the_history_that_has_an_address_of_its_own_for_the_owner_and_for_admins(till: Till) -> None:
    buyer = till.shop.person()
    order = till.paid(buyer)
    till.refund(order, amount="5.00", reason="Scratched")
    alone = till.listed(buyer, order, "/history")
    assert till.read(buyer, order)["history"] == alone
    assert till.read(till.shop.admin(), order)["history"] == alone
    assert [(entry["amount"], entry["note"]) for entry in alone] == [(None, None), ("39.98", None), ("5.00", "Scratched")]
    assert set(alone[0]) == {"id", "action", "status", "by", "amount", "note", "at"}


def test_a_page_of_orders_holds_the_history_of_each(till: Till) -> None:
    buyer, lamp = till.shop.person(), till.shop.product()
    first, second = till.order(buyer, (lamp, 1), (till.shop.product(), 1)), till.order(buyer, (lamp, 1))
    till.post(buyer, first, "cancel")
    for caller in (buyer, till.shop.admin()):
        page = till.shop.http.get("/api/v1/orders", headers=till.shop.headers(caller)).json()["items"]
        assert [(order["id"], told(order)) for order in page] == [
            (second["id"], ["place"]),
            (first["id"], ["place", "cancel"]),
        ]


@pytest.mark.parametrize("token", ["tok_approve", "tok_decline"])
def test_a_copy_from_before_an_entry_is_not_said_to_be_current(till: Till, token: str) -> None:
    buyer = till.shop.person()
    placed = till.shop.place(buyer, (till.shop.product(), 1))
    till.pay(buyer, placed.json(), token)
    path = f"/api/v1/orders/{placed.json()['id']}"
    fresh = till.shop.http.get(path, headers=till.shop.headers(buyer, if_none_match=placed.headers["etag"]))
    assert fresh.status_code == 200
    assert len(fresh.json()["history"]) == 2
    assert fresh.headers["etag"] != placed.headers["etag"]


def test_an_order_with_a_long_history_answers_with_the_newest_hundred(till: Till) -> None:
    buyer = till.shop.person()
    order = till.order(buyer)
    till.shop.query(
        "INSERT INTO ordering.order_history (order_id, action, status, actor)"
        " SELECT :id, 'set-shipping-address', 'pending', 'customer' FROM generate_series(1, 120) RETURNING id",
        id=order["id"],
    )
    set_address(till, buyer, order)
    alone = till.listed(buyer, order, "/history")
    assert len(alone) == 122
    assert till.read(buyer, order)["history"] == alone[-100:]


def test_an_order_from_before_there_was_a_history_has_an_empty_one(till: Till) -> None:
    buyer = till.shop.person()
    order = till.order(buyer)
    till.shop.query("DELETE FROM ordering.order_history RETURNING id")
    assert till.read(buyer, order)["history"] == till.listed(buyer, order, "/history") == []


class TestPages:
    """What happens to an order is without end: its owner can set addresses, and be declined, as often as they like."""

    def test_each_list_is_read_page_by_page_oldest_first(self, till: Till) -> None:
        buyer, admin = till.shop.person(), till.shop.admin()
        order = till.order(buyer)
        for _ in range(4):
            assert till.pay(buyer, order, "tok_decline").status_code == 402
        assert till.pay(buyer, order).status_code == 201
        for _ in range(5):
            assert till.refund(order, amount="1.00").status_code == 201
        for what in ("/history", "/payments", "/refunds"):
            whole = till.listed(admin, order, what)
            assert [item["id"] for item in whole] == sorted({item["id"] for item in whole}), what
            assert len(whole) == (11 if what == "/history" else 5)
            assert [till.listed(admin, order, what, limit=limit) for limit in (1, 2, 5)] == [whole] * 3

    @pytest.mark.parametrize("what", ["/history", "/payments", "/refunds"])
    def test_no_page_is_longer_than_others(self, till: Till, what: str) -> None:
        buyer, admin = till.shop.person(), till.shop.admin()
        order = till.order(buyer)
        path = f"/api/v1/orders/{order['id']}{what}"
        for query in ("limit=0", "limit=101", "cursor=x", "cursor=W10", "page=2"):
            answer = till.shop.http.get(f"{path}?{query}", headers=till.shop.headers(admin))
            assert answer.status_code == 400, (query, answer.text)

    @pytest.mark.parametrize("what", ["/payments", "/refunds"])
    def test_a_list_may_be_empty(self, till: Till, what: str) -> None:
        order = till.order(till.shop.person())
        assert till.listed(till.shop.admin(), order, what) == []
