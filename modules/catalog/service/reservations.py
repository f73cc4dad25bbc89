"""Use cases of reservations: hold stock for other modules, sell it, let go of it, take it back, sweep what was forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.exc import IntegrityError

from catalog.crud import reservations as crud
from catalog.interface import (
    OutOfStock,
    ProductNotFound,
    ReferenceTaken,
    ReservationGone,
    Shortage,
    SoldLine,
    StockLimit,
    StockLine,
    StockRanLow,
)
from catalog.service.products import product_not_found
from catalog.service.stock import STOCK_LIMIT, ran_low
from kernel.database.call import RetryCall
from kernel.database.errors import constraint
from kernel.database.types import AnyRow
from kernel.database.unit_of_work import Database
from kernel.pure.clock import Clock
from kernel.pure.errors import Invalid
from kernel.pure.events import Events
from kernel.pure.values import MAX_QUANTITY

GRACE: Final = timedelta(hours=1)
"""How long the sweep leaves a reservation to its owner, who may still be asking a payment provider what became of it."""


class ReservationUseCases:
    def __init__(self, *, database: Database, events: Events, clock: Clock, low_stock: int) -> None:
        self._database = database
        self._events = events
        self._clock = clock
        self._low_stock = low_stock

    def reserve(self, *, reference: str, lines: Sequence[StockLine], until: datetime) -> Sequence[SoldLine]:
        quantities = _summed(lines)
        with self._database.transaction() as session:
            rows = crud.reserve(session, reference=reference, quantities=quantities, until=until)
            _require_all(rows, reference)
            for row in rows:
                if row.held and ran_low(row.available, row.available - row.quantity, self._low_stock):
                    left = row.available - row.quantity
                    self._events.publish(StockRanLow(product_id=row.product_id, sku=row.sku, available=left))
        return [
            SoldLine(
                product_id=row.product_id,
                sku=row.sku,
                name=row.name,
                unit_price=row.price,
                currency=row.currency,
                quantity=row.quantity,
            )
            for row in rows
        ]

    def confirm(self, *, reference: str) -> None:
        with self._database.transaction() as session:
            if crud.confirm(session, reference=reference) not in ("held", "taken", "confirmed"):
                raise ReservationGone(f"Nothing is held for {reference} any more.", reference=reference)

    def release(self, *, reference: str) -> None:
        with self._database.transaction() as session:
            if crud.release(session, reference=reference) == "taken":
                crud.give_back_taken(session, reference=reference)

    def restock(self, *, reference: str, lines: Sequence[StockLine]) -> None:
        quantities = _summed(lines)
        try:
            with self._database.transaction() as session:
                done = crud.restock(session, reference=reference, quantities=quantities)
                if not done.fresh:
                    if done.status_before is None:
                        # A twin with this reference committed meanwhile; the next run sees it.
                        raise RetryCall
                    if done.status_before != "returned":
                        raise _taken(reference)
                    return
                for product_id in quantities:
                    if product_id not in done.product_ids:
                        raise product_not_found(product_id)
        except IntegrityError as error:
            if constraint(error) == STOCK_LIMIT:
                raise StockLimit(f"{reference} brings back more units than a product can hold.", reference=reference) from error
            raise

    def release_expired(self, limit: int = 100) -> int:
        """Let go of up to `limit` reservations that nobody confirmed or released for long; answers how many.

        Their owners release in time what expires. This is for what they have forgotten.
        """
        with self._database.transaction() as session:
            return len(crud.release_expired(session, before=self._clock.now() - GRACE, limit=limit))


def _summed(lines: Sequence[StockLine]) -> dict[int, int]:
    """Quantity per product, in the order of first mention. Errors: Invalid."""
    if not lines:
        raise Invalid("There are no lines.")
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
    """Errors: ProductNotFound, OutOfStock, ReferenceTaken; RetryCall when a twin has just committed."""
    if not rows[0].fresh:
        if not rows[0].known:
            # The next run sees what the twin has reserved.
            raise RetryCall
        same = len(rows) == rows[0].earlier_lines and all(row.held_earlier == row.quantity for row in rows)
        if not same:
            raise _taken(reference)
        return
    for row in rows:
        if row.available is None:
            raise ProductNotFound(f"There is no product {row.product_id}.", product_id=row.product_id)
    shortages = [
        Shortage(product_id=row.product_id, requested=row.quantity, available=row.available) for row in rows if not row.held
    ]
    if shortages:
        raise OutOfStock(shortages)


def _taken(reference: str) -> ReferenceTaken:
    return ReferenceTaken(f"{reference} took other lines before.", reference=reference)
