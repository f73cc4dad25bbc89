"""SQL of refunds: the amount is held on the order before the provider hears of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from kernel.database.types import AnyRow

_COLUMNS: Final = (
    "r.id, r.order_id, r.status, r.amount, r.currency, r.reason, r.actor_id, r.gateway_key, r.failure_code, r.created_at,"
    " r.updated_at"
)
_LINES: Final = (
    "(SELECT coalesce(json_agg(json_build_array(l.product_id, l.quantity, l.restock) ORDER BY l.product_id), '[]')"
    " FROM ordering.refund_lines AS l WHERE l.refund_id = r.id) AS lines"
)

_HOLD: Final = text(
    """
    UPDATE ordering.orders SET refunding_amount = refunding_amount + :amount, version = version + 1, updated_at = now()
    WHERE id = :order_id AND refunded_amount + refunding_amount + :amount <= captured_amount
    RETURNING currency
    """
)
_LOCK: Final = text(
    "SELECT status, captured_amount, captured_amount - refunded_amount - refunding_amount AS refundable"
    " FROM ordering.orders WHERE id = :order_id FOR NO KEY UPDATE"
)
_REFUNDABLE_LINES: Final = text(
    """
    SELECT line.product_id, line.unit_price, line.quantity - coalesce((
      SELECT sum(l.quantity) FROM ordering.refund_lines AS l JOIN ordering.refunds AS r ON r.id = l.refund_id
      WHERE r.order_id = line.order_id AND r.status <> 'failed' AND l.product_id = line.product_id), 0)::int AS quantity
    FROM ordering.order_lines AS line WHERE line.order_id = :order_id
    """
)
_BEGIN: Final = text(
    """
    WITH refund AS (
      INSERT INTO ordering.refunds
        (order_id, amount, currency, reason, actor_id, gateway_key, next_check_at, created_at, updated_at)
      VALUES (:order_id, :amount, :currency, :reason, :actor_id, :gateway_key, :next_check_at, :now, :now)
      RETURNING id
    ), lines AS (
      INSERT INTO ordering.refund_lines (refund_id, product_id, quantity, restock)
      SELECT refund.id, line.product_id, line.quantity, line.restock
      FROM refund, jsonb_to_recordset(CAST(:lines AS jsonb)) AS line (product_id bigint, quantity integer, restock boolean)
    )
    SELECT id FROM refund
    """
)
_READ: Final = text(
    f"SELECT {_COLUMNS}, {_LINES}, p.gateway_reference AS charge, p.provider FROM ordering.refunds AS r"  # noqa: S608 -- constants
    " JOIN ordering.payments AS p ON p.order_id = r.order_id AND p.status = 'captured' WHERE r.id = :refund_id"
)
_LIST: Final = text(
    f"SELECT {_COLUMNS}, {_LINES} FROM ordering.refunds AS r"  # noqa: S608 -- constants
    " WHERE r.order_id = :order_id AND r.id > :after_id ORDER BY r.id LIMIT :limit"
)
_SUCCEED: Final = text(
    """
    WITH refund AS (
      UPDATE ordering.refunds SET status = 'succeeded', gateway_reference = :gateway_reference, updated_at = :now
      WHERE id = :refund_id AND status = 'started'
      RETURNING order_id, amount, reason, actor_id
    ), moved AS (
      UPDATE ordering.orders AS o SET refunded_amount = refunded_amount + refund.amount,
        refunding_amount = refunding_amount - refund.amount, version = version + 1, updated_at = now()
      FROM refund WHERE o.id = refund.order_id
      RETURNING o.id, o.user_id, o.status, o.refunded_amount, o.currency, refund.amount, refund.reason, refund.actor_id
    ), noted AS (
      INSERT INTO ordering.order_history (order_id, action, status, actor, actor_id, amount, note)
      SELECT id, 'refund', status, 'admin', actor_id, amount, reason FROM moved
    )
    SELECT * FROM moved
    """
)
_FAIL: Final = text(
    """
    WITH refund AS (
      UPDATE ordering.refunds SET status = 'failed', failure_code = :failure_code, updated_at = :now
      WHERE id = :refund_id AND status = 'started'
      RETURNING order_id, amount
    )
    UPDATE ordering.orders AS o SET refunding_amount = refunding_amount - refund.amount, version = version + 1,
      updated_at = now()
    FROM refund WHERE o.id = refund.order_id
    RETURNING o.id
    """
)
_CLAIM: Final = text(
    """
    UPDATE ordering.refunds SET checks = checks + 1,
      next_check_at = CAST(:now AS timestamptz) + make_interval(secs => least(5 * 2 ^ least(checks, 10), 600))
    WHERE id IN (
      SELECT id FROM ordering.refunds WHERE status = 'started' AND next_check_at <= :now
      ORDER BY next_check_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    RETURNING id
    """
)


def lock_refundable(session: Session, order_id: int) -> AnyRow:
    """Keep other refunds of the order waiting, and answer its status, captured_amount and what is refundable."""
    return session.execute(_LOCK, {"order_id": order_id}).one()


def refundable_lines(session: Session, order_id: int) -> Mapping[int, AnyRow]:
    """By product: its unit_price and the quantity that no refund is for yet. Needs the lock."""
    return {row.product_id: row for row in session.execute(_REFUNDABLE_LINES, {"order_id": order_id})}


def hold_refund(session: Session, order_id: int, amount: Any) -> str | None:
    """Hold the amount; the order's currency, or None when less than that is left."""
    currency: str | None = session.execute(_HOLD, {"order_id": order_id, "amount": amount}).scalar_one_or_none()
    return currency


def begin_refund(session: Session, values: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> int:
    refund_id: int = session.execute(_BEGIN, {**values, "lines": json.dumps([*map(dict, lines)])}).scalar_one()
    return refund_id


def read_refund(connection: Connection | Session, refund_id: int) -> AnyRow | None:
    """The refund with its lines as [product_id, quantity, restock], and `charge`: the provider's name of what it gives back."""
    return connection.execute(_READ, {"refund_id": refund_id}).one_or_none()


def list_refunds(connection: Connection, order_id: int, *, after_id: int, limit: int) -> Sequence[AnyRow]:
    """The refunds of an order above `after_id`, oldest first, each with its lines."""
    return connection.execute(_LIST, {"order_id": order_id, "after_id": after_id, "limit": limit}).all()


def succeed_refund(session: Session, refund_id: int, *, gateway_reference: str, now: datetime) -> AnyRow | None:
    """The order's id, user_id, refunded_amount, currency, and the refund's amount; None when it was settled already."""
    values = {"refund_id": refund_id, "gateway_reference": gateway_reference, "now": now}
    return session.execute(_SUCCEED, values).one_or_none()


def fail_refund(session: Session, refund_id: int, *, failure_code: str, now: datetime) -> None:
    session.execute(_FAIL, {"refund_id": refund_id, "failure_code": failure_code, "now": now})


def claim_refunds(session: Session, *, now: datetime, limit: int) -> Sequence[int]:
    return session.execute(_CLAIM, {"now": now, "limit": limit}).scalars().all()
