"""What all use cases of ordering share: their collaborators, and how rows become orders."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from catalog.interface import CatalogService
from kernel.database.errors import BUSY, sqlstate
from kernel.database.types import AnyRow
from kernel.database.unit_of_work import Database
from kernel.pure.clock import Clock
from kernel.pure.errors import Unavailable
from kernel.pure.events import Events
from kernel.pure.principal import Principal
from kernel.pure.values import Versioned
from ordering.crud import orders as crud
from ordering.interface import (
    HistoryEntry,
    Order,
    OrderLine,
    OrderNotFound,
    OrderStatus,
    PaymentsUnavailable,
    ShippingAddress,
)
from ordering.service.gateways.protocol import PaymentGateway
from ordering.service.states import allowed_actions, refund_status

PATIENCE: Final = timedelta(seconds=15)
"""How long the request that began something has it to itself before the reconciler looks after it."""


log: Final = logging.getLogger("ordering")

T = TypeVar("T")


class UseCases:
    def __init__(
        self,
        *,
        database: Database,
        events: Events,
        clock: Clock,
        catalog: CatalogService,
        gateway: PaymentGateway | None,
        currency: str,
        hold: timedelta,
    ) -> None:
        self._database = database
        self._events = events
        self._clock = clock
        self._catalog = catalog
        self._gateway = gateway
        self._currency = currency
        self._hold = hold

    def _require_gateway(self) -> PaymentGateway:
        if self._gateway is None:
            raise PaymentsUnavailable("No payment provider is set up: the shop takes no payments now.", retry_after=60)
        return self._gateway

    def _read_visible(self, connection: Connection | Session, order_id: int, caller: Principal) -> Versioned[Order]:
        """The order if the caller may see it. Errors: OrderNotFound, so that a foreign order looks like none."""
        rows = crud.read_order(connection, order_id)
        if not rows or not may_see(caller, rows[0].user_id):
            raise order_not_found(order_id)
        return versioned(from_rows(rows, caller), rows[0].version, caller)


def carefully(settle: Callable[[], T]) -> T | None:
    """What it answers; None when it failed. One of many must not keep the others waiting: it comes up again."""
    try:
        return settle()
    except Exception as error:
        if isinstance(error, Unavailable):
            log.warning("Not settled yet: %s", error)
        elif sqlstate(error) in BUSY:
            log.warning("Not settled yet: the database is busy (%s).", sqlstate(error))
        else:
            log.exception("One could not be settled; it comes up again.")
        return None


def may_see(caller: Principal, user_id: int) -> bool:
    return caller.is_admin or caller.user_id == user_id


def order_not_found(order_id: int) -> OrderNotFound:
    return OrderNotFound(f"There is no order {order_id}.", order_id=order_id)


def versioned(order: Order, version: int, caller: Principal) -> Versioned[Order]:
    """An attempt to pay leaves the version alone until it is settled, but takes `pay` from the answer: the tag says so."""
    view = "admin" if caller.is_admin else "own"
    paying = order.status is OrderStatus.PENDING and "pay" not in order.allowed_actions
    return Versioned(order, f"{version}.{view}{'.paying' if paying else ''}")


def from_rows(rows: Sequence[AnyRow], caller: Principal) -> Order:
    items = [
        OrderLine(
            product_id=row.product_id,
            sku=row.sku,
            name=row.name,
            quantity=row.quantity,
            unit_price=row.unit_price,
            line_total=row.line_total,
        )
        for row in rows
    ]
    return as_order(rows[0], items, caller)


def as_order(row: AnyRow, items: Sequence[OrderLine], caller: Principal) -> Order:
    status = OrderStatus(row.status)
    refundable = row.captured_amount - row.refunded_amount - row.refunding_amount
    return Order(
        id=row.id,
        number=row.number,
        user_id=row.user_id,
        status=status,
        total=row.total,
        currency=row.currency,
        items=items,
        shipping_address=None if row.shipping_address is None else ShippingAddress(**row.shipping_address),
        created_at=row.created_at,
        expires_at=row.expires_at if status is OrderStatus.PENDING else None,
        tracking_reference=row.tracking_reference,
        refunded_amount=row.refunded_amount,
        refund_status=refund_status(refunded=row.refunded_amount, captured=row.captured_amount),
        allowed_actions=allowed_actions(
            status,
            refundable=refundable,
            is_admin=caller.is_admin,
            paying=bool(row.paying),
            addressed=row.shipping_address is not None,
        ),
        history=[_as_entry(*entry) for entry in reversed(row.history or ())],
    )


def _as_entry(entry_id: int, action: str, status: str, by: str, amount: str | None, note: str | None, at: str) -> HistoryEntry:
    return HistoryEntry(
        id=entry_id,
        action=action,
        status=OrderStatus(status),
        by=by,
        amount=None if amount is None else Decimal(amount),
        note=note,
        at=datetime.fromisoformat(at),
    )
