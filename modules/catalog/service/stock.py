"""Use cases of stock: take and give back for other modules, move by hand, read the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy.exc import IntegrityError

from catalog.crud import stock as crud
from catalog.interface import (
    ManualReason,
    OutOfStock,
    ProductNotFound,
    ReferenceTaken,
    Shortage,
    SoldLine,
    StockLine,
    StockMovement,
)
from catalog.service.products import product_not_found
from kernel.database.call import RetryCall
from kernel.database.errors import constraint
from kernel.database.types import AnyRow
from kernel.database.unit_of_work import Database
from kernel.pure.errors import Conflict, Invalid, NotFound
from kernel.pure.values import MAX_QUANTITY

_SIGN: Final = {ManualReason.RESTOCK: 1, ManualReason.RETURN: 1, ManualReason.DAMAGE: -1}


class MovementNotFound(NotFound):
    code = "stock-movement-not-found"
    title = "Stock movement not found"


class StockLimit(Conflict):
    """The stock would exceed what one product can hold."""

    code = "stock-limit"
    title = "Too much stock"


class StockUseCases:
    def __init__(self, *, database: Database) -> None:
        self._database = database

    def reserve(self, *, reference: str, lines: Sequence[StockLine]) -> Sequence[SoldLine]:
        quantities = _summed(lines)
        try:
            with self._database.transaction() as session:
                rows = crud.take_stock(session, reference=reference, quantities=quantities)
                _require_all(rows, reference)
        except IntegrityError as error:
            if constraint(error) in crud.TWIN:
                # A twin with this reference committed meanwhile; the next run sees what it took.
                raise RetryCall from error
            raise
        return [
            SoldLine(product_id=row.product_id, sku=row.sku, name=row.name, unit_price=row.price, quantity=row.quantity)
            for row in rows
        ]

    def release(self, *, reference: str) -> None:
        with self._database.transaction() as session:
            crud.give_back_stock(session, reference=reference)

    def move_stock(self, *, product_id: int, quantity: int, reason: ManualReason, reference: str) -> StockMovement:
        """Change the stock by hand. Errors: ProductNotFound, OutOfStock, Invalid (the sign), StockLimit."""
        if quantity * _SIGN.get(reason, quantity) <= 0:
            raise Invalid(f"A movement of reason {reason.value} cannot have this sign.", pointer="/quantity")
        try:
            with self._database.transaction() as session:
                row = crud.move_stock(
                    session, product_id=product_id, quantity=quantity, reason=reason.value, reference=reference
                )
                if row is not None:
                    return as_movement(row)
                available = crud.read_stock(session, product_id)
        except IntegrityError as error:
            if constraint(error) == "ck_stock_quantity_in_range":
                raise StockLimit(f"Product {product_id} cannot hold that many units.", product_id=product_id) from error
            raise
        if available is None:
            raise product_not_found(product_id)
        raise OutOfStock([Shortage(product_id=product_id, requested=-quantity, available=available)])

    def read_movement(self, *, product_id: int, movement_id: int) -> StockMovement:
        """Errors: MovementNotFound."""
        with self._database.read() as connection:
            row = crud.read_movement(connection, product_id, movement_id)
        if row is None:
            raise MovementNotFound(f"Product {product_id} has no movement {movement_id}.")
        return as_movement(row)

    def list_movements(self, *, product_id: int, before_id: int, limit: int) -> Sequence[StockMovement]:
        """The product's newest movements below `before_id`. Errors: ProductNotFound."""
        with self._database.read() as connection:
            rows = crud.list_movements(connection, product_id, before_id=before_id, limit=limit)
            if not rows and crud.read_stock(connection, product_id) is None:
                raise product_not_found(product_id)
        return [as_movement(row) for row in rows]


def as_movement(row: AnyRow) -> StockMovement:
    return StockMovement(
        id=row.id,
        product_id=row.product_id,
        quantity=row.quantity,
        reason=row.reason,
        reference=row.reference,
        created_at=row.created_at,
    )


def _summed(lines: Sequence[StockLine]) -> dict[int, int]:
    """Quantity per product, in the order of first mention. Errors: Invalid."""
    if not lines:
        raise Invalid("There is nothing to reserve.")
    quantities: dict[int, int] = {}
    for line in lines:
        summed = quantities[line.product_id] = quantities.get(line.product_id, 0) + line.quantity
        # A line that takes back what another one takes would hide in the sum.
        if line.quantity < 1 or summed > MAX_QUANTITY:
            wanted = line.quantity if line.quantity < 1 else summed
            raise Invalid(
                f"Product {line.product_id} is wanted {wanted} times; 1 to {MAX_QUANTITY:,} are possible.",
                product_id=line.product_id,
            )
    return quantities


def _require_all(rows: Sequence[AnyRow], reference: str) -> None:
    """Errors: ProductNotFound, OutOfStock, ReferenceTaken."""
    if rows[0].earlier_lines:
        same = len(rows) == rows[0].earlier_lines and all(row.taken_earlier == row.quantity for row in rows)
        if not same:
            raise ReferenceTaken(f"{reference} took other lines before.", reference=reference)
        return
    for row in rows:
        if row.available is None:
            raise ProductNotFound(f"There is no product {row.product_id}.", product_id=row.product_id)
    shortages = [
        Shortage(product_id=row.product_id, requested=row.quantity, available=row.available) for row in rows if not row.taken
    ]
    if shortages:
        raise OutOfStock(shortages)
