"""All that other modules may know of ordering: its values, errors and events. It offers no calls yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from kernel.pure.errors import Conflict, NotFound
from kernel.pure.events import Event


class OrderStatus(StrEnum):
    """Where an order is on its way; money that came back is told apart, by RefundStatus."""

    PENDING = "pending"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class RefundStatus(StrEnum):
    NONE = "none"
    PARTIAL = "partial"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippingAddress:
    """Where an order goes. `country` is an ISO 3166-1 alpha-2 code."""

    name: str
    line1: str
    line2: str | None
    city: str
    postal_code: str
    country: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One product of an order with the price and the name as sold. Money has two decimals."""

    product_id: int
    sku: str
    name: str
    quantity: int
    unit_price: Decimal
    line_total: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order. `number` is for people, `id` for programs."""

    id: int
    number: str
    user_id: int
    status: OrderStatus
    total: Decimal
    currency: str
    items: Sequence[OrderLine]
    shipping_address: ShippingAddress | None
    created_at: datetime


class OrderNotFound(NotFound):
    code = "order-not-found"
    title = "Order not found"


class ActionNotAllowed(Conflict):
    """The order's state does not allow the action; the data says `order_status` and the `allowed` actions."""

    code = "action-not-allowed"
    title = "The order's state does not allow this"


@dataclass(frozen=True, kw_only=True)
class _OrderEvent(Event):
    order_id: int
    user_id: int

    @property
    def aggregate(self) -> str:
        return f"order:{self.order_id}"


@dataclass(frozen=True, kw_only=True)
class OrderPlaced(_OrderEvent):
    """An order was placed and its stock was taken."""

    name: ClassVar[str] = "ordering.OrderPlaced"
    number: str
    total: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidLine:
    """How many of a product were sold."""

    product_id: int
    quantity: int


@dataclass(frozen=True, kw_only=True)
class OrderPaid(_OrderEvent):
    """An order's money was captured and its stock was sold."""

    name: ClassVar[str] = "ordering.OrderPaid"
    total: Decimal
    currency: str
    lines: tuple[PaidLine, ...]


@dataclass(frozen=True, kw_only=True)
class OrderCancelled(_OrderEvent):
    """A pending order was cancelled; its stock is free again."""

    name: ClassVar[str] = "ordering.OrderCancelled"


@dataclass(frozen=True, kw_only=True)
class OrderExpired(_OrderEvent):
    """A pending order was not paid in time; its stock is free again."""

    name: ClassVar[str] = "ordering.OrderExpired"


@dataclass(frozen=True, kw_only=True)
class OrderShipped(_OrderEvent):
    """A paid order left the shop."""

    name: ClassVar[str] = "ordering.OrderShipped"
    tracking_reference: str


@dataclass(frozen=True, kw_only=True)
class OrderDelivered(_OrderEvent):
    """A shipped order arrived."""

    name: ClassVar[str] = "ordering.OrderDelivered"


@dataclass(frozen=True, kw_only=True)
class OrderRefunded(_OrderEvent):
    """Money of an order went back. `refunded_amount` is the sum of all its refunds."""

    name: ClassVar[str] = "ordering.OrderRefunded"
    refund_id: int
    amount: Decimal
    refunded_amount: Decimal
    currency: str
