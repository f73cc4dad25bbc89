"""The catalog in memory, for other modules' tests; it passes the same contract tests as the real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from catalog.interface import (
    MAX_STOCK,
    CatalogService,
    OutOfStock,
    ProductNotFound,
    ReferenceTaken,
    ReservationGone,
    Shortage,
    SoldLine,
    StockLimit,
    StockLine,
)
from kernel.pure.errors import Invalid
from kernel.pure.values import MAX_QUANTITY


@dataclass(kw_only=True)
class FakeReservation:
    """`status`: held, confirmed, released, or returned (goods that came back)."""

    lines: dict[int, int]
    status: str
    until: datetime | None = None


class FakeCatalogService(CatalogService):
    """Holds products in a dictionary. `on_hand`, `reserved` and `reservations` are open for assertions."""

    def __init__(self) -> None:
        self._products: dict[int, SoldLine] = {}
        self.on_hand: dict[int, int] = {}
        self.reserved: dict[int, int] = {}
        self.reservations: dict[str, FakeReservation] = {}

    def add(self, *, product_id: int, name: str = "Lamp", price: str = "19.99", currency: str = "GBP", stock: int = 10) -> int:
        """Put a published product on the shelf; answers its id."""
        self._products[product_id] = SoldLine(
            product_id=product_id,
            sku=f"SKU-{product_id}",
            name=name,
            unit_price=Decimal(price),
            currency=currency,
            quantity=0,
        )
        self.on_hand[product_id] = stock
        self.reserved[product_id] = 0
        return product_id

    def available(self, product_id: int) -> int:
        return self.on_hand[product_id] - self.reserved[product_id]

    def reserve(self, *, reference: str, lines: Sequence[StockLine], until: datetime) -> Sequence[SoldLine]:
        wanted = _summed(lines)
        earlier = self.reservations.get(reference)
        if earlier is not None:
            if earlier.status == "returned" or earlier.lines != wanted:
                raise _taken(reference)
            return self._sold(wanted)
        self._require_known(wanted)
        shortages = [
            Shortage(product_id=product_id, requested=quantity, available=self.available(product_id))
            for product_id, quantity in wanted.items()
            if self.available(product_id) < quantity
        ]
        if shortages:
            raise OutOfStock(shortages)
        for product_id, quantity in wanted.items():
            self.reserved[product_id] += quantity
        self.reservations[reference] = FakeReservation(lines=wanted, status="held", until=until)
        return self._sold(wanted)

    def confirm(self, *, reference: str) -> None:
        found = self.reservations.get(reference)
        if found is None or found.status not in ("held", "confirmed"):
            raise ReservationGone(f"Nothing is held for {reference} any more.", reference=reference)
        if found.status == "held":
            found.status = "confirmed"
            for product_id, quantity in found.lines.items():
                self.reserved[product_id] -= quantity
                self.on_hand[product_id] -= quantity

    def release(self, *, reference: str) -> None:
        found = self.reservations.get(reference)
        if found is not None and found.status == "held":
            found.status = "released"
            for product_id, quantity in found.lines.items():
                self.reserved[product_id] -= quantity

    def restock(self, *, reference: str, lines: Sequence[StockLine]) -> None:
        wanted = _summed(lines)
        earlier = self.reservations.get(reference)
        if earlier is not None:
            if earlier.status != "returned":
                raise _taken(reference)
            return
        self._require_known(wanted)
        if any(self.on_hand[product_id] + quantity > MAX_STOCK for product_id, quantity in wanted.items()):
            raise StockLimit(f"{reference} brings back more units than a product can hold.", reference=reference)
        for product_id, quantity in wanted.items():
            self.on_hand[product_id] += quantity
        self.reservations[reference] = FakeReservation(lines=wanted, status="returned")

    def _require_known(self, wanted: dict[int, int]) -> None:
        for product_id in wanted:
            if product_id not in self._products:
                raise ProductNotFound(f"There is no product {product_id}.", product_id=product_id)

    def _sold(self, wanted: dict[int, int]) -> list[SoldLine]:
        products = self._products
        return [
            SoldLine(
                product_id=product_id,
                sku=products[product_id].sku,
                name=products[product_id].name,
                unit_price=products[product_id].unit_price,
                currency=products[product_id].currency,
                quantity=quantity,
            )
            for product_id, quantity in wanted.items()
        ]


def _taken(reference: str) -> ReferenceTaken:
    return ReferenceTaken(f"{reference} took other lines before.", reference=reference)


def _summed(lines: Sequence[StockLine]) -> dict[int, int]:
    if not lines:
        raise Invalid("There are no lines.")
    wanted: dict[int, int] = {}
    for line in lines:
        wanted[line.product_id] = wanted.get(line.product_id, 0) + line.quantity
    if any(line.quantity < 1 for line in lines) or max(wanted.values()) > MAX_QUANTITY:
        raise Invalid(f"A quantity must lie between 1 and {MAX_QUANTITY:,}.")
    return wanted
