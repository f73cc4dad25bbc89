"""Request bodies, query parameters and answers of ordering's routes."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from kernel.http.documents import Described
from kernel.http.fields import Body, IdField, QuantityField, ShortText
from kernel.http.pages import PageQuery
from kernel.pure.values import CENT
from ordering.interface import HistoryEntry, Order, OrderStatus, Payment, Refund

MAX_LINES: Final = 1_000
_AMOUNT: Final = re.compile(r"[0-9]{1,16}(\.[0-9]{1,2})?")


def _as_amount(value: object) -> Decimal:
    """A text, exact: an order's total may be larger than any price."""
    if isinstance(value, str) and _AMOUNT.fullmatch(value) and (amount := Decimal(value)) > 0:
        return amount.quantize(CENT)
    raise PydanticCustomError("amount", "An amount is a string above 0.00 with at most two decimals")


RefundAmount = Annotated[
    Decimal, BeforeValidator(_as_amount, json_schema_input_type=Annotated[str, Field(pattern=f"^{_AMOUNT.pattern}$")])
]

ADDRESS_EXAMPLE: Final[dict[str, Any]] = {
    "name": "Ada Lovelace",
    "line1": "12 St James's Square",
    "line2": None,
    "city": "London",
    "postal_code": "SW1Y 4JH",
    "country": "GB",
}

OrderBody = Annotated[
    Order,
    Described(
        example={
            "id": 5,
            "number": "EM-3157805570",
            "user_id": 3,
            "status": "pending",
            "total": "39.98",
            "currency": "GBP",
            "items": [
                {
                    "product_id": 17,
                    "sku": "LAMP-01",
                    "name": "Desk lamp",
                    "quantity": 2,
                    "unit_price": "19.99",
                    "line_total": "39.98",
                }
            ],
            "shipping_address": ADDRESS_EXAMPLE,
            "created_at": "2026-01-05T09:30:00Z",
            "expires_at": "2026-01-05T09:45:00Z",
            "tracking_reference": None,
            "refunded_amount": "0.00",
            "refund_status": "none",
            "allowed_actions": ["pay", "cancel", "set-shipping-address"],
            "history": [
                {
                    "id": 9,
                    "action": "place",
                    "status": "pending",
                    "by": "customer",
                    "amount": None,
                    "note": None,
                    "at": "2026-01-05T09:30:00Z",
                }
            ],
        },
        fields={
            "status": "Where the order is on its way; money that went back is told by `refund_status`.",
            "expires_at": "Until when a pending order keeps its stock; null once that is settled.",
            "allowed_actions": "What you may do with the order as it is now.",
            "history": "What happened to the order, oldest first: the newest hundred entries. `…/history` has all of them.",
            "number": "For people: on the invoice and on the telephone.",
            "total": "The sum of the lines, exact.",
            "items": "One line per product, with price and name as sold.",
        },
    ),
]


PAYMENT_EXAMPLE: Final[dict[str, Any]] = {
    "id": 8,
    "order_id": 5,
    "status": "captured",
    "method": "card",
    "amount": "39.98",
    "currency": "GBP",
    "decline_code": None,
    "created_at": "2026-01-05T09:31:00Z",
    "updated_at": "2026-01-05T09:31:01Z",
}
UNSETTLED_PAYMENT_EXAMPLE: Final[dict[str, Any]] = {
    **PAYMENT_EXAMPLE,
    "status": "started",
    "updated_at": PAYMENT_EXAMPLE["created_at"],
}

PaymentBody = Annotated[
    Payment,
    Described(
        example=PAYMENT_EXAMPLE,
        fields={
            "status": "`captured`: paid. `started` and `authorised`: the provider has not answered yet. `declined`: nothing was"
            " charged. `reversing` and `reversed`: the order was cancelled or expired meanwhile, the money goes back.",
            "amount": "The order's total: an order is paid at once.",
        },
    ),
]

REFUND_EXAMPLE: Final[dict[str, Any]] = {
    "id": 2,
    "order_id": 5,
    "status": "succeeded",
    "amount": "19.99",
    "currency": "GBP",
    "items": [{"product_id": 17, "quantity": 1, "restock": True}],
    "reason": "Arrived broken",
    "failure_code": None,
    "created_at": "2026-01-12T10:00:00Z",
    "updated_at": "2026-01-12T10:00:01Z",
}
UNSETTLED_REFUND_EXAMPLE: Final[dict[str, Any]] = {
    **REFUND_EXAMPLE,
    "status": "started",
    "updated_at": REFUND_EXAMPLE["created_at"],
}

RefundBody = Annotated[
    Refund,
    Described(
        example=REFUND_EXAMPLE,
        fields={"status": "`started`: the provider has not answered yet. `failed`: it refused, nothing has changed."},
    ),
]

HistoryBody = Annotated[
    HistoryEntry,
    Described(
        example={
            "id": 10,
            "action": "pay",
            "status": "paid",
            "by": "customer",
            "amount": "39.98",
            "note": None,
            "at": "2026-01-05T09:31:01Z",
        },
        fields={"status": "The order's status from then on.", "by": "`customer`, `admin` or `system`."},
    ),
]


class NewPaymentBody(Body):
    """How the order is paid, in full. In the sandbox the token says what happens, for example `tok_decline`."""

    method: Annotated[str, Field(strict=True, pattern=r"^[a-z][a-z0-9_]{0,31}$", examples=["card"])]
    token: Annotated[
        str | None,
        Field(
            strict=True,
            pattern=r"^[\x21-\x7e]{1,255}$",
            description="What the payment provider gave you for this payment.",
            examples=["tok_approve"],
        ),
    ] = None

    example: ClassVar = {"method": "card", "token": "tok_approve"}


class RefundLineBody(Body):
    product_id: IdField
    quantity: QuantityField
    restock: Annotated[bool, Field(strict=True, description="Whether the goods are back, and can be sold again.")] = False


class NewRefundBody(Body):
    """An amount, or goods of the order at the price as sold; without either, all that is left."""

    amount: RefundAmount | None = None
    items: Annotated[list[RefundLineBody], Field(min_length=1, max_length=MAX_LINES)] | None = None
    reason: ShortText | None = Field(None, description="The customer reads it in the order's history.")

    example: ClassVar = {"items": [{"product_id": 17, "quantity": 1, "restock": True}], "reason": "Arrived broken"}

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.amount is not None and self.items is not None:
            raise PydanticCustomError("amount_and_items", "A refund is of an amount or of items, not of both")
        products = [line.product_id for line in self.items or ()]
        if len(set(products)) != len(products):
            raise PydanticCustomError("repeated_product", "Each product has one line")
        return self


class ShipmentBody(Body):
    tracking_reference: ShortText

    example: ClassVar = {"tracking_reference": "RM123456785GB"}


class AddressBody(Body):
    """Where the order goes."""

    name: ShortText
    line1: ShortText
    line2: ShortText | None = None
    city: ShortText
    postal_code: ShortText
    country: Annotated[str, Field(strict=True, pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2.", examples=["GB"])]

    example: ClassVar = ADDRESS_EXAMPLE


class NewOrderLineBody(Body):
    product_id: IdField
    quantity: QuantityField


class NewOrderBody(Body):
    """An order to place. Lines of the same product are added up."""

    items: Annotated[list[NewOrderLineBody], Field(min_length=1, max_length=MAX_LINES)]
    shipping_address: AddressBody | None = None

    example: ClassVar = {"items": [{"product_id": 17, "quantity": 2}], "shipping_address": ADDRESS_EXAMPLE}


class OrderQuery(PageQuery):
    """What a list of orders can be narrowed to."""

    status: OrderStatus | None = Field(None, description="Only those that are here on their way.")
    user_id: Annotated[int, Field(ge=1, le=2**63 - 1)] | None = Field(
        None, description="Whose orders; admins may ask for anybody's, others for their own (else 403)."
    )
