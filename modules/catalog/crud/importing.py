"""SQL of imports: stage lines by COPY, find those that cannot be applied, apply the others in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from kernel.database.copy import copy_rows
from kernel.database.types import AnyRow

StagedLine = tuple[UUID, str, int, str | None, str | None, Any, int | None, str | None]
"""import_id, sku, line, name, description, price, stock, status."""

_STAGE: Final = "COPY catalog.import_lines (import_id, sku, line, name, description, price, stock, status) FROM STDIN"

_BEGIN: Final = text("SELECT pg_try_advisory_xact_lock(hashtext('catalog'), hashtext('import'))")

_REFUSED: Final = """
    SELECT l.line, l.earlier, l.name IS NULL AS without_name, l.price IS NULL AS without_price, held.reserved
    FROM (
      SELECT line, sku, name, price, stock, min(line) OVER (PARTITION BY sku) AS earlier
      FROM catalog.import_lines WHERE import_id = :import_id
    ) l LEFT JOIN (
      SELECT p.sku, s.reserved FROM catalog.stock s JOIN catalog.products p ON p.id = s.product_id WHERE s.reserved > 0
    ) held ON held.sku = l.sku AND held.reserved > l.stock
    WHERE l.line > l.earlier OR held.reserved IS NOT NULL OR (
      (l.name IS NULL OR l.price IS NULL) AND NOT EXISTS (SELECT FROM catalog.products p WHERE p.sku = l.sku)
    )
    """
_FIND_REFUSED: Final = text(f"{_REFUSED} ORDER BY line")
_DROP_REFUSED: Final = text(
    f"DELETE FROM catalog.import_lines WHERE import_id = :import_id AND line IN (SELECT line FROM ({_REFUSED}) refused)"  # noqa: S608 -- a constant
)

# Stock rows are locked in id order before anything changes, as a sale does, and only where the count differs; what a sale
# took meanwhile is seen in the locked row. Lines are looked up by SKU each time: there are no statistics on rows that are
# this young, and no plan may go wrong for that.
_APPLY: Final = text(
    """
    WITH counted AS MATERIALIZED (
      SELECT s.product_id, s.quantity AS before, l.stock AS after, s.reserved
      FROM catalog.import_lines l
        JOIN catalog.products p ON p.sku = l.sku
        JOIN catalog.stock s ON s.product_id = p.id
      WHERE l.import_id = :import_id AND l.stock <> s.quantity
      ORDER BY s.product_id FOR UPDATE OF s
    ), moved AS (
      INSERT INTO catalog.stock_movements (product_id, reference, reason, quantity)
      SELECT product_id, :reference, 'count', after - before FROM counted
    ), stocked AS (
      UPDATE catalog.stock s SET quantity = c.after, version = s.version + 1
      FROM counted c WHERE s.product_id = c.product_id
    ), changed AS (
      UPDATE catalog.products p
      SET name = COALESCE(l.name, p.name), price = COALESCE(l.price, p.price), status = COALESCE(l.status, p.status),
        description = CASE WHEN :describes THEN l.description ELSE p.description END,
        version = p.version + 1, updated_at = now()
      FROM catalog.import_lines l
      WHERE l.import_id = :import_id AND p.sku = l.sku AND (SELECT count(*) FROM counted) >= 0 AND (
        l.name <> p.name OR l.price <> p.price OR l.status <> p.status
        OR :describes AND l.description IS DISTINCT FROM p.description
      )
      RETURNING p.id, p.sku, p.status
    ), created AS (
      INSERT INTO catalog.products (sku, name, description, price, currency, status)
      SELECT l.sku, l.name, l.description, l.price, :currency, COALESCE(l.status, 'published')
      FROM catalog.import_lines l
      WHERE l.import_id = :import_id AND NOT EXISTS (SELECT FROM catalog.products p WHERE p.sku = l.sku)
      ORDER BY l.line
      RETURNING id, sku
    ), shelved AS (
      INSERT INTO catalog.stock (product_id, quantity)
      SELECT c.id, COALESCE(l.stock, 0)
      FROM created c JOIN catalog.import_lines l ON l.import_id = :import_id AND l.sku = c.sku
      RETURNING product_id, quantity
    ), initial AS (
      INSERT INTO catalog.stock_movements (product_id, reference, reason, quantity)
      SELECT product_id, :reference, 'initial', quantity FROM shelved WHERE quantity > 0
    )
    SELECT
      (SELECT count(*) FROM created) AS created,
      (SELECT count(*) FROM (SELECT product_id FROM counted UNION SELECT id FROM changed) touched) AS changed,
      (SELECT COALESCE(jsonb_agg(jsonb_build_array(c.id, c.sku) ORDER BY c.id), '[]')
        FROM changed c JOIN catalog.products before ON before.id = c.id
        WHERE c.status = 'archived' AND before.status <> 'archived') AS archived,
      (SELECT COALESCE(jsonb_agg(jsonb_build_array(p.id, p.sku, c.after - c.reserved) ORDER BY p.id), '[]')
        FROM counted c JOIN catalog.products p ON p.id = c.product_id LEFT JOIN changed ON changed.id = c.product_id
        WHERE c.before - c.reserved > :low_stock AND c.after - c.reserved <= :low_stock
          AND COALESCE(changed.status, p.status) = 'published') AS ran_low
    """
).columns(archived=JSONB, ran_low=JSONB)

_CLEAR: Final = text("DELETE FROM catalog.import_lines WHERE import_id = :import_id")


def begin_import(session: Session) -> bool:
    """Whether this transaction is the only one that imports: two could wait for each other's products."""
    return bool(session.execute(_BEGIN).scalar_one())


def stage_lines(session: Session, lines: Iterable[StagedLine]) -> None:
    copy_rows(session, _STAGE, lines)


def find_refused_lines(session: Session, import_id: UUID) -> Iterator[AnyRow]:
    """Lines that repeat the SKU of an `earlier` one, that name no product and cannot become one, or that count fewer than are
    `reserved`; in file order."""
    return iter(session.execute(_FIND_REFUSED, {"import_id": import_id}, execution_options={"yield_per": 1000}))


def drop_refused_lines(session: Session, import_id: UUID) -> None:
    session.execute(_DROP_REFUSED, {"import_id": import_id})


def apply_lines(session: Session, import_id: UUID, *, reference: str, currency: str, describes: bool, low_stock: int) -> AnyRow:
    """Create or update each line's product. Answers created, changed (how many), archived ([id, sku] of each) and ran_low
    ([id, sku, available] of each whose count crossed `low_stock`)."""
    values = {
        "import_id": import_id,
        "reference": reference,
        "currency": currency,
        "describes": describes,
        "low_stock": low_stock,
    }
    row = session.execute(_APPLY, values).one()
    session.execute(_CLEAR, {"import_id": import_id})
    return row
