"""Every SQL statement of ordering: functions (session or connection, …) -> row; no commit, no HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, select, text
from sqlalchemy.orm import Session

from kernel.database.types import AnyRow
from ordering.models import Order, OrderLine

_ORDER_COLUMNS: Final = (
    Order.id,
    Order.number,
    Order.user_id,
    Order.status,
    Order.total,
    Order.currency,
    Order.shipping_address,
    Order.version,
    Order.created_at,
)
_LINE_COLUMNS: Final = (
    OrderLine.product_id,
    OrderLine.sku,
    OrderLine.name,
    OrderLine.quantity,
    OrderLine.unit_price,
    OrderLine.line_total,
)

# An order and its lines are one statement: the lines reach the new order's id without a round trip for it.
_PLACE: Final = text(
    """
    WITH placed AS (
      INSERT INTO ordering.orders (user_id, status, total, currency, stock_reference, shipping_address)
      VALUES (:user_id, 'pending', :total, :currency, :stock_reference, CAST(:shipping_address AS jsonb))
      RETURNING id, number, user_id, status, total, currency, shipping_address, version, created_at
    ), lines AS (
      INSERT INTO ordering.order_lines (order_id, position, product_id, sku, name, quantity, unit_price)
      SELECT placed.id, line.position, line.product_id, line.sku, line.name, line.quantity, line.unit_price
      FROM placed, jsonb_to_recordset(CAST(:lines AS jsonb)) AS line
        (position integer, product_id bigint, sku text, name text, quantity integer, unit_price numeric)
    )
    SELECT * FROM placed
    """
)

_READ: Final = (
    select(*_ORDER_COLUMNS, *_LINE_COLUMNS)
    .join_from(Order, OrderLine, OrderLine.order_id == Order.id)
    .where(Order.id == bindparam("order_id"))
    .order_by(OrderLine.position)
)

_CHANGE_STATUS: Final = text(
    """
    UPDATE ordering.orders SET status = :to, version = version + 1, updated_at = now()
    WHERE id = :order_id AND status = :from
    RETURNING stock_reference
    """
)


def place_order(session: Session, *, values: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> AnyRow:
    """Insert an order with its lines; one row of the order's columns.

    `values`: user_id, total, currency, stock_reference, shipping_address (dict or None). `lines`: position, product_id, sku,
    name, quantity, unit_price (as text, exact).
    """
    address = values["shipping_address"]
    parameters = {
        **values,
        "shipping_address": None if address is None else json.dumps(address),
        "lines": json.dumps([*map(dict, lines)]),
    }
    return session.execute(_PLACE, parameters).one()


def read_order(connection: Connection | Session, order_id: int) -> Sequence[AnyRow]:
    """One row per line, each with the order's columns; empty when there is no such order."""
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
        select(*_ORDER_COLUMNS, *_LINE_COLUMNS)
        .join_from(ids, Order, Order.id == ids.c.id)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .order_by(Order.id.desc(), OrderLine.position)
    )


def change_status(session: Session, order_id: int, *, from_status: str, to_status: str) -> str | None:
    """Move the order on if it still is in `from_status`, and answer its stock reference; None when it is not."""
    reference: str | None = session.execute(
        _CHANGE_STATUS, {"order_id": order_id, "from": from_status, "to": to_status}
    ).scalar_one_or_none()
    return reference
