"""SQL of stock by hand: moving it, reading it, its ledger, and what runs low."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, bindparam, select, text
from sqlalchemy.orm import Session

from catalog.models import StockMovement
from kernel.database.types import AnyRow

# What is reserved stays: neither damage nor a correction takes what orders hold.
_MOVE: Final = text(
    """
    WITH stock AS (
      UPDATE catalog.stock s SET quantity = s.quantity + :quantity, version = s.version + 1
      FROM catalog.products p
      WHERE s.product_id = :product_id AND p.id = s.product_id AND (:quantity > 0 OR s.quantity + :quantity >= s.reserved)
      RETURNING s.product_id, s.quantity - s.reserved AS available, p.sku, p.status
    ), movement AS (
      INSERT INTO catalog.stock_movements (product_id, reference, reason, quantity)
      SELECT product_id, :reference, :reason, :quantity FROM stock
      RETURNING id, product_id, reference, reason, quantity, created_at
    )
    SELECT movement.*, stock.available, stock.sku, stock.status FROM movement, stock
    """
)

_READ_AVAILABLE: Final = text("SELECT quantity - reserved FROM catalog.stock WHERE product_id = :product_id")
_LOCK_STOCK: Final = text("SELECT quantity FROM catalog.stock WHERE product_id = :product_id FOR UPDATE")

_MOVEMENT: Final = select(
    StockMovement.id,
    StockMovement.product_id,
    StockMovement.reference,
    StockMovement.reason,
    StockMovement.quantity,
    StockMovement.created_at,
).where(StockMovement.product_id == bindparam("product_id"))
_READ_MOVEMENT: Final = _MOVEMENT.where(StockMovement.id == bindparam("movement_id"))
_LIST_MOVEMENTS: Final = (
    _MOVEMENT.where(StockMovement.id < bindparam("before_id")).order_by(StockMovement.id.desc()).limit(bindparam("limit"))
)


def move_stock(session: Session, *, product_id: int, quantity: int, reason: str, reference: str) -> AnyRow | None:
    """Change what is on hand by `quantity` and write it down; None when there is no such product or not enough to take.

    Columns: those of a movement, and what is `available` now, the product's `sku` and `status`.
    """
    values = {"product_id": product_id, "quantity": quantity, "reason": reason, "reference": reference}
    return session.execute(_MOVE, values).one_or_none()


def read_available(session: Session | Connection, product_id: int) -> int | None:
    """What can be sold of the product; None when there is no such product."""
    quantity: int | None = session.execute(_READ_AVAILABLE, {"product_id": product_id}).scalar_one_or_none()
    return quantity


def lock_stock(session: Session, product_id: int) -> int | None:
    """What is on hand, which nobody else changes until the transaction ends."""
    quantity: int | None = session.execute(_LOCK_STOCK, {"product_id": product_id}).scalar_one_or_none()
    return quantity


def read_movement(connection: Connection, product_id: int, movement_id: int) -> AnyRow | None:
    return connection.execute(_READ_MOVEMENT, {"product_id": product_id, "movement_id": movement_id}).one_or_none()


def list_movements(connection: Connection, product_id: int, *, before_id: int, limit: int) -> list[AnyRow]:
    """The newest movements of a product below `before_id`."""
    return list(connection.execute(_LIST_MOVEMENTS, {"product_id": product_id, "before_id": before_id, "limit": limit}))
