"""What ordering's routes cost: one request each, within `contracts/budgets.toml`. An order has two lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.meter import Meter
from tests.ordering.conftest import ADDRESS

from kernel.pure.principal import Principal
from ordering.service.webhooks import sign

ORDERS = "/api/v1/orders"
CARD = {"method": "card"}


@pytest.fixture
def buyer(meter: Meter) -> Principal:
    return meter.shop.person()


def place(meter: Meter, buyer: Principal) -> str:
    """A new order's path."""
    items = [{"product_id": meter.shop.product()["id"], "quantity": quantity} for quantity in (1, 2)]
    body = {"items": items, "shipping_address": ADDRESS}
    placed = meter.spend("POST", ORDERS, buyer, body, status=201, idempotency_key=f"place-{items[0]['product_id']}")
    return f"{ORDERS}/{placed.json()['id']}"


def pay(meter: Meter, buyer: Principal, order: str) -> Any:
    return meter.spend("POST", f"{order}/payments", buyer, CARD, status=201, idempotency_key=f"pay-{order}").json()


class TestReading:
    def test_an_order_with_its_lines(self, meter: Meter, buyer: Principal) -> None:
        assert len(meter.spend("GET", place(meter, buyer), buyer).json()["items"]) == 2

    def test_a_list_of_orders_with_their_lines(self, meter: Meter, buyer: Principal) -> None:
        for _ in range(3):
            place(meter, buyer)
        assert len(meter.spend("GET", f"{ORDERS}?limit=2", buyer).json()["items"]) == 2

    def test_what_happened(self, meter: Meter, buyer: Principal) -> None:
        order = place(meter, buyer)
        meter.spend("GET", f"{order}/history", buyer)


class TestLife:
    def test_cancelling(self, meter: Meter, buyer: Principal) -> None:
        meter.spend("POST", f"{place(meter, buyer)}/cancel", buyer)

    def test_from_paying_to_refunding(self, meter: Meter, buyer: Principal) -> None:
        admin, order = meter.shop.admin(), place(meter, buyer)
        meter.spend("PUT", f"{order}/shipping-address", buyer, ADDRESS)
        payment = pay(meter, buyer, order)
        meter.spend("GET", f"{order}/payments", buyer)
        meter.spend("GET", f"{order}/payments/{payment['id']}", buyer)
        meter.spend("POST", f"{order}/ship", admin, {"tracking_reference": "JD0002"})
        meter.spend("POST", f"{order}/deliver", admin)
        refund = meter.spend("POST", f"{order}/refunds", admin, {"amount": "1.00"}, status=201, idempotency_key="r").json()
        meter.spend("GET", f"{order}/refunds", admin)
        meter.spend("GET", f"{order}/refunds/{refund['id']}", admin)


def test_a_message_of_the_provider(meter: Meter, buyer: Principal) -> None:
    order = place(meter, buyer)
    pay(meter, buyer, order)
    [(key,)] = meter.shop.query("SELECT gateway_key FROM ordering.payments")
    body = json.dumps({"id": "evt_1", "type": "payment.captured", "key": str(key)}).encode()
    secret = meter.app.state.parts.services["ordering"]._webhook_secrets[0]
    signature = sign(secret, body, datetime.now(UTC))
    meter.spend("POST", "/api/v1/webhooks/payments/sandbox", None, body, status=204, payment_signature=signature)
