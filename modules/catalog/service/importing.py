"""Use case: import products from lines of a file, all of them or none unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog.crud import importing as crud
from catalog.interface import ProductArchived, ProductStatus, StockRanLow
from kernel.database.call import RetryCall
from kernel.database.errors import constraint, sqlstate
from kernel.database.types import AnyRow
from kernel.database.unit_of_work import Database
from kernel.pure.errors import Conflict
from kernel.pure.events import Events

LONGEST_STATEMENT: Final = timedelta(hours=1)
"""Instead of the seconds that a request's statement may take."""

_OVERTAKEN: Final = frozenset({"uq_products_sku", "ck_stock_reserved_in_range"})
_NOT_NULL_VIOLATION: Final = "23502"


class ImportRunning(Conflict):
    """Another import has not ended yet."""

    code = "import-running"
    title = "Another import is running"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductLine:
    """One good line of a file. None leaves a product as it is; `description` is set when the file has that column."""

    line: int
    sku: str
    name: str | None = None
    description: str | None = None
    price: Decimal | None = None
    stock: int | None = None
    status: ProductStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """What is wrong with a line; a line with several mistakes is told several times."""

    line: int
    column: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What an import did; when not `stored`, what it would have done with the good lines."""

    created: int
    changed: int
    unchanged: int
    bad: int
    stored: bool


class _NotToBeStored(Exception):
    """Carries the result out of the transaction, so that it is rolled back."""

    def __init__(self, result: ImportResult) -> None:
        self.result = result


class ImportUseCases:
    def __init__(self, *, database: Database, events: Events, currency: str, low_stock: int) -> None:
        self._database = database
        self._events = events
        self._currency = currency
        self._low_stock = low_stock

    def import_products(
        self,
        *,
        lines: Iterable[ProductLine | BadLine],
        describes: bool,
        report: Callable[[BadLine], None],
        skip_bad_lines: bool = False,
        dry_run: bool = False,
    ) -> ImportResult:
        """Create or update a product per line, by SKU; what a line does not change stays, version included.

        `stock` is a count of what is on hand, reserved units included, of which there cannot be fewer: the difference becomes
        a movement of reason `count`. A new product's stock is its `initial` one.
        `describes` says whether the file has the column `description`. Every bad line is told to `report`; one bad line,
        and nothing is stored, unless `skip_bad_lines`. A dry run does everything and takes it back.

        Lines are drawn once, and never held together. Errors: ImportRunning.
        """
        try:
            with self._database.transaction(statement_timeout=LONGEST_STATEMENT) as session:
                if not crud.begin_import(session):
                    raise ImportRunning("Another import is running; start this one when it has ended.")
                result = self._import(session, _Reader(lines, report), describes, told_only=dry_run, skip=skip_bad_lines)
                if not result.stored:
                    raise _NotToBeStored(result)
        except _NotToBeStored as told:
            return told.result
        except IntegrityError as error:
            if constraint(error) in _OVERTAKEN or sqlstate(error) == _NOT_NULL_VIOLATION:
                # A product or a reservation came or went between two statements; the next run sees it.
                raise RetryCall from error
            raise
        return result

    def _import(self, session: Session, reader: _Reader, describes: bool, *, told_only: bool, skip: bool) -> ImportResult:
        import_id = uuid4()
        crud.stage_lines(session, reader.staged(import_id))
        refused = 0
        for refused, row in enumerate(crud.find_refused_lines(session, import_id), 1):  # noqa: B007 -- counted
            reader.report(_refusal(row))
        bad = reader.bad + refused
        if bad and not (skip or told_only):
            return ImportResult(created=0, changed=0, unchanged=0, bad=bad, stored=False)
        if refused:
            crud.drop_refused_lines(session, import_id)
        # Behind `import:` stands the file's run, so that the ledger says which movements belong together.
        reference = f"import:{import_id.hex}"
        done = crud.apply_lines(
            session,
            import_id,
            reference=reference,
            currency=self._currency,
            describes=describes,
            low_stock=self._low_stock,
        )
        for product_id, sku in done.archived:
            self._events.publish(ProductArchived(product_id=product_id, sku=sku))
        for product_id, sku, available in done.ran_low:
            self._events.publish(StockRanLow(product_id=product_id, sku=sku, available=available))
        unchanged = reader.good - refused - done.created - done.changed
        return ImportResult(
            created=done.created, changed=done.changed, unchanged=unchanged, bad=bad, stored=not told_only and (skip or not bad)
        )


class _Reader:
    """Parts good lines from bad ones, and counts both."""

    def __init__(self, lines: Iterable[ProductLine | BadLine], report: Callable[[BadLine], None]) -> None:
        self._lines = lines
        self.report = report
        self.good = 0
        self.bad = 0

    def staged(self, import_id: UUID) -> Iterator[crud.StagedLine]:
        last_bad = 0
        for line in self._lines:
            if isinstance(line, BadLine):
                self.bad += line.line != last_bad
                last_bad = line.line
                self.report(line)
                continue
            self.good += 1
            yield import_id, line.sku, line.line, line.name, line.description, line.price, line.stock, line.status


def _refusal(row: AnyRow) -> BadLine:
    if row.line > row.earlier:
        return BadLine(line=row.line, column="sku", reason=f"Line {row.earlier} has the same SKU")
    if row.reserved is not None:
        reason = f"{row.reserved:,} are reserved for orders, so there cannot be fewer on hand"
        return BadLine(line=row.line, column="stock", reason=reason)
    column = "name" if row.without_name else "price"
    return BadLine(line=row.line, column=column, reason=f"No product has this SKU yet, and a new one needs a {column}")
