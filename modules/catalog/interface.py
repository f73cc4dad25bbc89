"""All that other modules may know of the catalog: its service, values, errors and events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Final, Protocol, runtime_checkable

from kernel.pure.errors import Conflict, NotFound
from kernel.pure.events import Event

MAX_STOCK: Final = 1_000_000_000
"""The most units that one product can hold."""


class ProductStatus(StrEnum):
    """Where a product is in its life; only a published one can be seen and bought."""

    DRAFT = "draft"
    PUBLISHED = "published"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product as the shop shows it. `price` has two decimals; `stock` is what can be sold now.

    `units_sold` counts the units of paid orders; what comes back later stays counted. `on_hand`, less what is `reserved` for
    orders, is the `stock`; both are None for those who do not run the shop.
    """

    id: int
    sku: str
    name: str
    description: str | None
    price: Decimal
    currency: str
    stock: int
    units_sold: int
    status: ProductStatus
    version: int
    created_at: datetime
    updated_at: datetime
    on_hand: int | None = None
    reserved: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StockLine:
    """A wish for `quantity` (1 to 1,000,000) units of one product."""

    product_id: int
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SoldLine:
    """What was taken, with the price and the name as sold."""

    product_id: int
    sku: str
    name: str
    unit_price: Decimal
    currency: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """How many units of a product were wanted, and how many there are."""

    product_id: int
    requested: int
    available: int


class ManualReason(StrEnum):
    """Why a person changes the stock. `correction` goes either way, `damage` down, the others up."""

    RESTOCK = "restock"
    RETURN = "return"
    CORRECTION = "correction"
    DAMAGE = "damage"


@dataclass(frozen=True, slots=True, kw_only=True)
class StockMovement:
    """One change of a product's stock. `reference` names what caused it, for example `order:…`."""

    id: int
    product_id: int
    quantity: int
    reason: str
    reference: str
    created_at: datetime


class ProductNotFound(NotFound):
    """A product does not exist or is not published."""

    code = "product-not-found"
    title = "Product not found"


class OutOfStock(Conflict):
    """One or more products have fewer units than wanted; nothing was taken."""

    code = "out-of-stock"
    title = "Not enough stock"

    def __init__(self, shortages: Sequence[Shortage]) -> None:
        first = shortages[0]
        super().__init__(
            f"Product {first.product_id} has {first.available} in stock, {first.requested} were requested.",
            shortages=[{"product_id": s.product_id, "requested": s.requested, "available": s.available} for s in shortages],
        )
        self.shortages = tuple(shortages)


class StockLimit(Conflict):
    """The stock would exceed what one product can hold, which is MAX_STOCK."""

    code = "stock-limit"
    title = "Too much stock"


class ReferenceTaken(Conflict):
    """The reference took other lines before."""

    code = "reference-taken"
    title = "The reference is taken"


@dataclass(frozen=True, kw_only=True)
class ProductArchived(Event):
    """A product left the shop."""

    name: ClassVar[str] = "catalog.ProductArchived"
    product_id: int
    sku: str

    @property
    def aggregate(self) -> str:
        return f"product:{self.product_id}"


class ReservationGone(Conflict):
    """The reservation was released or has expired, so it cannot be confirmed."""

    code = "reservation-gone"
    title = "The reservation is gone"


@dataclass(frozen=True, kw_only=True)
class StockRanLow(Event):
    """What can be sold of a product fell to the shop's threshold or below."""

    name: ClassVar[str] = "catalog.StockRanLow"
    product_id: int
    sku: str
    available: int

    @property
    def aggregate(self) -> str:
        return f"product:{self.product_id}"


@runtime_checkable
class CatalogService(Protocol):
    """What the catalog does for other modules. Every method joins the caller's running transaction.

    A product has stock on hand, of which some is reserved; what is left is available. The ledger of movements sums to what
    is on hand.
    """

    def reserve(self, *, reference: str, lines: Sequence[StockLine], until: datetime) -> Sequence[SoldLine]:
        """Hold stock for `reference` (for example `"order:17"`) until a time, all lines or none.

        Lines of one product are summed; the result has one SoldLine per product in the order of first mention. What is
        held is not available to others; nothing leaves the shop yet. After `until` anybody may release it.

        Idempotent by `reference`: a repeat with the same lines holds nothing more and answers them again, with price and
        name as they are now; with other lines it is refused.

        Errors: ProductNotFound (unknown or not published product; `product_id` in its data), OutOfStock (with every
        shortage), ReferenceTaken, Invalid (no lines; a quantity below 1; a summed quantity above 1,000,000).
        """
        ...

    def confirm(self, *, reference: str) -> None:
        """Sell what `reserve` holds for `reference`: it leaves the stock by movements of reason `sale`.

        Idempotent: a repeat changes nothing. It does not look at the clock: what is still held can be confirmed.

        Errors: ReservationGone (released, or unknown).
        """
        ...

    def release(self, *, reference: str) -> None:
        """Let go of what `reserve` holds for `reference`.

        Idempotent: a repeat, an unknown reference, or one that was confirmed changes nothing.
        """
        ...

    def restock(self, *, reference: str, lines: Sequence[StockLine]) -> None:
        """Put goods back that came back, by movements of reason `return`.

        Idempotent by `reference`, which is no reservation's: a repeat changes nothing, whatever its lines. A product that is
        not published any more can come back as well.

        Errors: ProductNotFound (unknown), ReferenceTaken (of a reservation), Invalid (as `reserve`), StockLimit (more
        than a product can hold).
        """
        ...
