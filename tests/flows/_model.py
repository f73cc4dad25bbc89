"""A small model of the shop: what stock, orders and money have to be after each step, with the sandbox as the provider."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from kernel.pure.principal import Principal

TOKENS: Final = [
    "tok_approve",
    "tok_decline",
    "tok_timeout",
    "tok_late",
    "tok_fail_after_charge",
    "tok_twice",
    "tok_refund_declined",
    "tok_refund_late",
]
NOTHING: Final = Decimal("0.00")
_PAID_WHEN: Final = {"open": 202, "captured": 201, "declined": 402, "reversed": 409}
_REFUNDED_WHEN: Final = {"open": 202, "succeeded": 201, "failed": 409}


@dataclass(eq=False)
class Product:
    id: int
    price: Decimal
    on_hand: int
    sold: int = 0
    counted: int = 0
    """Of the sold: what the delivery of events has got round to."""


@dataclass(eq=False)
class Attempt:
    """To pay, or to refund: `silent` as long as the provider's first answer is still to be lost."""

    order: Order
    token: str
    silent: bool
    at: datetime
    amount: Decimal
    items: tuple[tuple[Product, int, bool], ...] = ()
    status: str = "open"


@dataclass(eq=False)
class Order:
    owner: Principal
    lines: dict[Product, tuple[int, Decimal]]
    until: datetime
    id: int = 0
    status: str = "pending"
    held: bool = True
    payments: list[Attempt] = field(default_factory=list)
    refunds: list[Attempt] = field(default_factory=list)

    @property
    def total(self) -> Decimal:
        return sum((quantity * price for quantity, price in self.lines.values()), NOTHING)

    @property
    def captured(self) -> Decimal:
        return self.total if self.status == "paid" else NOTHING

    def given_back(self, *statuses: str) -> Decimal:
        return sum((refund.amount for refund in self.refunds if refund.status in statuses), NOTHING)

    def left_of(self, product: Product) -> int:
        gone = sum(n for refund in self.refunds if refund.status != "failed" for p, n, _ in refund.items if p is product)
        return self.lines[product][0] - gone

    @property
    def at_the_provider(self) -> Decimal:
        """Unanswered is not undone: what broke after the charge is charged, and a late refund was made."""
        unknown = [a for a in self.payments if a.status == "open" and a.token == "tok_fail_after_charge" and not a.silent]
        return self.captured + sum((a.amount for a in unknown), NOTHING) - self.given_back("succeeded", "open")


class Model:
    def __init__(self) -> None:
        self.products: list[Product] = []
        self.orders: list[Order] = []

    def reserved(self, product: Product) -> int:
        return sum(order.lines[product][0] for order in self.orders if order.held and product in order.lines)

    def is_open(self) -> bool:
        """Whether an order can still be paid or expire, or the provider's answer to an attempt is awaited."""
        attempts = (attempt for order in self.orders for attempt in order.payments + order.refunds)
        return any(order.status == "pending" for order in self.orders) or any(attempt.status == "open" for attempt in attempts)

    def place(self, owner: Principal, wanted: Counter[Product], now: datetime) -> Order | None:
        if any(product.on_hand - self.reserved(product) < quantity for product, quantity in wanted.items()):
            return None
        lines = {product: (quantity, product.price) for product, quantity in wanted.items()}
        self.orders.append(order := Order(owner, lines, now + timedelta(minutes=15)))
        return order

    def end(self, order: Order, status: str) -> bool:
        if order.status != "pending":
            return False
        order.status, order.held = status, False
        return True

    def begin_payment(self, order: Order, token: str, now: datetime) -> Attempt | None:
        if order.status != "pending" or any(attempt.status == "open" for attempt in order.payments):
            return None
        silent = token in ("tok_late", "tok_fail_after_charge")
        order.payments.append(attempt := Attempt(order, token, silent, now, order.total))
        return attempt

    def go_on_paying(self, attempt: Attempt) -> int:
        if attempt.status == "open":
            if attempt.silent:
                attempt.silent = False
            elif attempt.order.status != "pending":
                attempt.status = "reversed"
            elif attempt.token == "tok_decline":
                attempt.status = "declined"
            elif attempt.token != "tok_timeout":
                self._capture(attempt)
        return _PAID_WHEN[attempt.status]

    def _capture(self, attempt: Attempt) -> None:
        kept = self.end(attempt.order, "paid" if attempt.order.held else "expired") and attempt.order.status == "paid"
        attempt.status = "captured" if kept else "reversed"
        for product, (quantity, _) in attempt.order.lines.items() if kept else ():
            product.on_hand -= quantity
            product.sold += quantity

    def begin_refund(
        self, order: Order, amount: Decimal | None, items: tuple[tuple[Product, int, bool], ...], now: datetime
    ) -> Attempt | int:
        if order.captured == 0:
            return 409
        if any(quantity > order.left_of(product) for product, quantity, _ in items):
            return 422
        left = order.captured - order.given_back("open", "succeeded")
        worth = sum((order.lines[product][1] * quantity for product, quantity, _ in items), NOTHING)
        wanted = worth if items else (left if amount is None else amount)
        if not 0 < wanted <= left:
            return 409
        token = order.payments[-1].token
        order.refunds.append(refund := Attempt(order, token, token == "tok_refund_late", now, wanted, items))
        return refund

    def go_on_refunding(self, refund: Attempt) -> int:
        if refund.status == "open":
            if refund.silent:
                refund.silent = False
            elif refund.token == "tok_refund_declined":
                refund.status = "failed"
            else:
                refund.status = "succeeded"
                for product, quantity, restock in refund.items:
                    product.on_hand += quantity * restock
        return _REFUNDED_WHEN[refund.status]

    def time_passes(self, now: datetime) -> None:
        """The catalog lets go, orders expire, the reconciler settles what is open, and events are delivered, in this order."""
        for order in self.orders:
            paying = [attempt for attempt in order.payments if attempt.status == "open"]
            order.held = order.held and order.until + timedelta(minutes=10) > now
            if order.until <= now and not any(attempt.at > now - timedelta(minutes=2) for attempt in paying):
                self.end(order, "expired")
            for attempt in paying:
                if attempt.token == "tok_timeout":
                    attempt.status = "declined"
                self.go_on_paying(attempt)
            for refund in order.refunds:
                self.go_on_refunding(refund)
        for product in self.products:
            product.counted = product.sold
