"""Ordering's use cases: place, read, list, cancel."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, Final
from uuid import uuid4

from catalog.interface import CatalogService, SoldLine, StockLine
from kernel.database.types import AnyRow
from kernel.database.unit_of_work import Database
from kernel.pure.errors import Invalid
from kernel.pure.events import Events
from kernel.pure.principal import Principal
from kernel.pure.values import MAX_TOTAL, Versioned
from ordering import crud
from ordering.interface import (
    ActionNotAllowed,
    Order,
    OrderCancelled,
    OrderLine,
    OrderNotFound,
    OrderPlaced,
    OrderStatus,
    ShippingAddress,
)

TRANSITIONS: Final[Mapping[str, tuple[OrderStatus, OrderStatus]]] = {
    "cancel": (OrderStatus.PENDING, OrderStatus.CANCELLED),
}
"""Action -> from which status to which."""


class DatabaseOrderingService:
    def __init__(self, *, database: Database, events: Events, catalog: CatalogService, currency: str) -> None:
        self._database = database
        self._events = events
        self._catalog = catalog
        self._currency = currency

    def place_order(
        self, *, caller: Principal, lines: Sequence[StockLine], shipping_address: ShippingAddress | None
    ) -> Versioned[Order]:
        """Take the stock and write the order, both or neither. Lines of one product become one.

        Errors: those of `CatalogService.reserve`, Invalid (the total exceeds what an order can hold). Publishes OrderPlaced.
        """
        reference = f"order:{uuid4().hex}"
        with self._database.transaction() as session:
            sold = self._catalog.reserve(reference=reference, lines=lines)
            items = [_as_line(line) for line in sold]
            total = sum((item.line_total for item in items), Decimal("0.00"))
            if total > MAX_TOTAL:
                raise Invalid(f"The order's total {total} exceeds {MAX_TOTAL}.", pointer="/items")
            values = {
                "user_id": caller.user_id,
                "total": total,
                "currency": self._currency,
                "stock_reference": reference,
                "shipping_address": None if shipping_address is None else dataclasses.asdict(shipping_address),
            }
            row = crud.place_order(session, values=values, lines=[*map(_as_values, range(len(items)), items)])
            order = _as_order(row, items)
            self._events.publish(
                OrderPlaced(
                    order_id=order.id,
                    user_id=order.user_id,
                    number=order.number,
                    total=order.total,
                    currency=order.currency,
                )
            )
        return _versioned(order, row.version, caller)

    def read_order(self, *, caller: Principal, order_id: int) -> Versioned[Order]:
        """The caller's own order; an admin reads every one. Errors: OrderNotFound."""
        with self._database.read() as connection:
            return _visible(crud.read_order(connection, order_id), order_id, caller)

    def list_orders(
        self, *, caller: Principal, user_id: int | None, status: OrderStatus | None, before_id: int, limit: int
    ) -> Sequence[Order]:
        """The caller's own newest orders below `before_id`; an admin sees everybody's, or those of `user_id`."""
        owner = user_id if caller.is_admin else caller.user_id
        wanted = None if status is None else status.value
        with self._database.read() as connection:
            rows = crud.list_orders(connection, user_id=owner, status=wanted, before_id=before_id, limit=limit)
        return [_from_rows(list(group)) for _, group in groupby(rows, key=lambda row: row.id)]

    def cancel_order(self, *, caller: Principal, order_id: int) -> Versioned[Order]:
        """Cancel a pending order; its stock comes back. Errors: OrderNotFound, ActionNotAllowed. Publishes OrderCancelled."""
        before, after = TRANSITIONS["cancel"]
        with self._database.transaction() as session:
            order = _visible(crud.read_order(session, order_id), order_id, caller).value
            reference = crud.change_status(session, order_id, from_status=before.value, to_status=after.value)
            if reference is None:
                # A rival may have moved it on since the first read.
                order = _visible(crud.read_order(session, order_id), order_id, caller).value
                raise _not_allowed("cancel", order)
            self._catalog.release(reference=reference)
            self._events.publish(OrderCancelled(order_id=order.id, user_id=order.user_id))
            return _visible(crud.read_order(session, order_id), order_id, caller)


def allowed_actions(status: OrderStatus) -> list[str]:
    return [action for action, (before, _) in TRANSITIONS.items() if before == status]


def _not_allowed(action: str, order: Order) -> ActionNotAllowed:
    allowed = allowed_actions(order.status)
    return ActionNotAllowed(
        f"Order {order.number} is {order.status.value}: {action} is not possible.",
        order_status=order.status.value,
        allowed=allowed,
    )


def _visible(rows: Sequence[AnyRow], order_id: int, caller: Principal) -> Versioned[Order]:
    """The order if the caller may see it. Errors: OrderNotFound, so that a foreign order looks like none."""
    if not rows or not (caller.is_admin or rows[0].user_id == caller.user_id):
        raise OrderNotFound(f"There is no order {order_id}.", order_id=order_id)
    return _versioned(_from_rows(rows), rows[0].version, caller)


def _versioned(order: Order, version: int, caller: Principal) -> Versioned[Order]:
    return Versioned(order, f"{version}.{'admin' if caller.is_admin else 'own'}")


def _from_rows(rows: Sequence[AnyRow]) -> Order:
    return _as_order(
        rows[0],
        [
            OrderLine(
                product_id=row.product_id,
                sku=row.sku,
                name=row.name,
                quantity=row.quantity,
                unit_price=row.unit_price,
                line_total=row.line_total,
            )
            for row in rows
        ],
    )


def _as_order(row: AnyRow, items: Sequence[OrderLine]) -> Order:
    return Order(
        id=row.id,
        number=row.number,
        user_id=row.user_id,
        status=OrderStatus(row.status),
        total=row.total,
        currency=row.currency,
        items=items,
        shipping_address=None if row.shipping_address is None else ShippingAddress(**row.shipping_address),
        created_at=row.created_at,
    )


def _as_line(sold: SoldLine) -> OrderLine:
    return OrderLine(
        product_id=sold.product_id,
        sku=sold.sku,
        name=sold.name,
        quantity=sold.quantity,
        unit_price=sold.unit_price,
        line_total=sold.unit_price * sold.quantity,
    )


def _as_values(position: int, line: OrderLine) -> dict[str, Any]:
    return {
        "position": position,
        "product_id": line.product_id,
        "sku": line.sku,
        "name": line.name,
        "quantity": line.quantity,
        "unit_price": str(line.unit_price),
    }
