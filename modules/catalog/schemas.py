"""Request bodies, query parameters and answers of the catalog's routes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError

from catalog.interface import MAX_STOCK, ManualReason, Product, ProductStatus, StockMovement
from kernel.http.documents import Described
from kernel.http.fields import Body, LongText, PriceField, ShortText, StockCount, absent
from kernel.http.pages import PageQuery
from kernel.pure.values import MAX_ID, MAX_QUANTITY

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
    "units_sold": 140,
    "status": "published",
    "version": 1,
    "created_at": "2026-01-05T09:30:00Z",
    "updated_at": "2026-01-05T09:30:00Z",
}


@dataclass(frozen=True)
class _LeftOut:
    """Leaves members that are None out of answers. (A union of two types of products would take five times as long.)"""

    names: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        place: Any = handler.resolve_ref_schema(schema) if schema["type"] == "definition-ref" else schema
        while place["type"] != "dataclass-args":
            place = place["schema"]
        for member in place["fields"]:
            if member["name"] in self.names:
                member["serialization_exclude_if"] = _is_none
        return schema


def _is_none(value: object) -> bool:
    return value is None


ProductBody = Annotated[
    Product,
    _LeftOut(("on_hand", "reserved")),
    Described(
        example=PRODUCT_EXAMPLE,
        fields={
            "sku": "The shop's own name of the product; no two products have the same at a time.",
            "price": "Exact, with two decimals, in `currency`.",
            "stock": "How many can be sold now.",
            "units_sold": "How many were sold by paid orders; what was refunded or came back stays counted.",
            "status": "Only published products are shown to the public.",
            "version": "Rises with every change of the product itself, not of its stock.",
            "on_hand": "Only for admins: how many are in the house, reserved ones included; the sum of the stock movements.",
            "reserved": "Only for admins: how many of them are held for orders that are not paid yet.",
        },
    ),
]

MovementBody = Annotated[
    StockMovement,
    Described(
        example={
            "id": 93,
            "product_id": 17,
            "quantity": 40,
            "reason": "restock",
            "reference": "manual:9f86d081884c7d659a2feaa0c55ad015",
            "created_at": "2026-01-05T09:30:00Z",
        },
        fields={
            "quantity": "By how much the stock changed.",
            "reason": "Why: `initial`, `sale`, `count`, `return` of refunded goods, or one given by hand.",
            "reference": "What caused it, for example an order.",
        },
    ),
]


CountField = Annotated[int, Field(strict=True, ge=0, le=MAX_ID)]
"""Of units sold, as a cursor brings it back."""


class Sort(StrEnum):
    NEWEST = "newest"
    NAME = "name"
    NAME_DESCENDING = "-name"
    PRICE = "price"
    PRICE_DESCENDING = "-price"
    BEST_SELLING = "best-selling"


class ProductQuery(PageQuery):
    """What a list of products can be narrowed to and sorted by."""

    q: ShortText | None = Field(None, description="Words that name, SKU or description hold, each at least as a beginning.")
    sku: Sku | None = Field(None, description="Only the product that the shop calls so.")
    min_price: PriceField | None = Field(None, description="Only what costs so much or more.")
    max_price: PriceField | None = Field(None, description="Only what costs so much or less.")
    in_stock: bool | None = Field(None, description="Only what can be sold now, or only what cannot.")
    status: ProductStatus | None = Field(
        None, description="Only `published` unless you are an admin (else 403), who sees every status without it."
    )
    sort: Sort = Field(Sort.NEWEST, description="What comes first; a minus in front turns it round.")


class NewProductBody(Body):
    """A product to create. Without `sku` one is generated."""

    name: ShortText
    price: PriceField
    sku: Sku | None = None
    description: LongText | None = None
    stock: StockCount = 0
    status: ProductStatus = ProductStatus.PUBLISHED

    example: ClassVar = {"name": "Desk lamp", "price": "19.99", "sku": "LAMP-01", "description": "Brass, 40 cm.", "stock": 25}


class ReplaceProductBody(Body):
    """A product's new content. Without `sku` or `status` these stay as they are; without `description` it is removed.

    Stock changes by stock movements only.
    """

    name: ShortText
    price: PriceField
    sku: Sku = absent()
    description: LongText | None = None
    status: ProductStatus = absent()

    example: ClassVar = {"name": "Desk lamp", "price": "17.49", "description": "Brass, 40 cm.", "status": "published"}


class PatchProductBody(Body):
    """A merge patch (RFC 7396): what is named changes, `null` removes the description."""

    name: ShortText = absent()
    price: PriceField = absent()
    sku: Sku = absent()
    description: LongText | None = None
    status: ProductStatus = absent()

    example: ClassVar = {"price": "17.49"}


class NewMovementBody(Body):
    """A change by hand of what is on hand: `restock` and `return` up, `damage` down, `correction` either way.

    What is reserved for orders cannot be taken.
    """

    quantity: Annotated[int, Field(strict=True, ge=-MAX_QUANTITY, le=MAX_QUANTITY)]
    reason: ManualReason

    example: ClassVar = {"quantity": 40, "reason": "restock"}


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
