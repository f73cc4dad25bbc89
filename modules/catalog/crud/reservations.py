"""SQL of stock that other modules move by a reference: each change one statement, which the database decides.

All of them lock in one order, so that no two can wait for each other: first the reference's row in `reservations`, then the
stock rows in the order of their ids, and only then they change anything. Quantities are read from the locked rows, which
are the newest ones. `(SELECT count(*) …) >= 0` makes a part of a statement wait for another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from kernel.database.types import AnyRow

# A product that is missing or not published is never locked. Where a twin with the same reference has not committed yet, the
# insertion waits for it, and then answers nothing, while `earlier` does not see it: neither `fresh` nor `known`.
_RESERVE: Final = text(
    """
    WITH earlier AS (
      SELECT product_id, quantity FROM catalog.reservation_lines WHERE reference = :reference
    ), wanted AS (
      SELECT product_id, quantity, position
      FROM unnest(CAST(:product_ids AS bigint[]), CAST(:quantities AS integer[]))
        WITH ORDINALITY AS line (product_id, quantity, position)
    ), reservation AS (
      INSERT INTO catalog.reservations (reference, status, held_until) VALUES (:reference, 'held', :until)
      ON CONFLICT (reference) DO NOTHING RETURNING reference
    ), locked AS (
      SELECT s.product_id, s.quantity - s.reserved AS available, w.quantity
      FROM wanted w JOIN catalog.stock s ON s.product_id = w.product_id
        JOIN catalog.products p ON p.id = w.product_id AND p.status = 'published'
      WHERE EXISTS (SELECT FROM reservation)
      ORDER BY s.product_id FOR UPDATE OF s
    ), held AS (
      UPDATE catalog.stock s SET reserved = s.reserved + l.quantity, version = s.version + 1
      FROM locked l WHERE s.product_id = l.product_id AND l.available >= l.quantity
      RETURNING s.product_id, l.quantity
    ), lines AS (
      INSERT INTO catalog.reservation_lines (reference, product_id, quantity)
      SELECT :reference, product_id, quantity FROM held
    )
    SELECT w.product_id, w.quantity, p.sku, p.name, p.price, p.currency, l.available,
      h.product_id IS NOT NULL AS held, e.quantity AS held_earlier, (SELECT count(*) FROM earlier) AS earlier_lines,
      EXISTS (SELECT FROM reservation) AS fresh,
      EXISTS (SELECT FROM catalog.reservations WHERE reference = :reference) AS known
    FROM wanted w
      LEFT JOIN catalog.products p ON p.id = w.product_id
      LEFT JOIN locked l ON l.product_id = w.product_id
      LEFT JOIN held h ON h.product_id = w.product_id
      LEFT JOIN earlier e ON e.product_id = w.product_id
    ORDER BY w.position
    """
)

_HELD: Final = """
    WITH reservation AS MATERIALIZED (
      SELECT reference, status FROM catalog.reservations WHERE reference = :reference FOR UPDATE
    ), locked AS MATERIALIZED (
      SELECT s.product_id, l.quantity
      FROM catalog.reservation_lines l JOIN catalog.stock s ON s.product_id = l.product_id
      WHERE l.reference = :reference AND EXISTS (SELECT FROM reservation WHERE status = 'held')
      ORDER BY s.product_id FOR UPDATE OF s
    )"""

_CONFIRM: Final = text(
    f"""{_HELD}, sold AS (
      UPDATE catalog.stock s
      SET quantity = s.quantity - l.quantity, reserved = s.reserved - l.quantity, version = s.version + 1
      FROM locked l WHERE s.product_id = l.product_id
      RETURNING s.product_id, l.quantity
    ), moved AS (
      INSERT INTO catalog.stock_movements (product_id, reference, reason, quantity)
      SELECT product_id, :reference, 'sale', -quantity FROM sold
    ), confirmed AS (
      UPDATE catalog.reservations r SET status = 'confirmed' FROM reservation
      WHERE r.reference = reservation.reference AND reservation.status IN ('held', 'taken')
        AND (SELECT count(*) FROM sold) >= 0
    )
    SELECT status FROM reservation
    """  # noqa: S608 -- constants
)

_RELEASE: Final = text(
    f"""{_HELD}, freed AS (
      UPDATE catalog.stock s SET reserved = s.reserved - l.quantity, version = s.version + 1
      FROM locked l WHERE s.product_id = l.product_id
      RETURNING s.product_id
    ), released AS (
      UPDATE catalog.reservations r SET status = 'released' FROM reservation
      WHERE r.reference = reservation.reference AND reservation.status = 'held' AND (SELECT count(*) FROM freed) >= 0
    )
    SELECT status FROM reservation
    """  # noqa: S608 -- constants
)

_GIVE_BACK: Final = text(
    """
    WITH reservation AS MATERIALIZED (
      SELECT reference FROM catalog.reservations WHERE reference = :reference AND status = 'taken' FOR UPDATE
    ), locked AS MATERIALIZED (
      SELECT s.product_id, -m.quantity AS quantity
      FROM catalog.stock_movements m JOIN catalog.stock s ON s.product_id = m.product_id
      WHERE m.reference = :reference AND m.reason = 'sale' AND EXISTS (SELECT FROM reservation)
      ORDER BY s.product_id FOR UPDATE OF s
    ), moved AS (
      INSERT INTO catalog.stock_movements (product_id, reference, reason, quantity)
      SELECT product_id, :reference, 'release', quantity FROM locked
      ON CONFLICT (reference, reason, product_id) DO NOTHING
      RETURNING product_id, quantity
    ), returned AS (
      UPDATE catalog.stock s SET quantity = s.quantity + moved.quantity, version = s.version + 1
      FROM moved WHERE s.product_id = moved.product_id
    )
    UPDATE catalog.reservations r SET status = 'released' FROM reservation
    WHERE r.reference = reservation.reference AND (SELECT count(*) FROM locked) >= 0
    """
)

_RESTOCK: Final = text(
    """
    WITH wanted AS (
      SELECT product_id, quantity
      FROM unnest(CAST(:product_ids AS bigint[]), CAST(:quantities AS integer[])) AS line (product_id, quantity)
    ), reservation AS (
      INSERT INTO catalog.reservations (reference, status) VALUES (:reference, 'returned')
      ON CONFLICT (reference) DO NOTHING RETURNING reference
    ), locked AS (
      SELECT s.product_id, w.quantity FROM wanted w JOIN catalog.stock s ON s.product_id = w.product_id
      WHERE EXISTS (SELECT FROM reservation)
      ORDER BY s.product_id FOR UPDATE OF s
    ), returned AS (
      UPDATE catalog.stock s SET quantity = s.quantity + l.quantity, version = s.version + 1
      FROM locked l WHERE s.product_id = l.product_id
      RETURNING s.product_id, l.quantity
    ), moved AS (
      INSERT INTO catalog.stock_movements (product_id, reference, reason, quantity)
      SELECT product_id, :reference, 'return', quantity FROM returned
    )
    SELECT EXISTS (SELECT FROM reservation) AS fresh, ARRAY(SELECT product_id FROM returned) AS product_ids,
      (SELECT status FROM catalog.reservations WHERE reference = :reference) AS status_before
    """
)

# What somebody else is confirming or releasing right now is theirs.
_RELEASE_EXPIRED: Final = text(
    """
    WITH expired AS MATERIALIZED (
      SELECT reference FROM catalog.reservations WHERE status = 'held' AND held_until < :before
      ORDER BY held_until LIMIT :limit FOR UPDATE SKIP LOCKED
    ), lines AS (
      SELECT product_id, sum(quantity) AS quantity FROM catalog.reservation_lines
      WHERE reference = ANY (ARRAY(SELECT reference FROM expired)) GROUP BY product_id
    ), locked AS MATERIALIZED (
      SELECT s.product_id, l.quantity FROM lines l JOIN catalog.stock s ON s.product_id = l.product_id
      ORDER BY s.product_id FOR UPDATE OF s
    ), freed AS (
      UPDATE catalog.stock s SET reserved = s.reserved - l.quantity, version = s.version + 1
      FROM locked l WHERE s.product_id = l.product_id
      RETURNING s.product_id
    )
    UPDATE catalog.reservations r SET status = 'released' FROM expired
    WHERE r.reference = expired.reference AND (SELECT count(*) FROM freed) >= 0
    RETURNING r.reference
    """
)


def reserve(session: Session, *, reference: str, quantities: Mapping[int, int], until: datetime) -> Sequence[AnyRow]:
    """Hold each product's quantity for `reference`, where there is enough; one row per product, in the order given.

    Unless everything is held, the caller has to roll back. Columns: product_id, quantity, sku, name, price, currency, available
    (before; None: no such published product), held, held_earlier and earlier_lines (what `reference` reserved before; then
    nothing is held now), fresh (the reference is new), known (it was there before; neither: a twin has just come with it).
    """
    values = {
        "reference": reference,
        "until": until,
        "product_ids": list(quantities),
        "quantities": list(quantities.values()),
    }
    return session.execute(_RESERVE, values).all()


def confirm(session: Session, *, reference: str) -> str | None:
    """Sell what is held. Answers the status before, which decides; None when the reference is unknown."""
    status: str | None = session.execute(_CONFIRM, {"reference": reference}).scalar_one_or_none()
    return status


def release(session: Session, *, reference: str) -> str | None:
    """Let go of what is held. Answers the status before, which decides; None when the reference is unknown."""
    status: str | None = session.execute(_RELEASE, {"reference": reference}).scalar_one_or_none()
    return status


def give_back_taken(session: Session, *, reference: str) -> None:
    """Bring back, by movements of reason `release`, what the code before reservations took at once."""
    session.execute(_GIVE_BACK, {"reference": reference})


def restock(session: Session, *, reference: str, quantities: Mapping[int, int]) -> AnyRow:
    """Bring goods back to the stock. Answers fresh (else nothing was done), product_ids (those that exist) and
    status_before (None: the reference was not there)."""
    values = {"reference": reference, "product_ids": list(quantities), "quantities": list(quantities.values())}
    return session.execute(_RESTOCK, values).one()


def release_expired(session: Session, *, before: datetime, limit: int) -> list[str]:
    """Let go of what is held for longer than `before`. Answers up to `limit` references."""
    return list(session.execute(_RELEASE_EXPIRED, {"before": before, "limit": limit}).scalars())
