"""Use cases of stock by hand: move it, read the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy.exc import IntegrityError

from catalog.crud import stock as crud
from catalog.interface import ManualReason, OutOfStock, ProductStatus, Shortage, StockLimit, StockMovement, StockRanLow
from catalog.service.products import product_not_found
from kernel.database.errors import constraint
from kernel.database.types import AnyRow
from kernel.database.unit_of_work import Database
from kernel.pure.errors import Invalid, NotFound
from kernel.pure.events import Events

STOCK_LIMIT: Final = "ck_stock_quantity_in_range"

_SIGN: Final = {ManualReason.RESTOCK: 1, ManualReason.RETURN: 1, ManualReason.DAMAGE: -1}


class MovementNotFound(NotFound):
    code = "stock-movement-not-found"
    title = "Stock movement not found"


class StockUseCases:
    def __init__(self, *, database: Database, events: Events, low_stock: int) -> None:
        self._database = database
        self._events = events
        self._low_stock = low_stock

    def move_stock(self, *, product_id: int, quantity: int, reason: ManualReason, reference: str) -> StockMovement:
        """Change by hand what is on hand; what is reserved cannot be taken. Publishes StockRanLow when it made so.

        Errors: ProductNotFound, OutOfStock, Invalid (the sign), StockLimit.
        """
        if quantity * _SIGN.get(reason, quantity) <= 0:
            raise Invalid(f"A movement of reason {reason.value} cannot have this sign.", pointer="/quantity")
        try:
            with self._database.transaction() as session:
                row = crud.move_stock(
                    session, product_id=product_id, quantity=quantity, reason=reason.value, reference=reference
                )
                if row is not None:
                    published = row.status == ProductStatus.PUBLISHED
                    if published and ran_low(row.available - quantity, row.available, self._low_stock):
                        self._events.publish(StockRanLow(product_id=product_id, sku=row.sku, available=row.available))
                    return as_movement(row)
                available = crud.read_available(session, product_id)
        except IntegrityError as error:
            if constraint(error) == STOCK_LIMIT:
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
            if not rows and crud.read_available(connection, product_id) is None:
                raise product_not_found(product_id)
        return [as_movement(row) for row in rows]


def ran_low(before: int, after: int, threshold: int) -> bool:
    """Whether this very change made what can be sold few; further ones below the threshold do not."""
    return before > threshold >= after


def as_movement(row: AnyRow) -> StockMovement:
    return StockMovement(
        id=row.id,
        product_id=row.product_id,
        quantity=row.quantity,
        reason=row.reason,
        reference=row.reference,
        created_at=row.created_at,
    )
