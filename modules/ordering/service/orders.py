"""Placing, reading, listing and cancelling orders, where they go, and what happened to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any
from uuid import uuid4

from catalog.interface import SoldLine, StockLine
from kernel.pure.errors import Forbidden, Invalid
from kernel.pure.principal import ADMIN, Principal
from kernel.pure.values import MAX_TOTAL, Versioned
from ordering.crud import orders as crud
from ordering.interface import (
    CurrencyMismatch,
    HistoryEntry,
    Order,
    OrderCancelled,
    OrderLine,
    OrderPlaced,
    OrderStatus,
    ShippingAddress,
)
from ordering.service.base import UseCases, as_order, from_rows, may_see, order_not_found, versioned
from ordering.service.states import MAY_CHANGE_ADDRESS, TRANSITIONS, actor, not_allowed


class OrderUseCases(UseCases):
    def place_order(
        self, *, caller: Principal, lines: Sequence[StockLine], shipping_address: ShippingAddress | None
    ) -> Versioned[Order]:
        """Reserve the stock and write the order, both or neither. Lines of one product become one.

        Errors: those of `CatalogService.reserve`, CurrencyMismatch, Invalid (the total exceeds what an order can hold).
        Publishes OrderPlaced.
        """
        reference = f"order:{uuid4().hex}"
        expires_at = self._clock.now() + self._hold
        with self._database.transaction(label="place") as session:
            sold = self._catalog.reserve(reference=reference, lines=lines, until=expires_at)
            _require_currency(sold, self._currency)
            items = [_as_line(line) for line in sold]
            total = sum((item.line_total for item in items), Decimal("0.00"))
            if total > MAX_TOTAL:
                raise Invalid(f"The order's total {total} exceeds {MAX_TOTAL}.", pointer="/items")
            values = {
                "user_id": caller.user_id,
                "total": total,
                "currency": self._currency,
                "stock_reference": reference,
                "expires_at": expires_at,
                "shipping_address": None if shipping_address is None else dataclasses.asdict(shipping_address),
            }
            row = crud.place_order(session, values=values, lines=[*map(_as_values, range(len(items)), items)])
            order = as_order(row, items, caller)
            self._events.publish(
                OrderPlaced(
                    order_id=order.id,
                    user_id=order.user_id,
                    number=order.number,
                    total=order.total,
                    currency=order.currency,
                )
            )
        return versioned(order, row.version, caller)

    def read_order(self, *, caller: Principal, order_id: int) -> Versioned[Order]:
        """The caller's own order; an admin reads every one. Errors: OrderNotFound."""
        with self._database.read() as connection:
            return self._read_visible(connection, order_id, caller)

    def list_orders(
        self, *, caller: Principal, user_id: int | None, status: OrderStatus | None, before_id: int, limit: int
    ) -> Sequence[Order]:
        """The caller's own newest orders below `before_id`; an admin sees everybody's, or those of `user_id`.

        Errors: Forbidden (somebody else's `user_id`, by one who is no admin).
        """
        if not caller.is_admin and user_id not in (None, caller.user_id):
            raise Forbidden("Only admins may list somebody else's orders.", parameter="user_id", roles=[ADMIN])
        owner = user_id if caller.is_admin else caller.user_id
        wanted = None if status is None else status.value
        with self._database.read() as connection:
            rows = crud.list_orders(connection, user_id=owner, status=wanted, before_id=before_id, limit=limit)
        return [from_rows(list(group), caller) for _, group in groupby(rows, key=lambda row: row.id)]

    def list_history(self, *, caller: Principal, order_id: int, after_id: int, limit: int) -> Sequence[HistoryEntry]:
        """What happened to the order above `after_id`, oldest first. Errors: OrderNotFound."""
        with self._database.read() as connection:
            rows = crud.list_history(connection, order_id, after_id=after_id, limit=limit)
        if not rows or not may_see(caller, rows[0].user_id):
            raise order_not_found(order_id)
        return [
            HistoryEntry(
                id=row.id,
                action=row.action,
                status=OrderStatus(row.status),
                by=row.actor,
                amount=row.amount,
                note=row.note,
                at=row.created_at,
            )
            for row in rows
            if row.id is not None
        ]

    def cancel_order(self, *, caller: Principal, order_id: int) -> Versioned[Order]:
        """Cancel a pending order; its stock is free again. Errors: OrderNotFound, ActionNotAllowed.

        Publishes OrderCancelled. A payment that is under way finds the order cancelled, and gives its money back.
        """
        step = TRANSITIONS["cancel"]
        with self._database.transaction(label="cancel") as session:
            order = self._read_visible(session, order_id, caller).value
            moved = crud.move_order(
                session,
                order_id,
                action="cancel",
                from_status=step.before.value,
                to_status=step.after.value,
                actor=actor(caller, order.user_id),
                actor_id=caller.user_id,
            )
            if moved is None:
                # A rival may have moved it on since the first read.
                raise not_allowed("cancel", self._read_visible(session, order_id, caller).value)
            self._catalog.release(reference=moved.stock_reference)
            self._events.publish(OrderCancelled(order_id=order.id, user_id=order.user_id))
            return self._read_visible(session, order_id, caller)

    def set_shipping_address(self, *, caller: Principal, order_id: int, address: ShippingAddress) -> Versioned[Order]:
        """Say where the order goes, until it has gone. Errors: OrderNotFound, ActionNotAllowed."""
        with self._database.transaction(label="set-shipping-address") as session:
            order = self._read_visible(session, order_id, caller).value
            done = crud.set_address(
                session,
                order_id,
                address=dataclasses.asdict(address),
                statuses=[status.value for status in MAY_CHANGE_ADDRESS],
                actor=actor(caller, order.user_id),
                actor_id=caller.user_id,
            )
            changed = self._read_visible(session, order_id, caller)
            if not done:
                raise not_allowed("set-shipping-address", changed.value)
            return changed


def _require_currency(sold: Sequence[SoldLine], currency: str) -> None:
    """A product keeps the currency that it was priced in; sums and charges are of one. Errors: CurrencyMismatch."""
    for line in sold:
        if line.currency != currency:
            raise CurrencyMismatch(
                f"Product {line.product_id} is priced in {line.currency}, and the shop sells in {currency}.",
                product_id=line.product_id,
                priced_in=line.currency,
                sold_in=currency,
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
