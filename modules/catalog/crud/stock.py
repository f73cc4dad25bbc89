"""SQL of stock: taking, giving back and moving, each one statement that the database decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, select, text
from sqlalchemy.orm import Session

from catalog.models import StockMovement
from kernel.database.types import AnyRow

# The lock is taken in id order before anything changes, so two orders for the same products never deadlock. Available
# quantities come from the locked rows, which are the newest; a product that is missing or not published is never locked.
# A twin that took for the same reference meanwhile is not among the `earlier` ones, but its key is taken.
_TAKE: Final = text(
    """
    WITH earlier AS (
      SELECT product_id, -quantity AS quantity FROM catalog.stock_movements
      WHERE reference = :reference AND reason = 'sale'
    ), wanted AS (
      SELECT product_id, quantity, position
      FROM unnest(CAST(:product_ids AS bigint[]), CAST(:quantities AS integer[]))
        WITH ORDINALITY AS line (product_id, quantity, position)
    ), locked AS (
      SELECT s.product_id, s.quantity AS available, w.quantity
      FROM wanted w JOIN catalog.stock s ON s.product_id = w.product_id
        JOIN catalog.products p ON p.id = w.product_id AND p.status = 'published'
      WHERE NOT EXISTS (SELECT FROM earlier)
      ORDER BY s.product_id FOR UPDATE OF s
    ), taken AS (
      UPDATE catalog.stock s SET quantity = s.quantity - l.quantity, version = s.version + 1
      FROM locked l WHERE s.product_id = l.product_id AND l.available >= l.quantity
      RETURNING s.product_id, l.quantity
    ), moved AS (
      INSERT INTO catalog.stock_movements (product_id, reference, reason, quantity)
      SELECT product_id, :reference, 'sale', -quantity FROM taken
    ), reserved AS (
      INSERT INTO catalog.reservations (reference) SELECT :reference WHERE NOT EXISTS (SELECT FROM earlier)
    )
    SELECT w.product_id, w.quantity, p.sku, p.name, p.price, l.available,
      t.product_id IS NOT NULL AS taken, e.quantity AS taken_earlier, (SELECT count(*) FROM earlier) AS earlier_lines
    FROM wanted w
      LEFT JOIN catalog.products p ON p.id = w.product_id
      LEFT JOIN locked l ON l.product_id = w.product_id
      LEFT JOIN taken t ON t.product_id = w.product_id
      LEFT JOIN earlier e ON e.product_id = w.product_id
    ORDER BY w.position
    """
)

_GIVE_BACK: Final = text(
    """
    WITH sold AS (
      SELECT product_id, -quantity AS quantity FROM catalog.stock_movements
      WHERE reference = :reference AND reason = 'sale'
    ), locked AS (
      SELECT s.product_id, sold.quantity FROM sold JOIN catalog.stock s ON s.product_id = sold.product_id
      ORDER BY s.product_id FOR UPDATE OF s
    ), moved AS (
      INSERT INTO catalog.stock_movements (product_id, reference, reason, quantity)
      SELECT product_id, :reference, 'release', quantity FROM locked
      ON CONFLICT (reference, reason, product_id) DO NOTHING
      RETURNING product_id, quantity
    )
    UPDATE catalog.stock s SET quantity = s.quantity + moved.quantity, version = s.version + 1
    FROM moved WHERE s.product_id = moved.product_id
    """
)

_MOVE: Final = text(
    """
    WITH stock AS (
      UPDATE catalog.stock SET quantity = quantity + :quantity, version = version + 1
      WHERE product_id = :product_id AND quantity + :quantity >= 0
      RETURNING product_id, quantity
    )
    INSERT INTO catalog.stock_movements (product_id, reference, reason, quantity)
    SELECT product_id, :reference, :reason, :quantity FROM stock
    RETURNING id, product_id, reference, reason, quantity, created_at
    """
)

TWIN: Final = frozenset({"pk_reservations", "uq_stock_movements_reference_reason_product_id"})

_READ_STOCK: Final = text("SELECT quantity FROM catalog.stock WHERE product_id = :product_id")
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


def take_stock(session: Session, *, reference: str, quantities: Mapping[int, int]) -> Sequence[AnyRow]:
    """Take each product's quantity for `reference`, where there is enough; one row per product, in the order given.

    Unless everything was taken, the caller has to roll back. A twin is an IntegrityError of `TWIN`.

    Columns: product_id, quantity, sku, name, price, available (None: no such published product), taken, taken_earlier
    and earlier_lines (what `reference` took before; then nothing is taken now).
    """
    values = {"reference": reference, "product_ids": list(quantities), "quantities": list(quantities.values())}
    return session.execute(_TAKE, values).all()


def give_back_stock(session: Session, *, reference: str) -> None:
    session.execute(_GIVE_BACK, {"reference": reference})


def move_stock(session: Session, *, product_id: int, quantity: int, reason: str, reference: str) -> AnyRow | None:
    """Change the stock by `quantity` and write it down; None when there is no such product or not enough stock."""
    values = {"product_id": product_id, "quantity": quantity, "reason": reason, "reference": reference}
    return session.execute(_MOVE, values).one_or_none()


def read_stock(session: Session | Connection, product_id: int) -> int | None:
    quantity: int | None = session.execute(_READ_STOCK, {"product_id": product_id}).scalar_one_or_none()
    return quantity


def lock_stock(session: Session, product_id: int) -> int | None:
    """Keep the stock as it is until the transaction ends, and answer it; None when there is no such product."""
    quantity: int | None = session.execute(_LOCK_STOCK, {"product_id": product_id}).scalar_one_or_none()
    return quantity


def read_movement(connection: Connection, product_id: int, movement_id: int) -> AnyRow | None:
    return connection.execute(_READ_MOVEMENT, {"product_id": product_id, "movement_id": movement_id}).one_or_none()


def list_movements(connection: Connection, product_id: int, *, before_id: int, limit: int) -> list[AnyRow]:
    """The newest movements of a product below `before_id`."""
    return list(connection.execute(_LIST_MOVEMENTS, {"product_id": product_id, "before_id": before_id, "limit": limit}))
