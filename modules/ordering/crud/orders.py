"""SQL of orders: placing, reading, moving them on, and their history."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final

from sqlalchemy import Boolean, Connection, Select, bindparam, case, literal_column, select, text
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.orm import Session

from kernel.database.types import AnyRow
from ordering.models import Order, OrderLine

_HISTORY_SHOWN: Final = 100
"""How much of its history an order is read with: its owner can set addresses, and be declined, without end."""

_ORDER_COLUMNS: Final = (
    Order.id,
    Order.number,
    Order.user_id,
    Order.status,
    Order.total,
    Order.currency,
    # With the first line only, as the history: of a thousand lines each would carry it again.
    case((OrderLine.position == 0, Order.shipping_address)).label("shipping_address"),
    Order.version,
    Order.created_at,
    Order.expires_at,
    Order.tracking_reference,
    Order.captured_amount,
    Order.refunded_amount,
    Order.refunding_amount,
)
_LINE_COLUMNS: Final = (
    OrderLine.product_id,
    OrderLine.sku,
    OrderLine.name,
    OrderLine.quantity,
    OrderLine.unit_price,
    OrderLine.line_total,
)

# With the first line only, which is the one that is read. At most one attempt is live, and an index finds it.
_PAYING_COLUMN: Final = literal_column(
    """
    CASE WHEN ordering.order_lines.position = 0 AND ordering.orders.status = 'pending' THEN EXISTS (
      SELECT FROM ordering.payments AS p WHERE p.order_id = ordering.orders.id AND p.status IN ('started', 'authorised')
    ) END
    """,
    Boolean,
).label("paying")

# As JSON with the first line only: the other lines of an order need not carry it again. Amounts are text, to stay exact. The
# aggregate takes the entries as they come, newest first; to sort them once more would be felt by a page of orders.
_HISTORY_COLUMN: Final = literal_column(
    f"""
    CASE WHEN ordering.order_lines.position = 0 THEN (
      SELECT json_agg(json_build_array(id, action, status, actor, amount::text, note, created_at)) FROM (
        SELECT * FROM ordering.order_history AS h WHERE h.order_id = ordering.orders.id
        ORDER BY h.id DESC LIMIT {_HISTORY_SHOWN}
      ) AS newest
    ) END
    """,  # noqa: S608 -- a constant
    JSON,
).label("history")

# An order and its lines are one statement: the lines reach the new order's id without a round trip for it.
_PLACE: Final = text(
    """
    WITH placed AS (
      INSERT INTO ordering.orders (user_id, status, total, currency, stock_reference, shipping_address, expires_at)
      VALUES (:user_id, 'pending', :total, :currency, :stock_reference, CAST(:shipping_address AS jsonb), :expires_at)
      RETURNING id, number, user_id, status, total, currency, shipping_address, version, created_at, expires_at,
        tracking_reference, captured_amount, refunded_amount, refunding_amount
    ), noted AS (
      INSERT INTO ordering.order_history (order_id, action, status, actor, actor_id)
      SELECT id, 'place', 'pending', 'customer', user_id FROM placed
      RETURNING json_build_array(json_build_array(id, action, status, actor, amount, note, created_at)) AS history
    ), lines AS (
      INSERT INTO ordering.order_lines (order_id, position, product_id, sku, name, quantity, unit_price)
      SELECT placed.id, line.position, line.product_id, line.sku, line.name, line.quantity, line.unit_price
      FROM placed, jsonb_to_recordset(CAST(:lines AS jsonb)) AS line
        (position integer, product_id bigint, sku text, name text, quantity integer, unit_price numeric)
    )
    SELECT *, false AS paying FROM placed, noted
    """
)

_READ: Final = (
    select(*_ORDER_COLUMNS, *_LINE_COLUMNS, _PAYING_COLUMN, _HISTORY_COLUMN)
    .join_from(Order, OrderLine, OrderLine.order_id == Order.id)
    .where(Order.id == bindparam("order_id"))
    .order_by(OrderLine.position)
)

# Whoever finds the order in the state that the change starts from has won; the others find no row. `due`: the time that the
# order must have passed, with nobody paying for it just now.
_MOVE: Final = text(
    """
    WITH moved AS (
      UPDATE ordering.orders AS o SET status = :to, version = version + 1, updated_at = now(),
        tracking_reference = COALESCE(:tracking_reference, tracking_reference)
      WHERE id = :order_id AND status = :from
        AND (:to <> 'shipped' OR shipping_address IS NOT NULL)
        AND (CAST(:due AS timestamptz) IS NULL OR expires_at <= :due AND NOT EXISTS (
          SELECT FROM ordering.payments AS p WHERE p.order_id = o.id AND p.status IN ('started', 'authorised')
            AND p.created_at > CAST(:due AS timestamptz) - CAST(:patience AS interval)))
      RETURNING id, user_id, stock_reference
    ), noted AS (
      INSERT INTO ordering.order_history (order_id, action, status, actor, actor_id, note)
      SELECT id, :action, :to, :actor, :actor_id, :tracking_reference FROM moved
    )
    SELECT user_id, stock_reference FROM moved
    """
)

_SET_ADDRESS: Final = text(
    """
    WITH moved AS (
      UPDATE ordering.orders SET shipping_address = CAST(:shipping_address AS jsonb), version = version + 1, updated_at = now()
      WHERE id = :order_id AND status = ANY(:statuses)
      RETURNING id, status
    )
    INSERT INTO ordering.order_history (order_id, action, status, actor, actor_id)
    SELECT id, 'set-shipping-address', status, :actor, :actor_id FROM moved
    RETURNING order_id
    """
)

# The version rises with every entry: the order is answered with its history, under an ETag made of the version.
_NOTE: Final = text(
    """
    WITH noted AS (
      UPDATE ordering.orders SET version = version + 1, updated_at = now() WHERE id = :order_id RETURNING id, status
    )
    INSERT INTO ordering.order_history (order_id, action, status, actor, amount, note)
    SELECT id, :action, status, :actor, :amount, :note FROM noted
    """
)
_DUE: Final = text(
    "SELECT id FROM ordering.orders AS o WHERE status = 'pending' AND expires_at <= :now"
    " AND NOT EXISTS (SELECT FROM ordering.payments AS p WHERE p.order_id = o.id AND p.status IN ('started', 'authorised')"
    " AND p.created_at > CAST(:now AS timestamptz) - CAST(:patience AS interval))"
    " ORDER BY expires_at LIMIT :limit"
)
_HISTORY: Final = text(
    "SELECT h.id, h.action, h.status, h.actor, h.amount, h.note, h.created_at, o.user_id"
    " FROM ordering.orders AS o LEFT JOIN ordering.order_history AS h ON h.order_id = o.id AND h.id > :after_id"
    " WHERE o.id = :order_id ORDER BY h.id LIMIT :limit"
)


def place_order(session: Session, *, values: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> AnyRow:
    """Insert an order with its lines; one row of the order's columns and its history, as `read_order`.

    `values`: user_id, total, currency, stock_reference, expires_at, shipping_address (dict or None). `lines`: position (the
    first is 0), product_id, sku, name, quantity, unit_price (as text, exact).
    """
    address = values["shipping_address"]
    parameters = {
        **values,
        "shipping_address": None if address is None else json.dumps(address),
        "lines": json.dumps([*map(dict, lines)]),
    }
    return session.execute(_PLACE, parameters).one()


def read_order(connection: Connection | Session, order_id: int) -> Sequence[AnyRow]:
    """One row per line, each with the order's columns; empty when there is no such order.

    The first row alone has the `shipping_address`, says whether an attempt to pay is not settled yet (`paying`), and has the
    `history`, newest first, as [id, action, status, actor, amount, note, time as text]; None without one.
    """
    return connection.execute(_READ, {"order_id": order_id}).all()


def list_orders(
    connection: Connection, *, user_id: int | None, status: str | None, before_id: int, limit: int
) -> Sequence[AnyRow]:
    """The newest orders below `before_id` with their lines, like `read_order`; None does not narrow."""
    values: dict[str, Any] = {"before_id": before_id, "limit": limit}
    if user_id is not None:
        values["user_id"] = user_id
    if status is not None:
        values["status"] = status
    return connection.execute(_list_statement(frozenset(values)), values).all()


@cache
def _list_statement(names: frozenset[str]) -> Select[*tuple[Any, ...]]:
    page = select(Order.id).where(Order.id < bindparam("before_id")).order_by(Order.id.desc()).limit(bindparam("limit"))
    if "user_id" in names:
        page = page.where(Order.user_id == bindparam("user_id"))
    if "status" in names:
        page = page.where(Order.status == bindparam("status"))
    ids = page.subquery()
    return (
        select(*_ORDER_COLUMNS, *_LINE_COLUMNS, _PAYING_COLUMN, _HISTORY_COLUMN)
        .join_from(ids, Order, Order.id == ids.c.id)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .order_by(Order.id.desc(), OrderLine.position)
    )


def move_order(
    session: Session,
    order_id: int,
    *,
    action: str,
    from_status: str,
    to_status: str,
    actor: str,
    actor_id: int | None,
    tracking_reference: str | None = None,
    due: datetime | None = None,
    patience: timedelta = timedelta(0),
) -> AnyRow | None:
    """Move the order on if it still is in `from_status`, and write it down: (user_id, stock_reference); None when it is not.

    To `shipped` only with an address; with `due` only if it expired by then and nobody began to pay within `patience`.
    """
    values = {
        "order_id": order_id,
        "action": action,
        "from": from_status,
        "to": to_status,
        "actor": actor,
        "actor_id": actor_id,
        "tracking_reference": tracking_reference,
        "due": due,
        "patience": patience,
    }
    return session.execute(_MOVE, values).one_or_none()


def set_address(
    session: Session,
    order_id: int,
    *,
    address: Mapping[str, Any],
    statuses: Sequence[str],
    actor: str,
    actor_id: int,
) -> bool:
    """Whether the order was in one of these states and has the address now."""
    values = {
        "order_id": order_id,
        "shipping_address": json.dumps(address),
        "statuses": list(statuses),
        "actor": actor,
        "actor_id": actor_id,
    }
    return session.execute(_SET_ADDRESS, values).one_or_none() is not None


def expired_orders(connection: Connection, *, now: datetime, patience: timedelta, limit: int) -> Sequence[int]:
    """Pending orders whose time is over and that nobody began to pay within `patience`, the longest first."""
    return connection.execute(_DUE, {"now": now, "patience": patience, "limit": limit}).scalars().all()


def note(
    session: Session, order_id: int, *, action: str, actor: str, amount: Decimal | None = None, remark: str | None = None
) -> None:
    """Write down something that leaves the order's status as it is; its version rises."""
    session.execute(_NOTE, {"order_id": order_id, "action": action, "actor": actor, "amount": amount, "note": remark})


def list_history(connection: Connection, order_id: int, *, after_id: int, limit: int) -> Sequence[AnyRow]:
    """What happened above `after_id`, oldest first, each with the order's user_id; empty when there is no such order.

    An order with nothing there has one row of which all but the user_id is None.
    """
    return connection.execute(_HISTORY, {"order_id": order_id, "after_id": after_id, "limit": limit}).all()
