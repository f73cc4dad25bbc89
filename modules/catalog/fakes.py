"""The catalog in memory, for other modules' tests; it passes the same contract tests as the real one."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from catalog.interface import CatalogService, OutOfStock, ProductNotFound, ReferenceTaken, Shortage, SoldLine, StockLine
from kernel.pure.errors import Invalid
from kernel.pure.values import MAX_QUANTITY


class FakeCatalogService(CatalogService):
    """Holds products in a dictionary. `stock` and `taken` are open for assertions."""

    def __init__(self) -> None:
        self._products: dict[int, SoldLine] = {}
        self.stock: dict[int, int] = {}
        self.taken: dict[str, dict[int, int]] = {}
        self.released: set[str] = set()

    def add(self, *, product_id: int, name: str = "Lamp", price: str = "19.99", stock: int = 10) -> int:
        """Put a published product on the shelf; answers its id."""
        self._products[product_id] = SoldLine(
            product_id=product_id, sku=f"SKU-{product_id}", name=name, unit_price=Decimal(price), quantity=0
        )
        self.stock[product_id] = stock
        return product_id

    def reserve(self, *, reference: str, lines: Sequence[StockLine]) -> Sequence[SoldLine]:
        wanted = _summed(lines)
        if reference in self.taken:
            if self.taken[reference] != wanted:
                raise ReferenceTaken(f"{reference} took other lines before.", reference=reference)
            return self._sold(wanted)
        for product_id in wanted:
            if product_id not in self._products:
                raise ProductNotFound(f"There is no product {product_id}.", product_id=product_id)
        shortages = [
            Shortage(product_id=product_id, requested=quantity, available=self.stock[product_id])
            for product_id, quantity in wanted.items()
            if self.stock[product_id] < quantity
        ]
        if shortages:
            raise OutOfStock(shortages)
        for product_id, quantity in wanted.items():
            self.stock[product_id] -= quantity
        self.taken[reference] = wanted
        return self._sold(wanted)

    def release(self, *, reference: str) -> None:
        if reference not in self.taken or reference in self.released:
            return
        self.released.add(reference)
        for product_id, quantity in self.taken[reference].items():
            self.stock[product_id] += quantity

    def _sold(self, wanted: dict[int, int]) -> list[SoldLine]:
        products = self._products
        return [
            SoldLine(
                product_id=product_id,
                sku=products[product_id].sku,
                name=products[product_id].name,
                unit_price=products[product_id].unit_price,
                quantity=quantity,
            )
            for product_id, quantity in wanted.items()
        ]


def _summed(lines: Sequence[StockLine]) -> dict[int, int]:
    if not lines:
        raise Invalid("There is nothing to reserve.")
    wanted: dict[int, int] = {}
    for line in lines:
        wanted[line.product_id] = wanted.get(line.product_id, 0) + line.quantity
    if any(line.quantity < 1 for line in lines) or max(wanted.values()) > MAX_QUANTITY:
        raise Invalid(f"A quantity must lie between 1 and {MAX_QUANTITY:,}.")
    return wanted
