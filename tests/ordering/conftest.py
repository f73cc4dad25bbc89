"""The till: orders on the real application with the sandbox's own books beside them.

till        pay, refund and ship over HTTP; after the test, what the shop and the sandbox say of the money has to agree
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from tests.shop_fixtures import Shop

from kernel.database import unit_of_work
from kernel.pure.principal import Principal
from ordering.service import DatabaseOrderingService, SandboxPaymentGateway
from ordering.service.gateways import announced

ADDRESS = {
    "name": "Ada Lovelace",
    "line1": "12 St James's Square",
    "line2": None,
    "city": "London",
    "postal_code": "SW1Y 4JH",
    "country": "GB",
}
_UNSETTLED = (
    "SELECT count(*) FROM (SELECT id FROM ordering.payments WHERE status IN ('started', 'authorised', 'reversing')"
    " UNION ALL SELECT id FROM ordering.refunds WHERE status = 'started') AS open"
)
_ORDERS = "SELECT stock_reference, captured_amount, refunded_amount, refunding_amount, total FROM ordering.orders"


@dataclass(frozen=True)
class Till:
    shop: Shop
    sandbox: SandboxPaymentGateway
    service: DatabaseOrderingService

    def order(self, buyer: Principal, *lines: tuple[dict[str, Any], int], **body: Any) -> dict[str, Any]:
        answer: Any = self.shop.place(buyer, *(lines or ((self.shop.product(), 2),)), **{"shipping_address": ADDRESS, **body})
        assert answer.status_code == 201, answer.text
        placed: dict[str, Any] = answer.json()
        return placed

    def pay(self, buyer: Principal, order: dict[str, Any], token: str | None = None, key: str | None = None) -> Any:
        body = {"method": "card"} if token is None else {"method": "card", "token": token}
        return self.post(buyer, order, "payments", body, key=key or uuid4().hex)

    def paid(self, buyer: Principal, *lines: tuple[dict[str, Any], int], token: str | None = None) -> dict[str, Any]:
        order = self.order(buyer, *lines)
        assert self.pay(buyer, order, token).status_code == 201
        read: dict[str, Any] = self.read(buyer, order)
        return read

    def refund(self, order: dict[str, Any], key: str | None = None, **body: Any) -> Any:
        return self.post(self.shop.admin(), order, "refunds", body, key=key or uuid4().hex)

    def post(self, caller: Principal, order: dict[str, Any], action: str, body: Any = None, *, key: str | None = None) -> Any:
        more = {} if key is None else {"idempotency_key": key}
        path = f"/api/v1/orders/{order['id']}/{action}"
        answer: Any = self.shop.http.post(path, json=body, headers=self.shop.headers(caller, **more))
        return answer

    def read(self, caller: Principal, order: dict[str, Any], what: str = "") -> Any:
        answer = self.shop.http.get(f"/api/v1/orders/{order['id']}{what}", headers=self.shop.headers(caller))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def listed(self, caller: Principal, order: dict[str, Any], what: str, **query: Any) -> list[dict[str, Any]]:
        return self.shop.walk(f"/api/v1/orders/{order['id']}{what}", caller, **query)

    def events(self, order: dict[str, Any]) -> list[str]:
        rows = self.shop.query(
            "SELECT name FROM kernel.outbox WHERE aggregate = :order ORDER BY id", order=f"order:{order['id']}"
        )
        return [name.removeprefix("ordering.") for (name,) in rows]

    def reconcile(self) -> int:
        """As if a long time had passed."""
        for table in ("payments", "refunds"):
            self.shop.query(f"UPDATE ordering.{table} SET next_check_at = now() - interval '1 s' RETURNING id")
        return self.service.reconcile()

    def overdue(self, order: dict[str, Any]) -> None:
        """The time to pay the order is over, and whoever began to pay it did so long ago."""
        self.shop.query(
            "UPDATE ordering.orders SET expires_at = now() - interval '1 s' WHERE id = :id RETURNING id", id=order["id"]
        )
        self.shop.query(
            "UPDATE ordering.payments SET created_at = now() - interval '1 h' WHERE order_id = :id RETURNING id", id=order["id"]
        )

    def gateway_key(self, order: dict[str, Any]) -> str:
        rows = self.shop.query(
            "SELECT gateway_key FROM ordering.payments WHERE order_id = :id ORDER BY id DESC LIMIT 1", id=order["id"]
        )
        return str(rows[0][0])

    def stock(self, product: dict[str, Any]) -> tuple[int, int]:
        """On hand and reserved."""
        answer = self.shop.http.get(f"/api/v1/products/{product['id']}", headers=self.shop.headers(self.shop.admin())).json()
        return answer["on_hand"], answer["reserved"]

    def kept(self, order: dict[str, Any]) -> Decimal:
        """What the sandbox holds of an order's money."""
        reference = self.shop.query("SELECT stock_reference FROM ordering.orders WHERE id = :id", id=order["id"])[0][0]
        return self._books().get(reference, Decimal(0))

    def charges(self, order: dict[str, Any]) -> int:
        """How often money was taken for the order, whatever went back."""
        reference = self.shop.query("SELECT stock_reference FROM ordering.orders WHERE id = :id", id=order["id"])[0][0]
        return sum(entry.kind == "capture" and entry.order == reference for entry in self.sandbox.entries())

    def check_books(self) -> None:
        """Nothing was charged twice, and captured - refunded is what the sandbox says."""
        entries = self.sandbox.entries()
        captured = [entry.charge for entry in entries if entry.kind == "capture"]
        assert len(captured) == len(set(captured)), "A charge was captured twice."
        books = self._books()
        settled = self.shop.query(_UNSETTLED) == [(0,)]
        for reference, taken, back, held, total in self.shop.query(_ORDERS):
            assert 0 <= books.get(reference, Decimal(0)) <= total, "More was taken than the order costs."
            if settled:
                assert held == 0
                assert books.get(reference, Decimal(0)) == taken - back, "The shop and the sandbox disagree."

    def _books(self) -> dict[str, Decimal]:
        sums: dict[str, Decimal] = {}
        for entry in self.sandbox.entries():
            sums[entry.order] = sums.get(entry.order, Decimal(0)) + (entry.amount if entry.kind == "capture" else -entry.amount)
        return sums


class PowerCut(Exception):
    """Ends a request at a fault point, with everything that was committed by then."""


class Faults:
    """Stands where the fault points are: writes them down, and cuts the power at one of them once."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.cut_at: tuple[str, int] | None = None

    def __call__(self, name: str) -> None:
        self.passed.append(name)
        if self.cut_at == (name, self.passed.count(name)):
            self.cut_at = None
            raise PowerCut(name)

    def watch(self, cut_at: tuple[str, int] | None = None) -> None:
        self.passed.clear()
        self.cut_at = cut_at

    def points(self) -> list[tuple[str, int]]:
        """Each point that was passed, and which time it was."""
        return [(name, self.passed[: position + 1].count(name)) for position, name in enumerate(self.passed)]


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    faults = Faults()
    monkeypatch.setattr(unit_of_work, "fault_point", faults)
    monkeypatch.setattr(announced, "fault_point", faults)
    return faults


@pytest.fixture
def till(shop: Shop) -> Iterator[Till]:
    service: DatabaseOrderingService = shop.app.state.parts.services["ordering"]
    gateway: Any = service._gateway
    yield (till := Till(shop, gateway._gateway, service))
    till.check_books()


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Their results, each from a thread of its own that started with the others."""
    results: list[Any] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(position: int) -> None:
        start.wait(10)
        results[position] = calls[position]()

    threads = [threading.Thread(target=run, args=(position,)) for position in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results
