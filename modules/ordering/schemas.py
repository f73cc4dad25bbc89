"""Request bodies, query parameters and answers of ordering's routes."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from kernel.http.documents import Described
from kernel.http.fields import Body, IdField, QuantityField, ShortText
from kernel.http.pages import PageQuery
from ordering.interface import Order, OrderStatus

MAX_LINES: Final = 1_000

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
        },
        fields={
            "number": "For people: on the invoice and on the telephone.",
            "total": "The sum of the lines, exact.",
            "items": "One line per product, with price and name as sold.",
        },
    ),
]


class AddressBody(Body):
    """Where the order goes."""

    name: ShortText
    line1: ShortText
    line2: ShortText | None = None
    city: ShortText
    postal_code: ShortText
    country: Annotated[str, Field(strict=True, pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2.", examples=["GB"])]


class NewOrderLineBody(Body):
    product_id: IdField
    quantity: QuantityField


class NewOrderBody(Body):
    """An order to place. Lines of the same product are added up."""

    items: Annotated[list[NewOrderLineBody], Field(min_length=1, max_length=MAX_LINES)]
    shipping_address: AddressBody | None = None


class OrderQuery(PageQuery):
    """What a list of orders can be narrowed to."""

    status: OrderStatus | None = None
    user_id: Annotated[int, Field(ge=1, le=2**63 - 1)] | None = Field(None, description="Only for admins.")
