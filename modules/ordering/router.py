"""Ordering's endpoints: parse, call one service method, answer."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query
from starlette.responses import Response

from catalog.interface import OutOfStock, ProductNotFound, StockLine
from kernel.http.access import SIGNED_IN, Caller
from kernel.http.etags import IfNoneMatch, tag
from kernel.http.fields import Identifier, IdField
from kernel.http.pages import Keyset
from kernel.http.routes import Idempotency, Router
from kernel.pure.values import MAX_ID, Page
from ordering.interface import ActionNotAllowed, Order, OrderNotFound, ShippingAddress
from ordering.schemas import NewOrderBody, OrderBody, OrderQuery
from ordering.service import DatabaseOrderingService

PREFIX: Final = "/api/v1/orders"

_NEWEST: Final = Keyset[Order](lambda order: (order.id,), IdField)


def build_router(service: DatabaseOrderingService) -> Router:
    router = Router(module="ordering", prefix=PREFIX)

    @router.post(
        "",
        allow=SIGNED_IN,
        status_code=201,
        idempotent=Idempotency.REQUIRED,
        summary="Place an order",
        errors=[ProductNotFound, OutOfStock],
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

    @router.get("", allow=SIGNED_IN, summary="List your orders, newest first; for admins everybody's")
    def list_orders(query: Annotated[OrderQuery, Query()], caller: Caller, response: Response) -> Page[OrderBody]:
        after = _NEWEST.after(query)
        found = service.list_orders(
            caller=caller,
            user_id=query.user_id,
            status=query.status,
            before_id=MAX_ID if after is None else after[0],
            limit=query.limit + 1,
        )
        return _NEWEST.page(query, found, response)

    @router.get("/{order_id}", allow=SIGNED_IN, summary="Read an order", errors=[OrderNotFound])
    def read_order(order_id: Identifier, caller: Caller, response: Response, if_none_match: IfNoneMatch = None) -> OrderBody:
        found = service.read_order(caller=caller, order_id=order_id)
        tag(response, found.etag, if_none_match)
        return found.value

    @router.post(
        "/{order_id}/cancel",
        allow=SIGNED_IN,
        summary="Cancel a pending order; its stock comes back",
        errors=[OrderNotFound, ActionNotAllowed],
    )
    def cancel_order(order_id: Identifier, caller: Caller, response: Response) -> OrderBody:
        cancelled = service.cancel_order(caller=caller, order_id=order_id)
        tag(response, cancelled.etag)
        return cancelled.value

    return router
