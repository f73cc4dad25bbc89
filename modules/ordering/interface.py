"""All that other modules may know of ordering: its values, errors and events. It offers no calls yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from kernel.pure.errors import Conflict, NotFound, PaymentRequired, Unauthenticated, Unavailable
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
    """How much of an order's money has come back."""

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
class HistoryEntry:
    """One thing that happened to an order. `status` is the order's from then on, `by` is customer, admin or system."""

    id: int
    action: str
    status: OrderStatus
    by: str
    amount: Decimal | None
    note: str | None
    at: datetime


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
    expires_at: datetime | None
    """Until when a pending order holds its stock; None once that is settled."""
    tracking_reference: str | None
    refunded_amount: Decimal
    refund_status: RefundStatus
    allowed_actions: tuple[str, ...]
    """What this caller may do with the order as it is now."""
    history: Sequence[HistoryEntry]
    """The newest hundred, oldest first. Empty when the order was placed before there was a history."""


class PaymentStatus(StrEnum):
    """How far an attempt to pay has come. Money is kept only by a captured one."""

    STARTED = "started"
    AUTHORISED = "authorised"
    CAPTURED = "captured"
    DECLINED = "declined"
    REVERSING = "reversing"
    """The order is no longer to be paid; what the attempt holds is on its way back."""
    REVERSED = "reversed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """An attempt to pay an order. `decline_code` says why it was declined."""

    id: int
    order_id: int
    status: PaymentStatus
    method: str
    amount: Decimal
    currency: str
    decline_code: str | None
    created_at: datetime
    updated_at: datetime


class RefundState(StrEnum):
    """How far a refund has come."""

    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundLine:
    """Goods of the order that a refund is for. With `restock` they are back in stock once it has succeeded."""

    product_id: int
    quantity: int
    restock: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Money of an order on its way back, or back."""

    id: int
    order_id: int
    status: RefundState
    amount: Decimal
    currency: str
    items: tuple[RefundLine, ...]
    reason: str | None
    failure_code: str | None
    created_at: datetime
    updated_at: datetime


class OrderNotFound(NotFound):
    """An order does not exist, or is somebody else's."""

    code = "order-not-found"
    title = "Order not found"


class PaymentNotFound(NotFound):
    """The order has no such payment."""

    code = "payment-not-found"
    title = "Payment not found"


class RefundNotFound(NotFound):
    """The order has no such refund."""

    code = "refund-not-found"
    title = "Refund not found"


class ActionNotAllowed(Conflict):
    """The order's state does not allow the action; the data says `order_status` and the `allowed` actions."""

    code = "action-not-allowed"
    title = "The order's state does not allow this"


class CurrencyMismatch(Conflict):
    """A product is priced in another currency than the shop sells in now; the data names both (`priced_in`, `sold_in`)."""

    code = "currency-mismatch"
    title = "The product is priced in another currency"


class ShippingAddressRequired(Conflict):
    """The order has no shipping address yet; set one, then ship it."""

    code = "shipping-address-required"
    title = "The order has no shipping address"


class PaymentInProgress(Conflict):
    """Another attempt to pay this order is not settled yet; the data names it (`payment_id`), and what is `allowed`."""

    code = "payment-in-progress"
    title = "Another payment is in progress"


class PaymentDeclined(PaymentRequired):
    """The payment was declined and nothing was charged; the data says why (`decline_code`). Try again with another key."""

    code = "payment-declined"
    title = "The payment was declined"


class PaymentsUnavailable(Unavailable):
    """The shop takes no payments now: no payment provider is set up, or it answers too slowly for all who ask it."""

    code = "payments-unavailable"
    title = "Payments are not possible now"


class RefundExceedsCapture(Conflict):
    """There is less left to refund; the data says how much (`refundable`), and what is `allowed`."""

    code = "refund-exceeds-capture"
    title = "More than was captured cannot be refunded"


class RefundDeclined(Conflict):
    """The payment provider refused the refund; the order is as before. The data says why (`failure_code`)."""

    code = "refund-declined"
    title = "The refund was declined"


class SignatureRefused(Unauthenticated):
    """The webhook's signature does not fit its body, or its time is too far from now."""

    code = "signature-refused"
    title = "The signature is not valid"


class ProviderUnknown(NotFound):
    """A webhook came for a payment provider that the shop does not have."""

    code = "provider-unknown"
    title = "No such payment provider"


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
