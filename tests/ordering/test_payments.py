"""Paying on the real application: every answer of the provider, every repeat, and races with what ends an order."""

from __future__ import annotations

import copy
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from tests.ordering.conftest import Faults, Till, at_once

from ordering.interface import PaymentsUnavailable
from ordering.service.gateways.protocol import Nothing, Voided

TOTAL = Decimal("39.98")


class TestAnswers:
    @pytest.mark.parametrize("token", [None, "tok_approve", "tok_twice"])
    def test_an_approved_payment_is_captured_once(self, till: Till, token: str | None) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        answer = till.pay(buyer, order, token)
        assert answer.status_code == 201
        payment = answer.json()
        assert answer.headers["location"] == f"/api/v1/orders/{order['id']}/payments/{payment['id']}"
        assert (payment["status"], payment["amount"], payment["currency"]) == ("captured", "39.98", "GBP")
        assert "token" not in payment
        assert till.read(buyer, order)["status"] == "paid"
        assert till.listed(buyer, order, "/payments") == [payment]
        assert till.read(buyer, order, f"/payments/{payment['id']}") == payment
        assert (till.charges(order), till.kept(order)) == (1, TOTAL)

    def test_the_event_says_what_was_sold(self, till: Till) -> None:
        buyer, lamp, shade = till.shop.person(), till.shop.product(), till.shop.product()
        order = till.paid(buyer, (lamp, 2), (shade, 1))
        ((payload,),) = till.shop.query("SELECT payload FROM kernel.outbox WHERE name = 'ordering.OrderPaid'")
        assert payload == {
            "order_id": order["id"],
            "user_id": buyer.user_id,
            "total": "59.97",
            "currency": "GBP",
            "lines": [{"product_id": lamp["id"], "quantity": 2}, {"product_id": shade["id"], "quantity": 1}],
        }

    @pytest.mark.parametrize(
        ("token", "code"),
        [("tok_decline", "card-declined"), ("tok_insufficient_funds", "insufficient-funds"), ("tok_?", "unknown-token")],
    )
    def test_a_declined_payment_leaves_the_order_to_be_paid_by_another(self, till: Till, token: str, code: str) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        declined = till.pay(buyer, order, token, key="first")
        assert (declined.status_code, declined.json()["code"]) == (402, "payment-declined")
        assert declined.json()["decline_code"] == code
        assert declined.headers["content-type"] == "application/problem+json"
        assert till.read(buyer, order)["status"] == "pending"
        again = till.pay(buyer, order, token, key="first")
        assert (again.status_code, again.json()["payment_id"]) == (402, declined.json()["payment_id"])
        assert till.pay(buyer, order, key="second").status_code == 201
        assert [payment["status"] for payment in till.listed(buyer, order, "/payments")] == ["declined", "captured"]
        assert [step["action"] for step in till.listed(buyer, order, "/history")] == ["place", "payment-declined", "pay"]
        assert till.charges(order) == 1

    def test_without_a_key_nothing_is_paid(self, till: Till) -> None:
        buyer = till.shop.person()
        answer = till.post(buyer, till.order(buyer), "payments", {"method": "card"})
        assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-required")

    @pytest.mark.parametrize(
        "body", [{}, {"method": ""}, {"method": "card", "amount": "1.00"}, {"method": "card", "token": "a b"}]
    )
    def test_an_invalid_body_begins_nothing(self, till: Till, body: dict[str, Any]) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        assert till.post(buyer, order, "payments", body, key="k").status_code == 422
        assert till.listed(buyer, order, "/payments") == []

    def test_the_token_is_forgotten_once_the_attempt_is_settled(self, till: Till) -> None:
        buyer = till.shop.person()
        till.paid(buyer, token="tok_approve")
        till.pay(buyer, till.order(buyer), "tok_decline")
        assert till.shop.query("SELECT DISTINCT token FROM ordering.payments") == [(None,)]

    def test_a_capture_that_is_refused_holds_nothing_and_charges_nothing(self, till: Till) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        till.pay(buyer, order, "tok_late", key="k")
        # The provider lets authorisations lapse after some days.
        till.sandbox.void(key=till.gateway_key(order))
        till.shop.query("UPDATE ordering.payments SET status = 'authorised', gateway_reference = 'lapsed' RETURNING id")
        answer = till.pay(buyer, order, "tok_late", key="k")
        assert (answer.status_code, answer.json()["decline_code"]) == (402, "not-authorised")
        assert till.pay(buyer, order).status_code == 201

    def test_a_shop_without_a_provider_says_so(self, till: Till) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        closed = copy.copy(till.service)
        closed._gateway = None
        with pytest.raises(PaymentsUnavailable):
            closed.begin_payment(caller=buyer, order_id=order["id"], method="card", token=None)

    def test_every_answer_is_documented_with_an_example(self, till: Till) -> None:
        paths = till.shop.http.get("/openapi.json").json()["paths"]
        pay, refund = paths["/api/v1/orders/{order_id}/payments"]["post"], paths["/api/v1/orders/{order_id}/refunds"]["post"]
        assert {"201", "202", "402", "404", "409", "503"} <= set(pay["responses"])
        assert {"201", "202", "404", "409", "503"} <= set(refund["responses"])
        problems = pay["responses"]["409"]["content"]["application/problem+json"]["examples"]
        assert set(problems) == {"action-not-allowed", "payment-in-progress"}
        assert [parameter["required"] for parameter in pay["parameters"] if parameter["name"] == "Idempotency-Key"] == [True]
        webhook = paths["/api/v1/webhooks/payments/{provider}"]["post"]
        assert webhook["requestBody"]["content"]["application/json"]["example"]["key"]
        assert "401" in webhook["responses"]
        for path in ("ship", "deliver", "cancel", "history", "shipping-address"):
            assert f"/api/v1/orders/{{order_id}}/{path}" in paths


class TestLostAnswers:
    @pytest.mark.parametrize("token", ["tok_timeout", "tok_late", "tok_fail_after_charge"])
    def test_an_attempt_without_an_answer_is_202_with_its_place(self, till: Till, token: str) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        answer = till.pay(buyer, order, token)
        assert answer.status_code == 202
        assert till.shop.http.get(answer.headers["location"], headers=till.shop.headers(buyer)).json() == answer.json()
        assert answer.json()["status"] in ("started", "authorised")
        assert till.read(buyer, order)["status"] == "pending"
        rival = till.pay(buyer, order)
        assert (rival.status_code, rival.json()["code"]) == (409, "payment-in-progress")
        assert rival.json()["payment_id"] == answer.json()["id"]
        assert (rival.json()["order_status"], rival.json()["allowed"]) == ("pending", ["cancel", "set-shipping-address"])

    @pytest.mark.parametrize("token", ["tok_late", "tok_fail_after_charge"])
    @pytest.mark.parametrize("how", ["reconciler", "replay"])
    def test_what_was_charged_is_settled_as_paid_and_charged_once(self, till: Till, token: str, how: str) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        till.pay(buyer, order, token, key="k")
        if how == "reconciler":
            assert till.reconcile() == 1
        answer = till.pay(buyer, order, token, key="k")
        assert (answer.status_code, answer.json()["status"]) == (201, "captured")
        assert answer.headers["idempotency-replayed"] == "true"
        assert till.read(buyer, order)["status"] == "paid"
        assert (till.charges(order), till.kept(order)) == (1, TOTAL)
        assert till.events(order) == ["OrderPlaced", "OrderPaid"]
        assert till.reconcile() == 0

    def test_what_never_arrived_is_over_and_cannot_arrive_any_more(self, till: Till) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        till.pay(buyer, order, "tok_timeout", key="k")
        assert isinstance(till.sandbox.look_up(key=till.gateway_key(order)), Nothing)
        assert till.reconcile() == 1
        assert isinstance(till.sandbox.look_up(key=till.gateway_key(order)), Voided)
        replay = till.pay(buyer, order, "tok_timeout", key="k")
        assert (replay.status_code, replay.json()["decline_code"]) == (402, "not-processed")
        assert till.pay(buyer, order).status_code == 201
        assert till.charges(order) == 1

    def test_nobody_looks_after_an_attempt_before_its_request_had_time(self, till: Till) -> None:
        buyer = till.shop.person()
        till.pay(buyer, till.order(buyer), "tok_timeout")
        assert till.service.reconcile() == 0
        till.reconcile()

    @pytest.mark.parametrize("token", ["tok_timeout", "tok_late", "tok_fail_after_charge"])
    @pytest.mark.parametrize("end", ["cancelled", "expired"])
    def test_an_order_that_ended_meanwhile_keeps_no_money(self, till: Till, token: str, end: str) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        till.pay(buyer, order, token, key="k")
        if end == "cancelled":
            assert till.post(buyer, order, "cancel").status_code == 200
        else:
            till.overdue(order)
            assert till.service.expire_orders() == 1
        till.reconcile()
        replay = till.pay(buyer, order, token, key="k")
        if token == "tok_timeout":
            assert replay.status_code == 402
        else:
            assert replay.status_code == 409
            assert (replay.json()["code"], replay.json()["order_status"]) == ("action-not-allowed", end)
        assert till.kept(order) == 0
        assert till.listed(buyer, order, "/payments")[0]["status"] in ("reversed", "declined")
        assert till.read(buyer, order)["status"] == end

    def test_an_order_that_is_being_paid_does_not_expire_for_two_minutes(self, till: Till) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        till.shop.query(
            "UPDATE ordering.orders SET expires_at = now() - interval '1 s' WHERE id = :id RETURNING id", id=order["id"]
        )
        till.pay(buyer, order, "tok_late")
        assert till.service.expire_orders() == 0
        till.reconcile()
        assert till.read(buyer, order)["status"] == "paid"

    def test_stock_that_somebody_let_go_is_not_sold(self, till: Till) -> None:
        lamp, buyer = till.shop.product(stock=5), till.shop.person()
        order = till.order(buyer, (lamp, 5))
        ((reference,),) = till.shop.query("SELECT stock_reference FROM ordering.orders WHERE id = :id", id=order["id"])
        till.service._catalog.release(reference=reference)
        answer = till.pay(buyer, order)
        assert (answer.status_code, answer.json()["order_status"]) == (409, "expired")
        assert (till.charges(order), till.kept(order)) == (1, Decimal(0))
        assert till.stock(lamp) == (5, 0)


class TestRepeats:
    def test_a_replay_goes_on_with_the_same_attempt(self, till: Till) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        first, again = (till.pay(buyer, order, key="k") for _ in range(2))
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.content == again.content
        assert again.headers["location"] == first.headers["location"]
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert till.charges(order) == 1

    def test_the_key_belongs_to_its_order_and_body(self, till: Till) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        till.pay(buyer, order, key="k")
        assert till.pay(buyer, order, "tok_decline", key="k").status_code == 422
        assert till.pay(buyer, till.order(buyer), key="k").status_code == 422

    def test_one_key_many_times_at_once_pays_once(self, till: Till) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        answers = at_once([lambda: till.pay(buyer, order, key="k")] * 8)
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert till.pay(buyer, order, key="k").status_code == 201
        assert till.charges(order) == 1

    def test_many_keys_at_once_pay_once(self, till: Till) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        answers = Counter(answer.status_code for answer in at_once([lambda: till.pay(buyer, order)] * 8))
        assert answers == {201: 1, 409: 7}
        assert till.charges(order) == 1

    @pytest.mark.parametrize("how", ["replay", "reconciler"])
    @pytest.mark.parametrize("token", ["tok_approve", "tok_fail_after_charge"])
    def test_a_power_cut_at_any_point_leaves_one_charge_at_most(self, till: Till, faults: Faults, how: str, token: str) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        faults.watch()
        till.pay(buyer, order, token, key="recorded")
        points = faults.points()
        till.pay(buyer, order, token, key="recorded")
        assert len(points) >= 8
        assert {name.partition(":")[0] for name, _ in points} >= {
            "ordering_create_payment",
            "gateway.authorise",
            "gateway.capture",
        }
        for number, point in enumerate(points):
            order = till.order(buyer)
            faults.watch(cut_at=point)
            till.pay(buyer, order, token, key=f"k{number}")
            assert faults.cut_at is None, f"{point} was not passed again."
            if how == "reconciler":
                till.reconcile()
            answer = till.pay(buyer, order, token, key=f"k{number}")
            if answer.status_code == 202:
                answer = till.pay(buyer, order, token, key=f"k{number}")
            if answer.status_code == 402:
                assert (how, answer.json()["decline_code"]) == ("reconciler", "not-processed"), point
                assert till.charges(order) == 0, point
                continue
            assert answer.status_code == 201, (point, answer.text)
            assert (till.charges(order), till.read(buyer, order)["status"]) == (1, "paid"), point
            assert till.events(order) == ["OrderPlaced", "OrderPaid"], point

    @pytest.mark.parametrize("token", ["tok_approve", "tok_fail_after_charge"])
    def test_a_power_cut_while_the_money_goes_back_keeps_none(self, till: Till, faults: Faults, token: str) -> None:
        buyer = till.shop.person()

        def cancelled_while_paying(cut_at: tuple[str, int] | None) -> dict[str, Any]:
            order = till.order(buyer)
            faults.watch(("gateway.capture:after" if token != "tok_approve" else "gateway.authorise:after", 1))
            till.pay(buyer, order, token, key=f"k{order['id']}")
            till.post(buyer, order, "cancel")
            faults.watch(cut_at)
            till.pay(buyer, order, token, key=f"k{order['id']}")
            return order

        cancelled_while_paying(None)
        points = [point for point in faults.points() if not point[0].startswith("ordering_create_payment")]
        assert len(points) >= 6
        for point in points:
            order = cancelled_while_paying(point)
            till.reconcile()
            answer = till.pay(buyer, order, token, key=f"k{order['id']}")
            assert (answer.status_code, answer.json()["order_status"]) == (409, "cancelled"), point
            assert till.kept(order) == 0, point
            assert till.listed(buyer, order, "/payments")[0]["status"] == "reversed", point


class TestRaces:
    @pytest.mark.parametrize("token", ["tok_approve", "tok_fail_after_charge"])
    def test_of_cancel_and_pay_one_wins_and_both_are_told(self, till: Till, token: str) -> None:
        outcomes: Counter[str] = Counter()
        for _ in range(8):
            lamp, buyer = till.shop.product(stock=3), till.shop.person()
            order = till.order(buyer, (lamp, 3))
            paid, cancelled = at_once(
                [lambda: till.pay(buyer, order, token, key="k"), lambda: till.post(buyer, order, "cancel")]  # noqa: B023 -- at once
            )
            if paid.status_code == 202:
                till.reconcile()
                paid = till.pay(buyer, order, token, key="k")
            status = till.read(buyer, order)["status"]
            outcomes[status] += 1
            if status == "paid":
                assert (paid.status_code, cancelled.status_code) == (201, 409)
                assert cancelled.json()["order_status"] == "paid"
                assert till.stock(lamp) == (0, 0)
            else:
                assert (paid.status_code, cancelled.status_code) == (409, 200)
                assert paid.json()["order_status"] == "cancelled"
                till.reconcile()
                assert till.kept(order) == 0
                assert till.stock(lamp) == (3, 0)
        assert outcomes.total() == 8

    def test_of_expiry_and_pay_one_wins_and_both_are_told(self, till: Till) -> None:
        for _ in range(8):
            buyer = till.shop.person()
            order = till.order(buyer)
            till.overdue(order)
            paid, expired = at_once(
                [
                    lambda: till.pay(buyer, order),  # noqa: B023 -- at once
                    lambda: till.service.expire_order(order_id=order["id"], even_now=True),  # noqa: B023 -- at once
                ]
            )
            status = till.read(buyer, order)["status"]
            if status == "paid":
                assert (paid.status_code, expired) == (201, False)
            else:
                assert (status, paid.status_code, expired) == ("expired", 409, True)
                assert paid.json()["order_status"] == "expired"
                till.reconcile()
                assert till.kept(order) == 0

    def test_many_reconcilers_and_replays_at_once_settle_once(self, till: Till) -> None:
        buyer = till.shop.person()
        for token in ("tok_late", "tok_fail_after_charge", "tok_timeout"):
            order = till.order(buyer)
            till.pay(buyer, order, token, key=token)
            at_once([till.reconcile, till.reconcile, lambda: till.pay(buyer, order, token, key=token)] * 2)  # noqa: B023 -- at once
            till.reconcile()
            status = till.read(buyer, order)["status"]
            assert (status, till.charges(order)) == (("pending", 0) if token == "tok_timeout" else ("paid", 1))
