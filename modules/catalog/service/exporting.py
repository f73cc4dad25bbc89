"""Use case: export products to a file that an import reads."""

from __future__ import annotations

from catalog.crud import exporting as crud
from catalog.interface import ProductStatus
from catalog.service.importing import LONGEST_STATEMENT
from kernel.database.copy import Sink
from kernel.database.unit_of_work import Database


class ExportUseCases:
    def __init__(self, *, database: Database) -> None:
        self._database = database

    def export_products(self, *, sink: Sink, status: ProductStatus | None = None) -> None:
        """Write all products, or those of one status, as CSV in UTF-8: one state of the catalogue, in constant memory."""
        with self._database.transaction(statement_timeout=LONGEST_STATEMENT) as session:
            crud.write_products(session, sink, status=status)
