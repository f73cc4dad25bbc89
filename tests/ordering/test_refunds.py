"""Refunds on the real application: partial, several, of goods, lost answers, and never above the capture."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from tests.ordering.conftest import Faults, Till, at_once

from catalog.interface import MAX_STOCK


class TestAmounts:
    def test_several_partial_refunds_up_to_the_capture(self, till: Till) -> None:
        buyer = till.shop.person()
        order = till.paid(buyer)
        assert till.refund(order, amount="10.00").status_code == 201
        read = till.read(buyer, order)
        assert (read["refunded_amount"], read["refund_status"], read["status"]) == ("10.00", "partial", "paid")
        exceeding = till.refund(order, amount="29.99")
        assert (exceeding.status_code, exceeding.json()["code"]) == (409, "refund-exceeds-capture")
        assert exceeding.json()["refundable"] == "29.98"
        assert exceeding.json()["allowed"] == ["ship", "set-shipping-address", "refund"]
        assert till.refund(order, amount="29.98").status_code == 201
        read = till.read(till.shop.admin(), order)
        assert (read["refunded_amount"], read["refund_status"]) == ("39.98", "full")
        assert "refund" not in read["allowed_actions"]
        nothing_left = till.refund(order, amount="0.01")
        assert nothing_left.status_code == 409
        assert (nothing_left.json()["order_status"], nothing_left.json()["allowed"]) == ("paid", read["allowed_actions"])
        assert till.kept(order) == 0

    def test_without_amount_and_items_all_that_is_left_goes_back(self, till: Till) -> None:
        order = till.paid(till.shop.person())
        till.refund(order, amount="0.01")
        answer = till.refund(order)
        assert (answer.status_code, answer.json()["amount"], answer.json()["status"]) == (201, "39.97", "succeeded")

    def test_the_answer_is_the_refund_with_its_place(self, till: Till) -> None:
        order, admin = till.paid(till.shop.person()), till.shop.admin()
        answer = till.refund(order, amount="1.00", reason="Scratched")
        assert answer.headers["location"] == f"/api/v1/orders/{order['id']}/refunds/{answer.json()['id']}"
        assert till.read(admin, order, f"/refunds/{answer.json()['id']}") == answer.json()
        assert till.listed(admin, order, "/refunds") == [answer.json()]
        ((payload,),) = till.shop.query("SELECT payload FROM kernel.outbox WHERE name = 'ordering.OrderRefunded'")
        assert (payload["amount"], payload["refunded_amount"]) == ("1.00", "1.00")

    @pytest.mark.parametrize(
        "body",
        [
            {"amount": "0.00"},
            {"amount": "-1.00"},
            {"amount": "1.001"},
            {"amount": 1},
            {"items": []},
            {"amount": "1.00", "items": [{"product_id": 1, "quantity": 1}]},
        ],
    )
    def test_an_invalid_body_is_answered_with_pointers(self, till: Till, body: dict[str, Any]) -> None:
        order = till.paid(till.shop.person())
        answer = till.refund(order, **body)
        assert answer.status_code == 422
        assert answer.json()["errors"]


class TestGoods:
    def test_goods_for_which_there_is_no_room_do_not_keep_the_money_unsettled(
        self, till: Till, caplog: pytest.LogCaptureFixture
    ) -> None:
        lamp = till.shop.product(stock=10)
        order = till.paid(till.shop.person(), (lamp, 2))
        till.shop.query(
            "UPDATE catalog.stock SET quantity = :most WHERE product_id = :id RETURNING quantity", most=MAX_STOCK, id=lamp["id"]
        )
        answer = till.refund(order, items=[{"product_id": lamp["id"], "quantity": 2, "restock": True}])
        assert (answer.status_code, answer.json()["status"]) == (201, "succeeded")
        assert till.kept(order) == 0
        assert till.stock(lamp) == (MAX_STOCK, 0)
        assert till.events(order)[-1] == "OrderRefunded"
        [told] = [record.message for record in caplog.records if record.name == "ordering"]
        assert told == (
            f"The goods of refund {answer.json()['id']} are not back in stock, count them by hand:"
            f" refund:{answer.json()['id']} brings back more units than a product can hold."
        )

    def test_goods_are_refunded_at_the_price_as_sold_and_restocked_when_asked_to(self, till: Till) -> None:
        buyer = till.shop.person()
        lamp, shade = till.shop.product(stock=10), till.shop.product(price="5.00", stock=10)
        order = till.paid(buyer, (lamp, 2), (shade, 3))
        items = [
            {"product_id": lamp["id"], "quantity": 1, "restock": True},
            {"product_id": shade["id"], "quantity": 2, "restock": False},
        ]
        answer = till.refund(order, items=items)
        assert (answer.status_code, answer.json()["amount"], answer.json()["items"]) == (201, "29.99", items)
        assert (till.stock(lamp), till.stock(shade)) == ((9, 0), (7, 0))
        movements = till.shop.query(
            "SELECT product_id, quantity, reference FROM catalog.stock_movements WHERE reason = 'return'"
        )
        assert movements == [(lamp["id"], 1, f"refund:{answer.json()['id']}")]

    def test_goods_are_refunded_once(self, till: Till) -> None:
        lamp = till.shop.product(stock=10)
        order = till.paid(till.shop.person(), (lamp, 2))
        line = {"product_id": lamp["id"], "restock": True}
        assert till.refund(order, items=[{**line, "quantity": 1}]).status_code == 201
        refused = till.refund(order, items=[{**line, "quantity": 2}])
        assert (refused.status_code, refused.json()["refundable_quantity"]) == (422, 1)
        assert refused.json()["errors"][0]["pointer"] == "/items/0/quantity"
        assert till.refund(order, items=[{**line, "quantity": 1}]).status_code == 201
        assert till.stock(lamp) == (10, 0)

    def test_goods_of_another_order_are_refused(self, till: Till) -> None:
        order = till.paid(till.shop.person())
        refused = till.refund(order, items=[{"product_id": till.shop.product()["id"], "quantity": 1}])
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/items/0/product_id")

    @pytest.mark.parametrize("steps", [["ship"], ["ship", "deliver"]])
    def test_a_captured_order_is_refunded_shipped_or_not(self, till: Till, steps: list[str]) -> None:
        buyer = till.shop.person()
        order = till.paid(buyer)
        for step in steps:
            body = {"tracking_reference": "T"} if step == "ship" else None
            assert till.post(till.shop.admin(), order, step, body).status_code == 200
        before = till.read(buyer, order)["status"]
        assert till.refund(order).status_code == 201
        assert till.read(buyer, order)["status"] == before


class TestProvider:
    def test_a_refund_that_fails_leaves_everything_as_before(self, till: Till) -> None:
        lamp, admin = till.shop.product(stock=10), till.shop.admin()
        order = till.paid(till.shop.person(), (lamp, 2), token="tok_refund_declined")
        before = till.read(admin, order)
        items = [{"product_id": lamp["id"], "quantity": 1, "restock": True}]
        for _ in range(2):
            answer = till.refund(order, key="k", items=items) if _ == 0 else till.refund(order, items=items)
            assert (answer.status_code, answer.json()["code"]) == (409, "refund-declined")
            assert answer.json()["failure_code"] == "refund-declined"
        assert till.read(admin, order) == before
        assert till.stock(lamp) == (8, 0)
        assert [refund["status"] for refund in till.listed(admin, order, "/refunds")] == ["failed", "failed"]
        assert "OrderRefunded" not in till.events(order)

    def test_a_lost_answer_is_202_holds_the_amount_and_is_settled(self, till: Till) -> None:
        lamp, admin = till.shop.product(stock=10), till.shop.admin()
        order = till.paid(till.shop.person(), (lamp, 2), token="tok_refund_late")
        answer = till.refund(order, items=[{"product_id": lamp["id"], "quantity": 1, "restock": True}])
        assert (answer.status_code, answer.json()["status"]) == (202, "started")
        assert till.read(admin, order)["refund_status"] == "none"
        assert till.refund(order, amount="20.00").status_code == 409
        assert till.stock(lamp) == (8, 0)
        assert till.reconcile() == 1
        assert till.read(admin, order)["refunded_amount"] == "19.99"
        assert till.shop.http.get(answer.headers["location"], headers=till.shop.headers(admin)).json()["status"] == "succeeded"
        assert till.stock(lamp) == (9, 0)
        assert till.kept(order) == Decimal("19.99")
        assert till.events(order).count("OrderRefunded") == 1

    def test_a_replay_goes_on_with_the_same_refund(self, till: Till) -> None:
        admin = till.shop.admin()
        order = till.paid(till.shop.person(), token="tok_refund_late")
        answers = [till.post(admin, order, "refunds", {"amount": "1.00"}, key="k") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [202, 201, 201]
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert till.kept(order) == Decimal("38.98")

    def test_a_power_cut_at_any_point_gives_back_once(self, till: Till, faults: Faults) -> None:
        lamp, admin, buyer = till.shop.product(stock=1000), till.shop.admin(), till.shop.person()
        body = {"items": [{"product_id": lamp["id"], "quantity": 1, "restock": True}]}
        order = till.paid(buyer, (lamp, 2))
        faults.watch()
        till.post(admin, order, "refunds", body, key="recorded")
        points = faults.points()
        assert len(points) >= 6
        for how in ("replay", "reconciler"):
            for number, point in enumerate(points):
                order = till.paid(buyer, (lamp, 2))
                before = till.stock(lamp)[0]
                faults.watch(cut_at=point)
                till.post(admin, order, "refunds", body, key=f"{how}{number}")
                assert faults.cut_at is None, point
                if how == "reconciler":
                    till.reconcile()
                answer = till.post(admin, order, "refunds", body, key=f"{how}{number}")
                assert answer.status_code == 201, (point, answer.text)
                assert till.kept(order) == Decimal("19.99"), point
                assert till.stock(lamp)[0] == before + 1, point
                assert till.events(order).count("OrderRefunded") == 1, point


class TestRaces:
    def test_refunds_that_together_exceed_the_capture_stop_at_it(self, till: Till) -> None:
        order = till.paid(till.shop.person())
        answers = Counter(answer.status_code for answer in at_once([lambda: till.refund(order, amount="10.00")] * 8))
        assert answers == {201: 3, 409: 5}
        assert till.kept(order) == Decimal("9.98")
        assert till.read(till.shop.admin(), order)["refunded_amount"] == "30.00"

    def test_one_key_many_times_at_once_refunds_once(self, till: Till) -> None:
        order, admin = till.paid(till.shop.person()), till.shop.admin()
        answers = at_once([lambda: till.post(admin, order, "refunds", {"amount": "10.00"}, key="k")] * 8)
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert till.kept(order) == Decimal("29.98")

    def test_the_same_goods_refunded_at_once_come_back_once(self, till: Till) -> None:
        lamp = till.shop.product(stock=10)
        order = till.paid(till.shop.person(), (lamp, 2))
        items = [{"product_id": lamp["id"], "quantity": 2, "restock": True}]
        answers = Counter(answer.status_code for answer in at_once([lambda: till.refund(order, items=items)] * 4))
        assert answers == {201: 1, 422: 3}
        assert till.stock(lamp) == (10, 0)
