"""A small model of the shop: what stock, orders and money have to be after each step, with the sandbox as the provider.

The rules are `Model`, some sixty lines; the rest is what they are about.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from kernel.pure.principal import Principal

NOTHING: Final = Decimal("0.00")
TOKENS: Final = {
    "tok_approve": (["captured"], ["succeeded"]),
    "tok_twice": (["captured"], ["succeeded"]),
    "tok_decline": (["declined"], []),
    "tok_timeout": (["open"], []),
    "tok_late": (["open", "captured"], ["succeeded"]),
    "tok_fail_after_charge": (["open", "captured"], ["succeeded"]),
    "tok_refund_declined": (["captured"], ["failed"]),
    "tok_refund_late": (["captured"], ["open", "succeeded"]),
}
"""What the provider answers when it is asked to pay, and to refund: once more each time, and the last one for ever."""
ANSWERED: Final = {"open": 202, "captured": 201, "declined": 402, "reversed": 409, "succeeded": 201, "failed": 409}


@dataclass(eq=False)
class Product:
    id: int
    price: Decimal
    on_hand: int
    sold: int = 0
    counted: int = 0
    """Of the sold: what the delivery of events has got round to."""


class Returned(NamedTuple):
    product: Product
    quantity: int
    restock: bool


@dataclass(eq=False)
class Attempt:
    """To pay, or to refund."""

    order: Order
    token: str
    answers: list[str]
    at: datetime
    amount: Decimal
    items: tuple[Returned, ...] = ()
    status: str = "open"

    def ask(self) -> str:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


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
        items = [item for refund in self.refunds if refund.status != "failed" for item in refund.items]
        return self.lines[product][0] - sum(item.quantity for item in items if item.product is product)

    @property
    def at_the_provider(self) -> Decimal:
        """Unanswered is not undone: what broke after the charge is charged, and a late refund was made."""
        unknown = [paid.amount for paid in self.payments if (paid.token, paid.status) == ("tok_fail_after_charge", "open")]
        return self.captured + sum(unknown, NOTHING) - self.given_back("succeeded", "open")


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
        if ended := order.status == "pending":
            order.status, order.held = status, False
        return ended

    def begin_payment(self, order: Order, token: str, now: datetime) -> Attempt | None:
        if order.status != "pending" or any(attempt.status == "open" for attempt in order.payments):
            return None
        order.payments.append(attempt := Attempt(order, token, [*TOKENS[token][0]], now, order.total))
        return attempt

    def go_on_paying(self, attempt: Attempt) -> int:
        order = attempt.order
        if attempt.status == "open":
            attempt.status = attempt.ask() if order.status == "pending" else "reversed"
            if attempt.status == "captured" and order.held:
                self.end(order, "paid")
                for product, (quantity, _) in order.lines.items():
                    product.on_hand, product.sold = product.on_hand - quantity, product.sold + quantity
            elif attempt.status == "captured":
                self.end(order, "expired")
                attempt.status = "reversed"
        return ANSWERED[attempt.status]

    def begin_refund(self, order: Order, amount: Decimal | None, items: tuple[Returned, ...], now: datetime) -> Attempt | int:
        if order.captured and any(item.quantity > order.left_of(item.product) for item in items):
            return 422
        left = order.captured - order.given_back("open", "succeeded")
        worth = sum((item.quantity * order.lines[item.product][1] for item in items), NOTHING)
        wanted = worth if items else (left if amount is None else amount)
        if not 0 < wanted <= left:
            return 409
        token = order.payments[-1].token
        order.refunds.append(refund := Attempt(order, token, [*TOKENS[token][1]], now, wanted, items))
        return refund

    def go_on_refunding(self, refund: Attempt) -> int:
        if refund.status == "open":
            refund.status = refund.ask()
            for item in refund.items if refund.status == "succeeded" else ():
                item.product.on_hand += item.quantity * item.restock
        return ANSWERED[refund.status]

    def time_passes(self, now: datetime) -> None:
        """The catalog lets go, orders expire, the reconciler settles what is open, and events are delivered, in this order."""
        for order in self.orders:
            paying = [attempt for attempt in order.payments if attempt.status == "open"]
            order.held = order.held and order.until + timedelta(minutes=10) > now
            if order.until <= now and not any(attempt.at > now - timedelta(minutes=2) for attempt in paying):
                self.end(order, "expired")
            for attempt in paying:
                # The provider knows nothing of it.
                attempt.status = "declined" if attempt.token == "tok_timeout" else attempt.status
                self.go_on_paying(attempt)
            for refund in order.refunds:
                self.go_on_refunding(refund)
        for product in self.products:
            product.counted = product.sold
