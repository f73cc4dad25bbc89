"""Ordering's endpoints: parse, call one service method, answer."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Header, Path, Query
from starlette.responses import Response

from catalog.interface import OutOfStock, ProductNotFound, StockLine
from kernel.http.access import ANYONE, SIGNED_IN, Caller, role
from kernel.http.bodies import RawBody
from kernel.http.etags import IfNoneMatch, tag
from kernel.http.fields import Identifier, IdField
from kernel.http.pages import Keyset, PageQuery
from kernel.http.routes import Idempotency, Router
from kernel.pure.errors import Forbidden, Invalid
from kernel.pure.principal import ADMIN, Principal
from kernel.pure.values import MAX_ID, Page
from ordering.interface import (
    ActionNotAllowed,
    CurrencyMismatch,
    HistoryEntry,
    Order,
    OrderNotFound,
    Payment,
    PaymentDeclined,
    PaymentInProgress,
    PaymentNotFound,
    PaymentStatus,
    PaymentsUnavailable,
    ProviderUnknown,
    Refund,
    RefundDeclined,
    RefundExceedsCapture,
    RefundLine,
    RefundNotFound,
    RefundState,
    ShippingAddress,
    ShippingAddressRequired,
    SignatureRefused,
)
from ordering.router.gate import ProviderGate
from ordering.schemas import (
    UNSETTLED_PAYMENT_EXAMPLE,
    UNSETTLED_REFUND_EXAMPLE,
    AddressBody,
    HistoryBody,
    NewOrderBody,
    NewPaymentBody,
    NewRefundBody,
    OrderBody,
    OrderQuery,
    PaymentBody,
    RefundBody,
    ShipmentBody,
)
from ordering.service import DatabaseOrderingService

PREFIX: Final = "/api/v1/orders"
WEBHOOKS: Final = "/api/v1/webhooks/payments"
MAX_MESSAGE: Final = 64 * 1024
MESSAGE_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["id", "key"],
                "properties": {
                    "id": {"type": "string", "description": "The event's id; one that comes again changes nothing."},
                    "type": {"type": "string"},
                    "key": {"type": "string", "format": "uuid", "description": "The key of the charge."},
                },
            },
            "example": {"id": "evt_1", "type": "payment.captured", "key": "8e03978e-40d5-43dd-bc93-6894a57f9324"},
        }
    },
}

PaymentSignature = Annotated[
    str | None,
    Header(
        alias="Payment-Signature",
        description="`t=<Unix time>,v1=<hex HMAC-SHA256 of time, dot and body>`, at most five minutes old.",
    ),
]

ProviderInPath = Annotated[str, Path(max_length=64, description="As the payment provider is called here.")]

_NEWEST: Final = Keyset[Order](lambda order: (order.id,), IdField)
_HISTORY: Final = Keyset[HistoryEntry](lambda entry: (entry.id,), IdField)
_PAYMENTS: Final = Keyset[Payment](lambda payment: (payment.id,), IdField)
_REFUNDS: Final = Keyset[Refund](lambda refund: (refund.id,), IdField)


def build_router(service: DatabaseOrderingService, threads: int) -> Router:
    """`threads`: how many there are for all requests."""
    router = Router(module="ordering", prefix=PREFIX)
    gate = ProviderGate(threads)

    @router.post(
        "",
        allow=SIGNED_IN,
        status_code=201,
        tagged=True,
        idempotent=Idempotency.REQUIRED,
        summary="Place an order",
        errors=[ProductNotFound, OutOfStock, CurrencyMismatch],
    )
    def place_order(body: NewOrderBody, caller: Caller, response: Response) -> OrderBody:
        address = body.shipping_address
        placed = service.place_order(
            caller=caller,
            lines=[StockLine(product_id=line.product_id, quantity=line.quantity) for line in body.items],
            shipping_address=None if address is None else ShippingAddress(**dict(address)),
        )
        response.headers["location"] = f"{PREFIX}/{placed.value.id}"
        tag(response, placed.etag)
        return placed.value

    @router.get("", allow=SIGNED_IN, summary="List your orders, newest first; for admins everybody's", errors=[Forbidden])
    def list_orders(query: Annotated[OrderQuery, Query()], caller: Caller, response: Response) -> Page[OrderBody]:
        found = service.list_orders(
            caller=caller,
            user_id=query.user_id,
            status=query.status,
            before_id=_NEWEST.after_id(query, first=MAX_ID),
            limit=query.limit + 1,
        )
        return _NEWEST.page(query, found, response)

    @router.get("/{order_id}", allow=SIGNED_IN, summary="Read an order", errors=[OrderNotFound])
    def read_order(order_id: Identifier, caller: Caller, response: Response, if_none_match: IfNoneMatch = None) -> OrderBody:
        found = service.read_order(caller=caller, order_id=order_id)
        tag(response, found.etag, if_none_match)
        return found.value

    _add_life(router, service)
    _add_payments(router, service, gate)
    _add_refunds(router, service, gate)
    webhooks = _build_webhooks(service, gate)
    router.declarations += webhooks.declarations
    return router


def _add_life(router: Router, service: DatabaseOrderingService) -> None:
    @router.get(
        "/{order_id}/history", allow=SIGNED_IN, summary="List what happened to an order, oldest first", errors=[OrderNotFound]
    )
    def list_history(
        order_id: Identifier, query: Annotated[PageQuery, Query()], caller: Caller, response: Response
    ) -> Page[HistoryBody]:
        after_id = _HISTORY.after_id(query, first=0)
        found = service.list_history(caller=caller, order_id=order_id, after_id=after_id, limit=query.limit + 1)
        return _HISTORY.page(query, found, response)

    @router.post(
        "/{order_id}/cancel",
        allow=SIGNED_IN,
        tagged=True,
        summary="Cancel a pending order; its stock is free again",
        errors=[OrderNotFound, ActionNotAllowed],
    )
    def cancel_order(order_id: Identifier, caller: Caller, response: Response) -> OrderBody:
        cancelled = service.cancel_order(caller=caller, order_id=order_id)
        tag(response, cancelled.etag)
        return cancelled.value

    @router.put(
        "/{order_id}/shipping-address",
        allow=SIGNED_IN,
        tagged=True,
        summary="Say where an order goes, until it is shipped",
        errors=[OrderNotFound, ActionNotAllowed],
    )
    def replace_shipping_address(order_id: Identifier, body: AddressBody, caller: Caller, response: Response) -> OrderBody:
        changed = service.set_shipping_address(caller=caller, order_id=order_id, address=ShippingAddress(**dict(body)))
        tag(response, changed.etag)
        return changed.value

    @router.post(
        "/{order_id}/ship",
        allow=role(ADMIN),
        tagged=True,
        summary="A paid order leaves the shop",
        errors=[OrderNotFound, ActionNotAllowed, ShippingAddressRequired],
    )
    def ship_order(order_id: Identifier, body: ShipmentBody, caller: Caller, response: Response) -> OrderBody:
        shipped = service.ship_order(caller=caller, order_id=order_id, tracking_reference=body.tracking_reference)
        tag(response, shipped.etag)
        return shipped.value

    @router.post(
        "/{order_id}/deliver",
        allow=role(ADMIN),
        tagged=True,
        summary="A shipped order has arrived",
        errors=[OrderNotFound, ActionNotAllowed],
    )
    def deliver_order(order_id: Identifier, caller: Caller, response: Response) -> OrderBody:
        delivered = service.deliver_order(caller=caller, order_id=order_id)
        tag(response, delivered.etag)
        return delivered.value


def _add_payments(router: Router, service: DatabaseOrderingService, gate: ProviderGate) -> None:
    def finish_payment(payment_id: int, caller: Principal, response: Response) -> PaymentBody:
        payment = service.finish_payment(caller=caller, payment_id=payment_id)
        response.status_code = 201 if payment.status is PaymentStatus.CAPTURED else 202
        response.headers["location"] = f"{PREFIX}/{payment.order_id}/payments/{payment.id}"
        return payment

    @router.post(
        "/{order_id}/payments",
        allow=SIGNED_IN,
        status_code=201,
        response=PaymentBody,
        idempotent=Idempotency.RESUMED,
        resume=finish_payment,
        gate=gate,
        summary="Pay an order",
        errors=[OrderNotFound, PaymentDeclined, ActionNotAllowed, PaymentInProgress, PaymentsUnavailable],
        responses={202: {"content": {"application/json": {"example": UNSETTLED_PAYMENT_EXAMPLE}}}},
    )
    def create_payment(order_id: Identifier, body: NewPaymentBody, caller: Caller) -> int:
        """The order is paid in full. A repeat with the same Idempotency-Key goes on with the same attempt and never charges
        twice; after a 402, try again with another key."""
        return service.begin_payment(caller=caller, order_id=order_id, method=body.method, token=body.token)

    @router.get(
        "/{order_id}/payments",
        allow=SIGNED_IN,
        summary="List the attempts to pay an order, oldest first",
        errors=[OrderNotFound],
    )
    def list_payments(
        order_id: Identifier, query: Annotated[PageQuery, Query()], caller: Caller, response: Response
    ) -> Page[PaymentBody]:
        after_id = _PAYMENTS.after_id(query, first=0)
        found = service.list_payments(caller=caller, order_id=order_id, after_id=after_id, limit=query.limit + 1)
        return _PAYMENTS.page(query, found, response)

    @router.get(
        "/{order_id}/payments/{payment_id}",
        allow=SIGNED_IN,
        summary="Read an attempt to pay an order",
        errors=[PaymentNotFound],
    )
    def read_payment(order_id: Identifier, payment_id: Identifier, caller: Caller) -> PaymentBody:
        return service.read_payment(caller=caller, order_id=order_id, payment_id=payment_id)


def _add_refunds(router: Router, service: DatabaseOrderingService, gate: ProviderGate) -> None:
    def finish_refund(refund_id: int, _: Principal, response: Response) -> RefundBody:
        refund = service.finish_refund(refund_id=refund_id)
        response.status_code = 201 if refund.status is RefundState.SUCCEEDED else 202
        response.headers["location"] = f"{PREFIX}/{refund.order_id}/refunds/{refund.id}"
        return refund

    @router.post(
        "/{order_id}/refunds",
        allow=role(ADMIN),
        status_code=201,
        response=RefundBody,
        idempotent=Idempotency.RESUMED,
        resume=finish_refund,
        gate=gate,
        summary="Give money of an order back",
        errors=[OrderNotFound, ActionNotAllowed, RefundExceedsCapture, RefundDeclined, PaymentsUnavailable],
        responses={202: {"content": {"application/json": {"example": UNSETTLED_REFUND_EXAMPLE}}}},
    )
    def create_refund(order_id: Identifier, body: NewRefundBody, caller: Caller) -> int:
        return service.begin_refund(
            caller=caller,
            order_id=order_id,
            amount=body.amount,
            lines=[RefundLine(**dict(line)) for line in body.items or ()],
            reason=body.reason,
        )

    @router.get(
        "/{order_id}/refunds", allow=role(ADMIN), summary="List the refunds of an order, oldest first", errors=[OrderNotFound]
    )
    def list_refunds(
        order_id: Identifier, query: Annotated[PageQuery, Query()], caller: Caller, response: Response
    ) -> Page[RefundBody]:
        after_id = _REFUNDS.after_id(query, first=0)
        found = service.list_refunds(caller=caller, order_id=order_id, after_id=after_id, limit=query.limit + 1)
        return _REFUNDS.page(query, found, response)

    @router.get(
        "/{order_id}/refunds/{refund_id}",
        allow=role(ADMIN),
        summary="Read a refund of an order",
        errors=[RefundNotFound],
    )
    def read_refund(order_id: Identifier, refund_id: Identifier) -> RefundBody:
        return service.read_refund(order_id=order_id, refund_id=refund_id)


def _build_webhooks(service: DatabaseOrderingService, gate: ProviderGate) -> Router:
    webhooks = Router(module="ordering", prefix=WEBHOOKS)

    @webhooks.post(
        "/{provider}",
        allow=ANYONE,
        status_code=204,
        request_body=MESSAGE_BODY,
        max_body=MAX_MESSAGE,
        gate=gate,
        summary="For payment providers: something happened to a charge",
        errors=[ProviderUnknown, SignatureRefused, Invalid, PaymentsUnavailable],
    )
    def receive_payment_message(
        provider: Annotated[str, Path(max_length=64, description="As the payment provider is called here.")],
        body: RawBody,
        payment_signature: PaymentSignature = None,
    ) -> None:
        """The charge is looked up at the provider; the message itself moves nothing."""
        service.receive_message(provider=provider, signature=payment_signature, body=body)

    return webhooks
