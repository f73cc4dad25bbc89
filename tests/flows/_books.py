"""The books of a shop, added up from its tables: what has to hold whatever happened to it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from ordering.service import SandboxPaymentGateway

Query = Callable[..., list[tuple[Any, ...]]]

_STOCK: Final = """
    SELECT product_id, quantity, reserved,
      (SELECT coalesce(sum(m.quantity), 0) FROM catalog.stock_movements AS m WHERE m.product_id = s.product_id),
      (SELECT coalesce(sum(l.quantity), 0) FROM catalog.reservation_lines AS l JOIN catalog.reservations AS r USING (reference)
       WHERE l.product_id = s.product_id AND r.status = 'held')
    FROM catalog.stock AS s
"""
_HOLDS: Final = """
    SELECT o.id, o.status, r.status FROM ordering.orders AS o
    LEFT JOIN catalog.reservations AS r ON r.reference = o.stock_reference
    WHERE r.status IS DISTINCT FROM (CASE o.status WHEN 'pending' THEN 'held' WHEN 'cancelled' THEN 'released'
      WHEN 'expired' THEN 'released' ELSE 'confirmed' END)
"""
_EVENTS: Final = """
    SELECT aggregate, name FROM kernel.outbox WHERE name <> 'ordering.OrderRefunded' AND name LIKE 'ordering.%'
    GROUP BY 1, 2 HAVING count(*) > 1
"""
_MONEY: Final = "SELECT stock_reference, captured_amount - refunded_amount, refunding_amount FROM ordering.orders"
_UNSETTLED: Final = """
    SELECT 'payment', id FROM ordering.payments WHERE status IN ('started', 'authorised', 'reversing')
    UNION ALL SELECT 'refund', id FROM ordering.refunds WHERE status = 'started'
    UNION ALL SELECT 'event', id FROM kernel.outbox WHERE fanned_out_at IS NULL
    UNION ALL SELECT 'delivery', outbox_id FROM kernel.deliveries WHERE status <> 'delivered'
"""
_SOLD: Final = """
    SELECT p.id, p.units_sold, coalesce(sum(l.quantity), 0) FROM catalog.products AS p
    LEFT JOIN (ordering.order_lines AS l JOIN ordering.orders AS o ON o.id = l.order_id AND o.captured_amount > 0)
      ON l.product_id = p.id
    GROUP BY p.id HAVING p.units_sold <> coalesce(sum(l.quantity), 0)
"""


def unsettled(query: Query) -> list[tuple[Any, ...]]:
    """What the shop has still to finish by itself."""
    return query(_UNSETTLED)


def check_all(query: Query, sandbox: SandboxPaymentGateway) -> None:
    """Everything, of a shop that has nothing left to finish."""
    assert unsettled(query) == []
    check_stock(query)
    check_events(query)
    check_money(query, sandbox)
    assert query(_SOLD) == [], "A paid order was not counted as sold exactly once."


def check_money(query: Query, sandbox: SandboxPaymentGateway) -> None:
    """No charge was captured twice, and what is at the provider is what the orders say."""
    kept: dict[str, Decimal] = {}
    captured: list[str] = []
    for entry in sandbox.entries():
        captured += [entry.charge] if entry.kind == "capture" else []
        kept[entry.order] = kept.get(entry.order, Decimal(0)) + (entry.amount if entry.kind == "capture" else -entry.amount)
    assert len(captured) == len(set(captured))
    for reference, amount, held in query(_MONEY):
        assert (kept.pop(reference, Decimal(0)), held) == (amount, 0)
    assert not kept, "The provider holds money of orders that do not exist."


def check_stock(query: Query) -> None:
    """On hand is the sum of the movements, reserved that of the holds, and each order has the hold that its state asks for."""
    for product_id, on_hand, reserved, moved, held in query(_STOCK):
        assert (on_hand, reserved) == (moved, held), f"product {product_id}"
    assert query(_HOLDS) == []


def check_events(query: Query) -> None:
    """No order's step was announced twice."""
    assert query(_EVENTS) == []
