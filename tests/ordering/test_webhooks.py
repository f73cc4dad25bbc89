"""Webhooks of payment providers: the signature, its window, rotation, duplicates; and what a message does and does not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.ordering.conftest import Till

from kernel.pure.errors import Invalid
from ordering.interface import SignatureRefused
from ordering.service.webhooks import read_message, require_signature, sign

NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
OLD, NEW, OTHER = ("o" * 32, "n" * 32, "x" * 32)
BODY = b'{"id": "evt_1", "key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}'


def require(header: str | None, body: bytes = BODY, secrets: tuple[str, ...] = (NEW, OLD)) -> None:
    require_signature(header, body, secrets=secrets, now=NOW)


class TestSignature:
    @pytest.mark.parametrize("secret", [NEW, OLD])
    def test_during_rotation_both_secrets_count(self, secret: str) -> None:
        require(sign(secret, BODY, NOW))

    def test_a_sender_may_sign_with_both(self) -> None:
        header = sign(OLD, BODY, NOW) + "," + sign(NEW, BODY, NOW).partition(",")[2]
        require(header, secrets=(NEW,))

    def test_another_secret_does_not(self) -> None:
        with pytest.raises(SignatureRefused):
            require(sign(OTHER, BODY, NOW))
        with pytest.raises(SignatureRefused):
            require(sign(OLD, BODY, NOW), secrets=(NEW,))

    @pytest.mark.parametrize("minutes", [-5, -4, 0, 5])
    def test_five_minutes_either_way_are_fresh(self, minutes: int) -> None:
        require(sign(NEW, BODY, NOW + timedelta(minutes=minutes)))

    @pytest.mark.parametrize("seconds", [-301, 301, 86_400])
    def test_outside_of_the_window_the_right_signature_is_refused(self, seconds: int) -> None:
        with pytest.raises(SignatureRefused, match="five minutes"):
            require(sign(NEW, BODY, NOW + timedelta(seconds=seconds)))

    def test_the_time_and_every_byte_of_the_body_are_signed(self) -> None:
        header = sign(NEW, BODY, NOW)
        with pytest.raises(SignatureRefused):
            require(header, BODY + b" ")
        time, _, digest = header.partition(",")
        with pytest.raises(SignatureRefused):
            require(f"t={int(time[2:]) + 1},{digest}")

    @pytest.mark.parametrize(
        "header", [None, "", "t=1", "v1=abc", "t=x,v1=" + "0" * 64, "t=1,v1=" + "é" * 64, "t=" + "9" * 400]
    )
    def test_anything_else_is_refused(self, header: str | None) -> None:
        with pytest.raises(SignatureRefused):
            require(header)

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[]", b"1", b"{}", b'{"id": 1, "key": "x"}', b'{"id": "e", "key": 5}', b"\xff", b"[" * 50_000]
    )
    def test_a_signed_body_that_means_nothing_is_invalid(self, body: bytes) -> None:
        with pytest.raises(Invalid):
            read_message(body)


class TestMessages:
    def send(self, till: Till, message: dict[str, Any], *, secret: str | None = None, provider: str = "sandbox") -> Any:
        body = json.dumps(message).encode()
        signature = sign(secret or till.service._webhook_secrets[0], body, datetime.now(UTC))
        headers = {"payment-signature": signature, "content-type": "application/json"}
        return till.shop.http.post(f"/api/v1/webhooks/payments/{provider}", content=body, headers=headers)

    def test_a_message_settles_an_attempt_whose_answer_was_lost(self, till: Till) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        till.pay(buyer, order, "tok_late")
        (message,) = till.sandbox.messages(key=till.gateway_key(order))
        assert self.send(till, message).status_code == 204
        assert till.read(buyer, order)["status"] == "paid"
        assert till.charges(order) == 1

    def test_a_message_that_comes_twice_is_taken_once(self, till: Till) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        till.pay(buyer, order, "tok_twice")
        messages = till.sandbox.messages(key=till.gateway_key(order))
        assert [message["type"] for message in messages] == ["payment.authorised"] * 2 + ["payment.captured"] * 2
        assert [self.send(till, message).status_code for message in messages] == [204] * 4
        assert till.shop.query("SELECT count(*) FROM ordering.payment_messages") == [(2,)]
        assert (till.charges(order), till.events(order)) == (1, ["OrderPlaced", "OrderPaid"])

    def test_what_a_message_claims_counts_for_nothing(self, till: Till) -> None:
        buyer = till.shop.person()
        order = till.order(buyer)
        till.pay(buyer, order, "tok_timeout")
        lie = {"id": "evt_lie", "type": "payment.captured", "key": till.gateway_key(order), "amount": "39.98"}
        assert self.send(till, lie).status_code == 204
        assert till.read(buyer, order)["status"] == "pending"
        assert till.listed(buyer, order, "/payments")[0]["status"] == "started"
        till.reconcile()

    def test_a_message_about_nothing_of_ours_is_fine(self, till: Till) -> None:
        message = {"id": "evt_x", "key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
        assert self.send(till, message).status_code == 204

    def test_a_bad_signature_is_401_and_takes_nothing_in(self, till: Till) -> None:
        answer = self.send(till, {"id": "evt_x", "key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}, secret=OTHER)
        assert (answer.status_code, answer.json()["code"]) == (401, "signature-refused")
        assert answer.headers["content-type"] == "application/problem+json"
        unsigned = till.shop.http.post("/api/v1/webhooks/payments/sandbox", content=BODY)
        assert unsigned.status_code == 401
        assert till.shop.query("SELECT count(*) FROM ordering.payment_messages") == [(0,)]

    def test_an_unknown_provider_is_not_found(self, till: Till) -> None:
        assert self.send(till, {}, provider="nobody").status_code == 404

    def test_a_huge_body_is_refused(self, till: Till) -> None:
        answer = till.shop.http.post("/api/v1/webhooks/payments/sandbox", content=b" " * 100_000)
        assert answer.status_code == 413
