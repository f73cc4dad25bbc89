"""Request bodies, query parameters and answers of the catalog's routes."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from catalog.interface import MAX_STOCK, ManualReason, Product, ProductStatus, StockMovement
from kernel.http.documents import Described
from kernel.http.fields import Body, LongText, PriceField, ShortText, StockCount, absent
from kernel.http.pages import PageQuery
from kernel.pure.values import MAX_QUANTITY

Sku = Annotated[str, Field(strict=True, min_length=1, max_length=64, pattern=r"^[!-~]([ -~]*[!-~])?$", examples=["LAMP-01"])]
"""Visible ASCII, spaces inside allowed: what fits a label and a CSV file."""

PRODUCT_EXAMPLE: Final[dict[str, Any]] = {
    "id": 17,
    "sku": "LAMP-01",
    "name": "Desk lamp",
    "description": "Brass, 40 cm.",
    "price": "19.99",
    "currency": "GBP",
    "stock": 25,
    "status": "published",
    "version": 1,
    "created_at": "2026-01-05T09:30:00Z",
    "updated_at": "2026-01-05T09:30:00Z",
}

ProductBody = Annotated[
    Product,
    Described(
        example=PRODUCT_EXAMPLE,
        fields={
            "sku": "The shop's own name of the product; unique, and never given to another one.",
            "price": "Exact, with two decimals, in `currency`.",
            "stock": "How many can be sold now.",
            "status": "Only published products are shown to the public.",
            "version": "Rises with every change of the product itself, not of its stock.",
        },
    ),
]

MovementBody = Annotated[
    StockMovement,
    Described(
        fields={
            "quantity": "By how much the stock changed.",
            "reason": "Why: `initial`, `sale`, `release`, `count` or one given by hand.",
            "reference": "What caused it, for example an order.",
        }
    ),
]


class Sort(StrEnum):
    NEWEST = "newest"
    NAME = "name"
    NAME_DESCENDING = "-name"
    PRICE = "price"
    PRICE_DESCENDING = "-price"


class ProductQuery(PageQuery):
    """What a list of products can be narrowed to and sorted by."""

    q: ShortText | None = Field(None, description="Words that name, SKU or description hold, each at least as a beginning.")
    sku: Sku | None = None
    min_price: PriceField | None = None
    max_price: PriceField | None = None
    in_stock: bool | None = Field(None, description="Only what can be sold now, or only what cannot.")
    status: ProductStatus | None = Field(None, description="Only for admins, who see every status without it.")
    sort: Sort = Sort.NEWEST


class NewProductBody(Body):
    """A product to create. Without `sku` one is generated."""

    name: ShortText
    price: PriceField
    sku: Sku | None = None
    description: LongText | None = None
    stock: StockCount = 0
    status: ProductStatus = ProductStatus.PUBLISHED


class ReplaceProductBody(Body):
    """A product's new content. Without `sku` or `status` these stay as they are; without `description` it is removed.

    Stock changes by stock movements only.
    """

    name: ShortText
    price: PriceField
    sku: Sku = absent()
    description: LongText | None = None
    status: ProductStatus = absent()


class PatchProductBody(Body):
    """A merge patch (RFC 7396): what is named changes, `null` removes the description."""

    name: ShortText = absent()
    price: PriceField = absent()
    sku: Sku = absent()
    description: LongText | None = None
    status: ProductStatus = absent()


class NewMovementBody(Body):
    """A change of stock by hand: `restock` and `return` up, `damage` down, `correction` either way."""

    quantity: Annotated[int, Field(strict=True, ge=-MAX_QUANTITY, le=MAX_QUANTITY)]
    reason: ManualReason


_COUNT: Final = re.compile(r"[0-9]{1,10}")


def _counted(value: object) -> int:
    if isinstance(value, str) and _COUNT.fullmatch(value) and int(value) <= MAX_STOCK:
        return int(value)
    raise PydanticCustomError("count", "A stock is a whole number from 0 to {maximum}", {"maximum": f"{MAX_STOCK:,}"})


class ImportedLine(Body):
    """The cells of one line of an imported file that are not empty."""

    sku: Sku
    name: ShortText | None = None
    description: LongText | None = None
    price: PriceField | None = None
    stock: Annotated[int, BeforeValidator(_counted)] | None = None
    status: ProductStatus | None = None
